"""Which rows two versions of a dataset share, which changed, came and went: by hashes, so that no content is kept.

A row has a key, which says what it is about (a ticket's number, or the question that is asked), and a content. The same key
with another content is a change; a key that only one version knows came or went. A key may stand several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEYED = np.dtype([("key", "<u8"), ("content", "<u8")])
"""64 bits of hash each: among ten million rows the chance that two different ones look alike is below one in 300,000."""


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What became of the rows of the old version, and what is new. Every row is counted once."""

    unchanged: int
    changed: int
    """Rows whose key stands in both versions with other contents."""
    added: int
    removed: int


def compare_rows(old: NDArray[np.void], new: NDArray[np.void]) -> RowChanges:
    """Compare two versions, whatever the order of their rows. O(n log n) time, a few copies of the hashes in memory.

    Args:
        old: dtype KEYED, shape (rows,).
        new: the same of the new version.
    """
    old_pairs, old_times = np.unique(old, return_counts=True)
    new_pairs, new_times = np.unique(new, return_counts=True)
    _, in_old, in_new = np.intersect1d(old_pairs, new_pairs, assume_unique=True, return_indices=True)
    same = np.minimum(old_times[in_old], new_times[in_new])
    old_times[in_old] -= same
    new_times[in_new] -= same
    old_keys, old_left = _per_key(old_pairs, old_times)
    new_keys, new_left = _per_key(new_pairs, new_times)
    _, in_old, in_new = np.intersect1d(old_keys, new_keys, assume_unique=True, return_indices=True)
    changed = int(np.minimum(old_left[in_old], new_left[in_new]).sum())
    return RowChanges(int(same.sum()), changed, int(new_left.sum()) - changed, int(old_left.sum()) - changed)


def moved_between(old: Mapping[str, NDArray[np.uint64]], new: Mapping[str, NDArray[np.uint64]]) -> dict[tuple[str, str], int]:
    """How many contents stand in one split of the old version and in another one of the new.

    A test example that was trained on before makes a new model's score look better than it is, if that model began with the
    old one.

    Args:
        old: contents per split, uint64, shape (examples,).
        new: the same of the new version.
    """
    found = {}
    for before, contents in old.items():
        for after, others in new.items():
            count = len(np.intersect1d(contents, others)) if before != after else 0
            if count:
                found[before, after] = count
    return found


def _per_key(pairs: NDArray[np.void], times: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    left = times > 0
    keys, where = np.unique(pairs["key"][left], return_inverse=True)
    return keys, np.bincount(where, weights=times[left], minlength=len(keys)).astype(np.int64)
