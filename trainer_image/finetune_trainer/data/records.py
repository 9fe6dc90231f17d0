"""What is known of every example and row between reading and writing, mapped from disk; texts and tokens are not looked at."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16
"""Records looked at at once."""

TRAIN, VALIDATION, TEST, FIRST_SUITE = 1, 2, 3, 4
"""Destinations of an example; 0 is nowhere."""


@dataclass(frozen=True, slots=True)
class Records:
    """Everything that was read. Examples of a row stand one after another, rows in the order of their examples."""

    examples: NDArray[np.void]
    """Shape (examples,), dtype EXAMPLE."""
    fingerprints: NDArray[np.void]
    """Shape (examples,), dtype FINGERPRINT."""
    rows: NDArray[np.void]
    """Shape (rows,), dtype ROW."""
    shingles: NDArray[np.uint32]
    """Sets of pairs of words of all rows, one after another; empty where near-duplicates are not looked for."""
    open: Callable[[NDArray[np.uint64]], NDArray[np.uint64]] | None = field(default=None, repr=False)
    """Makes of the numbers of groups in `examples` those that decide the split (selection/split.py); None: they do."""

    def groups(self, examples: NDArray[np.void]) -> NDArray[np.uint64]:
        """The groups of some examples by the numbers that decide the split: for memory alone, since anybody can try whose they
        are."""
        numbers: NDArray[np.uint64] = np.asarray(examples["group"])
        return numbers if self.open is None else self.open(numbers)

    @property
    def first(self) -> NDArray[np.int64]:
        """The first example of each row, shape (rows,)."""
        counts = np.asarray(self.rows["examples"], np.int64)
        return np.cumsum(counts) - counts

    def blocks(self) -> Iterator[tuple[int, NDArray[np.void]]]:
        """Examples in blocks, each copied into memory: the number of its first, and its records, dtype EXAMPLE."""
        for begin in range(0, len(self.examples), BLOCK):
            yield begin, np.array(self.examples[begin : begin + BLOCK])


def let_go(values: NDArray[Any]) -> None:
    """Give the pages of a mapped array back to the machine; what is wanted again is read again."""
    if isinstance(values, np.memmap):
        values._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]  # numpy has no other way to it


def protected_roles(roles: Sequence[str]) -> NDArray[np.uint8]:
    """How protected the rows of each dataset are: test 0, suite 1, validation 2, train 3; shape (datasets,).

    Of two rows that cannot both stay, the one with the smaller number does.
    """
    return np.array([("test", "suite", "validation", "train").index(role) for role in roles], np.uint8)
