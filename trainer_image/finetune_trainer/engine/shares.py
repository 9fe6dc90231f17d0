"""What each rank computes of a batch, or of a whole split: its share of the rows, as micro-batches.

Which rows there are follows from the lengths of the documents alone, so every rank knows all of them without asking, and
what they weigh together too. Collectives must match, so all ranks have as many rows: one without a document runs a short
one that weighs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from finetune_trainer.data.store import Documents
from finetune_trainer.data.tokens.pack import rows_for_step, rows_one_by_one
from finetune_trainer.model.batch import MicroBatch, micro_batch


@dataclass(frozen=True, slots=True)
class Shares:
    """How examples are shared out over ranks.

    Args:
        rank: this one.
        world_size: how many there are.
        device: where this one computes.
        packed: whether documents share rows.
        budget_tokens: tokens of a row.
        classification: targets are labels instead of tokens.
        first_position: position of a document's first token.
    """

    rank: int
    world_size: int
    device: torch.device
    packed: bool
    budget_tokens: int
    classification: bool
    first_position: int

    def micro_batches(self, data: Documents, indices: NDArray[np.int64]) -> Iterator[tuple[int, MicroBatch]]:
        """This rank's micro-batches of some examples, on its device, each with the number of its row over all ranks.

        Args:
            data: where the examples are.
            indices: which, shape (examples,), at least one.
        """
        lengths = data.lengths[indices]
        rows = self._rows(lengths)
        for number in range(self.rank, len(rows), self.world_size):
            chosen = rows[number] or [int(np.argmin(lengths))]
            batch = micro_batch(
                data,
                indices[chosen].tolist(),
                classification=self.classification,
                weightless=not rows[number],
                first_position=self.first_position,
            )
            yield number, batch.to(self.device)

    def weight_sum(self, data: Documents, indices: NDArray[np.int64]) -> float:
        """Weighted number of targets of these examples, over all ranks: supervised tokens, or examples with their one label."""
        weights = data.examples["weight"][indices].astype(np.float64)
        targets = np.ones(len(indices)) if self.classification else data.examples["supervised"][indices]
        return float((weights * targets).sum())

    def _rows(self, lengths: NDArray[np.int64]) -> list[list[int]]:
        if not self.packed:
            return rows_one_by_one(len(lengths), world_size=self.world_size)
        return rows_for_step(lengths, world_size=self.world_size, budget_tokens=self.budget_tokens)
