"""Packing: the examples of one optimizer step, spread over rows of bounded length without padding.

Packed inside the step and not over the dataset, so that `batchSize` keeps its meaning, the order depends on the seed
alone, and any number of processes replays the same optimizer steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapreplace

import numpy as np
from numpy.typing import NDArray

_ONE_BY_ONE = 16
"""So many numbers of rows are tried in turn, and the smallest that fits is found: one row more may, seldom, fit worse."""


def rows_for_step(lengths: Sequence[int] | NDArray[np.int64], *, world_size: int, budget_tokens: int) -> list[list[int]]:
    """Spread documents over `k * world_size` rows, with the smallest k found for which every row keeps the budget.

    Longest first, each into the emptiest row: rows become about equally long, so ranks wait little for each other. Row r
    belongs to rank `r % world_size`. All ranks have the same number of rows, because their collectives must match; so rows
    can be empty where there are fewer documents than rows. O(n log n) for each of about 2 log n tries.

    Args:
        lengths: tokens per document, each >= 1.
        world_size: ranks.
        budget_tokens: tokens a row may have; a document that is longer gets a row of its own.
    Returns: per row the positions in `lengths`, each exactly once, the same on every machine.
    Source: longest processing time first, Graham 1969; packing without attention across documents, Krell et al. 2021
        (arXiv:2107.02027).
    """
    sizes = [int(length) for length in lengths]
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
    ceiling = max(budget_tokens, max(sizes, default=0))
    # As many rows as the tokens fill, and one for each document that leaves no room for another one as long.
    large = sum(2 * size > ceiling for size in sizes)
    least = max(1, -(-sum(sizes) // (ceiling * world_size)), -(-large // world_size))
    most = max(1, -(-len(sizes) // world_size))  # one document per row keeps every budget

    def spread(per_rank: int) -> list[list[int]] | None:
        return _spread(sizes, order, per_rank * world_size, ceiling)

    for per_rank in range(least, min(least + _ONE_BY_ONE, most + 1)):
        if (rows := spread(per_rank)) is not None:
            return rows
    # A whole split may need hundreds of rows more: search outward with growing strides, then between the last two.
    too_few, stride = min(least + _ONE_BY_ONE, most + 1) - 1, 1
    while (rows := spread(enough := min(too_few + stride, most))) is None:
        too_few, stride = enough, 2 * stride
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if (found := spread(middle)) is None:
            too_few = middle
        else:
            enough, rows = middle, found
    return rows


def _spread(sizes: list[int], order: list[int], count: int, ceiling: int) -> list[list[int]] | None:
    """Each document in turn into the emptiest of `count` rows, the first of equals; None if a row exceeds the ceiling."""
    rows: list[list[int]] = [[] for _ in range(count)]
    emptiest = [(0, row) for row in range(count)]  # a heap as it stands
    for index in order:
        load, row = emptiest[0]
        load += sizes[index]
        if load > ceiling:
            return None
        rows[row].append(index)
        heapreplace(emptiest, (load, row))
    return rows


def rows_one_by_one(count: int, *, world_size: int) -> list[list[int]]:
    """One document per row, for models whose documents cannot share one; padded with empty rows to full ranks."""
    rows = -(-count // world_size) * world_size
    return [[index] if index < count else [] for index in range(rows)]
