"""Held-out examples: the same on every machine and in every order of the files, and no group on both sides.

Each group gets a number by a keyed hash; the groups with the smallest numbers are the test set, the next ones validation.
So adding data moves no old group from test to train unless the shares demand it, and nothing depends on an order or on a
random generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

_BINS = 1 << 16
_ROUNDS = 27


def group_number(group: str, *, seed: int) -> int:
    """A group's place in the order that decides the split: 64 bits of BLAKE2b keyed by the seed."""
    key = seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(group.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest(), "little")


def hidden(groups: NDArray[np.uint64], key: bytes) -> NDArray[np.uint64]:
    """Other numbers for groups, one for each, from which nobody learns without the key which group it is: of a hash that needs
    none, whoever knows all customers tries them all.

    Args:
        groups: as `group_number` gives them, shape (n,).
    Returns: shape (n,).
    """
    high, low = _halves(groups)
    for round_key in _round_keys(key):
        high = (_turned(high, 24) + low) ^ round_key
        low = _turned(low, 3) ^ high
    return _whole(high, low)


def opened(groups: NDArray[np.uint64], key: bytes) -> NDArray[np.uint64]:
    """The numbers of groups that `hidden` was given, which alone are in the same order in every run."""
    high, low = _halves(groups)
    for round_key in reversed(_round_keys(key)):
        low = _turned(low ^ high, 29)
        high = _turned((high ^ round_key) - low, 8)
    return _whole(high, low)


def _round_keys(key: bytes) -> list[np.uint32]:
    """Of Speck64/128 (Beaulieu et al. 2013): a cipher of 64 bits, since a number has no more, and of additions, turns and XOR
    alone, so that numpy does a block of records at once."""
    first, *others = np.frombuffer(hashlib.blake2b(key, digest_size=16, person=b"numbers of group").digest(), "<u4")
    return _scheduled(first, list(others))


def _scheduled(first: np.uint32, others: list[np.uint32]) -> list[np.uint32]:
    keys, rest = [np.array([first], np.uint32)], [np.array([one], np.uint32) for one in others]
    for number in range(_ROUNDS - 1):
        rest.append((keys[-1] + _turned(rest[number], 24)) ^ np.uint32(number))
        keys.append(_turned(keys[-1], 3) ^ rest[-1])
    return [one[0] for one in keys]


def _turned(words: NDArray[np.uint32], left: int) -> NDArray[np.uint32]:
    return (words << np.uint32(left)) | (words >> np.uint32(32 - left))


def _halves(groups: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return (groups >> np.uint64(32)).astype(np.uint32), groups.astype(np.uint32)


def _whole(high: NDArray[np.uint32], low: NDArray[np.uint32]) -> NDArray[np.uint64]:
    return (high.astype(np.uint64) << np.uint64(32)) | low


def prompt_group(text: str) -> str:
    """The group of an example without a declared one: its prompt, whatever its case and white space."""
    return " ".join(text.casefold().split())


def thresholds(blocks: Callable[[], Iterator[NDArray[np.uint64]]], shares: tuple[float, ...]) -> tuple[int, ...]:
    """Upper bounds of group numbers for each held-out share, in order.

    A share takes whole groups, in the order of their numbers, until it has its part of the examples or would leave its
    part further behind by taking one more than by stopping; a share above 0 takes at least one group.

    Args:
        blocks: gives the group numbers of all examples, in blocks, as often as it is called: memory stays that of a block.
        shares: parts of the examples, each from 0 to 1, together below 1.
    Returns: for each share the bound: a group belongs to the first share whose bound its number is below.
    """
    counts = np.zeros(_BINS, np.int64)
    for block in blocks():
        counts += np.bincount((block >> np.uint64(48)).astype(np.int64), minlength=_BINS)
    total = int(counts.sum())
    bounds: list[int] = []
    taken_before, wanted, low = 0, 0.0, 0
    for share in shares:
        wanted += share * total
        if share <= 0 or total == 0:
            bounds.append(low)
            continue
        bound, taken = _bound(blocks, counts, wanted, low, taken_before)
        bounds.append(bound)
        low, taken_before = bound, taken
    return tuple(bounds)


def _bound(
    blocks: Callable[[], Iterator[NDArray[np.uint64]]], counts: NDArray[np.int64], wanted: float, low: int, before: int
) -> tuple[int, int]:
    """The number below which groups are taken, and the examples below it."""
    cumulative = np.cumsum(counts)
    border = min(int(np.searchsorted(cumulative, wanted, side="left")), _BINS - 1)
    while border < _BINS - 1 and cumulative[border] <= before:
        border += 1
    inside = np.sort(np.concatenate([block[(block >> np.uint64(48)).astype(np.int64) == border] for block in blocks()]))
    groups, sizes = np.unique(inside[inside >= np.uint64(low)], return_counts=True)
    taken = int(cumulative[border - 1]) if border else 0
    taken = max(taken, before)
    bound = max(low, border << 48)
    for group, size in zip(groups.tolist(), sizes.tolist(), strict=True):
        stop_is_closer = abs(taken - wanted) <= abs(taken + size - wanted)
        if taken > before and stop_is_closer:
            break
        taken += size
        bound = group + 1
    return bound, taken
