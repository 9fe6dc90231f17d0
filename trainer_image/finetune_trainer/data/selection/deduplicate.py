"""Exact duplicates, in memory that does not grow with the data.

Two examples are the same if their rendered texts and labels are. A test example that also stands in the training data
would measure memory instead of learning, so of equal examples the one in the most protected role stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_PER_PART = 1 << 18


def by_key(blocks: Iterable[NDArray[np.void]], key: str, count: int, *, folder: Path) -> Iterator[NDArray[np.void]]:
    """Records in parts that fit into memory, all with the same key in one part.

    They are first spread over files by their key.

    Args:
        blocks: records, a block at a time, all of one dtype.
        key: the field that holds the key, unsigned 64 bits, evenly spread.
        count: about how many records there are.
        folder: a directory for the parts; they are removed again.
    """
    parts = max(1, -(-count // _PER_PART))
    files = [folder / f"{part}.part" for part in range(parts)]
    handles = [file.open("wb") for file in files]
    dtype: np.dtype[np.void] | None = None
    for block in blocks:
        dtype = block.dtype
        part_of = (block[key] % np.uint64(parts)).astype(np.int64)
        for part in range(parts):
            handles[part].write(block[part_of == part].tobytes())
    for handle in handles:
        handle.close()
    for file in files:
        if dtype is not None:
            yield np.fromfile(file, dtype=dtype)
        file.unlink()


def find_copies(
    blocks: Iterable[NDArray[np.void]],
    order: Sequence[str],
    count: int,
    kept: NDArray[np.int64],
    *,
    folder: Path,
    in_memory: Callable[[NDArray[np.void]], NDArray[np.void]] = lambda part: part,
) -> None:
    """Find for all but one of equal examples the one that stays.

    Args:
        blocks: of the examples to compare: high and low as in FINGERPRINT (store.py), index, and the fields of `order`.
        order: fields, the most important first; of equal examples the one with the smallest values stays, at last that
            with the smallest index.
        count: about how many there are.
        kept: written in place: at the index of a copy, the index of the one that stays.
        folder: a directory for scratch files.
        in_memory: is given the examples of each part, to change fields of `order` that must not lie in scratch files as they
            are compared.
    """
    for part in map(in_memory, by_key(blocks, "high", count, folder=folder)):
        keys = ("index", *reversed(order), "low", "high")
        ordered = part[np.lexsort([part[name] for name in keys])]
        same = (ordered["high"][1:] == ordered["high"][:-1]) & (ordered["low"][1:] == ordered["low"][:-1])
        first = np.append(True, ~same)[: len(ordered)]
        stays = np.maximum.accumulate(np.where(first, np.arange(len(ordered)), 0))
        kept[ordered["index"][~first]] = ordered["index"][stays[~first]]
