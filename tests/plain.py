"""What plain transformers make of prepared data and published models, with nothing of ours but the tokens on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch


def held_out(workspace: Path) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Tokens, mask and label of each example of the test split."""
    folder = workspace / "data/test"
    tokens, mask = np.fromfile(folder / "tokens.bin", np.uint32), np.fromfile(folder / "supervised.bin", np.uint8)
    for example in np.load(folder / "examples.npy"):
        place = slice(example["offset"], example["offset"] + example["length"])
        yield (
            torch.from_numpy(tokens[place].astype(np.int64)),
            torch.from_numpy(mask[place].astype(bool)),
            int(example["label"]),
        )


@torch.no_grad()
def plain_loss(model: Any, workspace: Path) -> float:
    """Loss per supervised token over the test split, one example at a time."""
    total, count = 0.0, 0
    for ids, mask, _ in held_out(workspace):
        labels = torch.where(mask, ids, -100)
        supervised = int((labels[1:] != -100).sum())
        total += float(model(input_ids=ids[None], labels=labels[None]).loss) * supervised
        count += supervised
    return total / count


@torch.no_grad()
def plain_classes(model: Any, workspace: Path) -> tuple[list[str], list[int]]:
    """Per example of the test split the name of the class that the model chooses, and the number of the true one."""
    chosen = [(model(input_ids=ids[None]).logits.argmax().item(), label) for ids, _, label in held_out(workspace)]
    return [model.config.id2label[number] for number, _ in chosen], [label for _, label in chosen]
