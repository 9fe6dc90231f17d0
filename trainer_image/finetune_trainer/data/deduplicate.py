"""Exact duplicates, in memory that does not grow with the data.

Two examples are the same if their rendered texts and labels are. A test example that also stands in the training data
would measure memory instead of learning, so of equal examples the one in the most protected role stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FINGERPRINT = np.dtype([("high", "<u8"), ("low", "<u8"), ("rank", "<u4"), ("index", "<u8")])
"""128 bits of the content, how protected its role is (0: most), and the position among all examples."""

_PER_PART = 1 << 18


def content_fingerprint(texts: Iterable[str]) -> tuple[int, int]:
    """128 bits of BLAKE2b over the texts of an example, as two unsigned 64-bit numbers."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\x00")
    value = digest.digest()
    return int.from_bytes(value[:8], "little"), int.from_bytes(value[8:], "little")


def mark_duplicates(blocks: Iterable[NDArray[np.void]], count: int, marks: NDArray[np.uint8], *, folder: Path) -> None:
    """Mark all but one of equal examples.

    The fingerprints are first spread over files by their leading bits, so that each file fits into memory and holds all
    copies of whatever it holds. Of equal examples the one with the smallest rank stays, then the first.

    Args:
        blocks: fingerprints of the examples to compare, dtype FINGERPRINT, a block at a time.
        count: about how many there are.
        marks: indexed by FINGERPRINT's index, uint8, written in place: 1 for a copy, 2 for a copy of an example of a
            smaller rank.
        folder: a directory for the parts; they are removed again.
    """
    parts = max(1, -(-count // _PER_PART))
    files = [folder / f"{part}.part" for part in range(parts)]
    handles = [file.open("wb") for file in files]
    for block in blocks:
        part_of = (block["high"] % np.uint64(parts)).astype(np.int64)
        for part in range(parts):
            handles[part].write(block[part_of == part].tobytes())
    for handle in handles:
        handle.close()
    for file in files:
        _mark_part(np.fromfile(file, dtype=FINGERPRINT), marks)
        file.unlink()


def _mark_part(part: NDArray[np.void], marks: NDArray[np.uint8]) -> None:
    ordered = part[np.lexsort((part["index"], part["rank"], part["low"], part["high"]))]
    if not len(ordered):
        return
    same = (ordered["high"][1:] == ordered["high"][:-1]) & (ordered["low"][1:] == ordered["low"][:-1])
    first = np.concatenate(([True], ~same))
    kept = np.maximum.accumulate(np.where(first, np.arange(len(ordered)), 0))
    copies = ~first
    marks[ordered["index"][copies]] = np.where(ordered["rank"][copies] > ordered["rank"][kept[copies]], 2, 1)
