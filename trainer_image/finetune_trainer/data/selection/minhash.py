"""Signatures: 128 bytes in which two sets agree as often as they are alike, however large they are.

A million examples are half a million million pairs. So only those are looked at that agree in a whole band of their signatures:
alike ones nearly always do in some band, others hardly ever.

Source: Broder 1997 (minwise hashing); Li and Koenig 2010 (arXiv:0910.3349), one byte of each minimum is enough; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, chapter 3 (bands).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HASHES = 128
"""Bytes of a signature. The share in which two agree misses their likeness by 0.04 (one standard deviation) at most."""
_BY_CHANCE = 1 / 256
_ALL_BYTES = np.uint64(0x0101010101010101)
"""Times a number, its highest byte is the sum of its bytes."""
_MISSED_AT_MOST = 1e-4
_MOST_ROWS, _LEAST_ROWS = 8, 3
_AT_ONCE = 1 << 16
"""Pairs of words hashed at once: they stay in the cache of a core."""


def _functions() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Factors (odd) and summands of the hash functions: fixed numbers, the same whatever numpy is installed (SplitMix)."""
    state = np.arange(1, 2 * HASHES + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    numbers = ((state ^ (state >> np.uint64(31))) >> np.uint64(32)).astype(np.uint32)
    return numbers[:HASHES] | np.uint32(1), numbers[HASHES:]


_FACTORS, _SUMMANDS = _functions()


def signatures(values: NDArray[np.uint32], counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The signatures of sets.

    Args:
        values: their members, one set after another; hashes already, so that their bits are even.
        counts: members of each, shape (sets,), each >= 1.
    Returns: shape (sets, HASHES).
    """
    found = np.empty((len(counts), HASHES), np.uint8)
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(counts):
        low = int(ends[begin] - counts[begin])
        end = max(begin + 1, int(np.searchsorted(ends, low + _AT_ONCE, side="right")))
        part = values[low : int(ends[end - 1])]
        starts = ends[begin:end] - counts[begin:end] - low
        hashed = np.empty_like(part)
        for number in range(HASHES):
            np.multiply(part, _FACTORS[number], out=hashed)
            np.add(hashed, _SUMMANDS[number], out=hashed)
            found[begin:end, number] = np.minimum.reduceat(hashed, starts)
        begin = end
    return found


def estimated_likeness(ones: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How alike the sets behind signatures are, about; shape (pairs,), 0 or a little less to 1."""
    by_byte = (ones == others).view(np.uint64).sum(axis=1)  # eight counts in a number, each at most 16
    agreeing = (by_byte * _ALL_BYTES >> np.uint64(56)) / HASHES
    found: NDArray[np.float64] = (agreeing - _BY_CHANCE) / (1 - _BY_CHANCE)
    return found


def band_rows(likeness: float) -> int:
    """Bytes of a band, as many as let at most one of 10,000 pairs of this likeness agree in none; from 3 to 8."""
    for rows in range(_MOST_ROWS, _LEAST_ROWS, -1):
        if (1 - likeness**rows) ** (HASHES // rows) <= _MISSED_AT_MOST:
            return rows
    return _LEAST_ROWS


def band_keys(parts: NDArray[np.uint8], rows: int, band: int) -> NDArray[np.uint64]:
    """One band of each signature as a number.

    Args:
        parts: signatures, shape (sets, HASHES).
    """
    keys = np.zeros((len(parts), 8), np.uint8)
    keys[:, :rows] = parts[:, band * rows : (band + 1) * rows]
    return keys.view("<u8")[:, 0]
