"""Packing: the examples of one optimizer step, spread over rows of bounded length without padding.

Packed inside the step and not over the dataset, so that `batchSize` keeps its meaning, the order depends on the seed
alone, and any number of processes replays the same optimizer steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def rows_for_step(lengths: Sequence[int] | NDArray[np.int64], *, world_size: int, budget_tokens: int) -> list[list[int]]:
    """Spread documents over `k * world_size` rows, k being the smallest for which every row keeps the budget.

    Longest first, each into the emptiest row: rows become about equally long, so ranks wait little for each other. Row r
    belongs to rank `r % world_size`. All ranks have the same number of rows, because their collectives must match; so rows
    can be empty where there are fewer documents than rows.

    Args:
        lengths: tokens per document, each >= 1.
        world_size: ranks.
        budget_tokens: tokens a row may have; a document that is longer gets a row of its own.
    Returns: per row the positions in `lengths`, each exactly once, the same on every machine.
    Source: longest processing time first, Graham 1969; packing without attention across documents, Krell et al. 2021
        (arXiv:2107.02027).
    """
    order = sorted(range(len(lengths)), key=lambda i: (-int(lengths[i]), i))
    ceiling = max(budget_tokens, int(max(lengths, default=0)))
    per_rank = max(1, math.ceil(float(np.sum(lengths)) / (ceiling * world_size)))
    while True:
        rows: list[list[int]] = [[] for _ in range(per_rank * world_size)]
        loads = [0] * len(rows)
        for index in order:
            row = loads.index(min(loads))
            rows[row].append(index)
            loads[row] += int(lengths[index])
        if max(loads, default=0) <= ceiling:
            return rows
        per_rank += 1


def rows_one_by_one(count: int, *, world_size: int) -> list[list[int]]:
    """One document per row, for models whose documents cannot share one; padded with empty rows to full ranks."""
    rows = -(-count // world_size) * world_size
    return [[index] if index < count else [] for index in range(rows)]
