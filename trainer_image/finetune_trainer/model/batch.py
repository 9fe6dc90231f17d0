"""One packed row as tensors: what a forward pass takes and what its loss needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from finetune_trainer.data.store import Documents


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Documents side by side in one row."""

    input_ids: torch.Tensor
    """int64, shape (1, tokens)."""
    position_ids: torch.Tensor
    """int64, shape (1, tokens); begins anew with each document."""
    bounds: torch.Tensor
    """int32, shape (documents + 1,): where documents begin, and the end."""
    longest: int
    """Tokens of the longest document; a Python number, so that no kernel waits for a device."""
    predicting: torch.Tensor
    """int64, shape (targets,): positions whose output predicts a supervised token."""
    targets: torch.Tensor
    """int64, shape (targets,): the supervised tokens; or the labels, shape (documents,), in classification."""
    weights: torch.Tensor
    """float32, like targets: loss weight of the document."""
    document: torch.Tensor
    """int64, like targets: which document of the row."""

    @property
    def documents(self) -> int:
        """Documents in the row."""
        return len(self.bounds) - 1

    def to(self, device: torch.device) -> MicroBatch:
        """The same on a device."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            moved[field.name] = value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        return MicroBatch(**moved)


def micro_batch(
    data: Documents, indices: Sequence[int], *, classification: bool, weightless: bool = False, first_position: int = 0
) -> MicroBatch:
    """Build a row.

    Args:
        data: where the examples are.
        indices: which, in the order of the row.
        classification: targets are labels instead of tokens.
        weightless: the row only keeps ranks in step; its loss counts nothing.
        first_position: position of a document's first token; some encoders count from 2.
    """
    ids = [data.ids(index) for index in indices]
    lengths = np.array([len(document) for document in ids])
    starts = np.concatenate(([0], np.cumsum(lengths)))
    weights = np.asarray(data.examples["weight"][list(indices)], dtype=np.float32) * (0.0 if weightless else 1.0)
    if classification:
        targets = np.asarray(data.examples["label"][list(indices)], dtype=np.int64)
        document = np.arange(len(indices))
        predicting = starts[:-1]
    else:
        masks = [data.mask(index) for index in indices]
        where = np.flatnonzero(np.concatenate(masks))
        targets = np.concatenate(ids)[where]
        predicting = where - 1
        document = np.repeat(np.arange(len(indices)), [int(mask.sum()) for mask in masks])
        weights = weights[document]
    return MicroBatch(
        input_ids=torch.from_numpy(np.concatenate(ids))[None],
        position_ids=torch.from_numpy(np.concatenate([np.arange(n) for n in lengths]) + first_position)[None],
        bounds=torch.from_numpy(starts.astype(np.int32)),
        longest=int(lengths.max()),
        predicting=torch.from_numpy(predicting),
        targets=torch.from_numpy(targets),
        weights=torch.from_numpy(weights),
        document=torch.from_numpy(document),
    )
