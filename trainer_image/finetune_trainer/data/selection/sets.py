"""The pairs of words of many examples, and how alike two of them are.

Sets and signatures lie on disk, in the order of precedence: of a million examples they take gigabytes, in memory are some 60
bytes per example. Signatures say roughly how alike two are, and only pairs that may be alike are compared by their sets.

What more than half of the examples of a dataset have in common (an instruction, a signature) is form and does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.records import let_go
from finetune_trainer.data.selection.minhash import HASHES, estimated_likeness, signatures
from finetune_trainer.data.selection.shingles import ANSWERED

_QUESTION, _ANSWER = 1 / 3, 1 / 2
"""Of each side so much must be shared, or the question or the answer is another: one other word among six is not yet another
question, another amount is another answer."""
_FORM_SHARE, _FORM_ROWS = 0.5, 20
"""What stands in more of a dataset's rows than both say is form."""
_SLOT_BITS = 22
_UNSURE = 0.15
"""Four standard deviations of the estimate: pairs that seem less alike by more are not looked at."""
_AT_ONCE = 1 << 20
_PAIRS_AT_ONCE = 1 << 14


class Sets:
    """The pairs of words of all rows that are compared, in the order of precedence, with their signatures.

    Args:
        shingles: the sets of all rows, one after another.
        counts: how many members each has, shape (rows,).
        dataset: of each row, shape (rows,).
        order: the rows to compare, the one that stays first.
        folder: for the files.
        threads: that compute signatures.
        beat: called after each part of the rows.
    """

    def __init__(
        self,
        shingles: NDArray[np.uint32],
        counts: NDArray[np.int32],
        dataset: NDArray[np.int32],
        order: NDArray[np.int64],
        *,
        folder: Path,
        threads: int,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        ends = np.cumsum(counts, dtype=np.int64)
        form = _form(shingles, counts, ends, dataset, order)
        self.sizes = np.zeros(len(order), np.int32)
        self.asked = np.zeros(len(order), np.int32)
        with (folder / "content.bin").open("wb") as file:
            for begin, end in _chunks(counts[order]):
                rows = order[begin:end]
                values = _gathered(shingles, ends[rows] - counts[rows], counts[rows])
                sides = np.repeat(np.arange(0, 2 * len(rows), 2), counts[rows]) + (values >= ANSWERED)
                keep = ~form[values >> np.uint32(32 - _SLOT_BITS)]
                left = np.bincount(sides[keep], minlength=2 * len(rows))
                keep |= left[sides] == 0  # a side that is nothing but form is compared by it
                left = np.bincount(sides[keep], minlength=2 * len(rows)).reshape(-1, 2)
                self.asked[begin:end], self.sizes[begin:end] = left[:, 0], left.sum(axis=1)
                file.write(values[keep].tobytes())
                let_go(shingles)
                beat()
        self.begins = np.cumsum(self.sizes, dtype=np.int64) - self.sizes
        total = int(self.sizes.sum(dtype=np.int64))
        content = np.memmap(folder / "content.bin", np.uint32, mode="r") if total else np.zeros(0, np.uint32)
        signs = np.lib.format.open_memmap(folder / "signatures.npy", mode="w+", dtype=np.uint8, shape=(len(order), HASHES))
        self._mapped = (content, signs)
        self.values: NDArray[np.uint32] = np.asarray(content)
        self.signatures: NDArray[np.uint8] = np.asarray(signs)
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(self._sign, _chunks(self.sizes)):
                self.let_go()
                beat()

    def _sign(self, part: tuple[int, int]) -> None:
        begin, end = part
        some = np.flatnonzero(self.sizes[begin:end]) + begin
        if len(some):
            low, high = int(self.begins[begin]), int(self.begins[end - 1] + self.sizes[end - 1])
            self.signatures[some] = signatures(np.array(self.values[low:high]), self.sizes[some].astype(np.int64))

    def let_go(self) -> None:
        """Give the pages that were looked at back to the machine: it keeps them for as long as it has room."""
        for mapped in self._mapped:
            let_go(mapped)

    def compare(
        self, one: NDArray[np.int64], other: NDArray[np.int64], similarity: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether rows are alike, and whether what they answer is too.

        Args:
            one, other: places in the order, shape (pairs,); fast where the same `one` comes many times in a row.
        """
        alike, answer = np.zeros(len(one), bool), np.zeros(len(one), bool)
        first, second = self.sizes[one], self.sizes[other]
        possible = np.flatnonzero(np.minimum(first, second) >= similarity * np.maximum(first, second))
        for begin in range(0, len(possible), _PAIRS_AT_ONCE):
            part = possible[begin : begin + _PAIRS_AT_ONCE]
            seems = estimated_likeness(self._signatures_of_runs(one[part]), self.signatures[other[part]]) > similarity - _UNSURE
            maybe = part[seems]
            for low, high in _chunks(self.sizes[one[maybe]] + self.sizes[other[maybe]]):
                chosen = maybe[low:high]
                alike[chosen], answer[chosen] = self._exactly(one[chosen], other[chosen], similarity)
        return alike, answer

    def _signatures_of_runs(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Each from the disk once, however often a place comes in a row."""
        starts = np.flatnonzero(np.append(True, places[1:] != places[:-1]))
        return np.repeat(self.signatures[places[starts]], np.diff(np.append(starts, len(places))), axis=0)

    def _exactly(
        self, one: NDArray[np.int64], other: NDArray[np.int64], similarity: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        first, second = (self._keyed(places) for places in (one, other))
        found = np.minimum(np.searchsorted(first, second), len(first) - 1)
        shared = second[first[found] == second]
        side = (shared >> np.uint64(32)).astype(np.int64) * 2 + ((shared & np.uint64(ANSWERED)) > 0)
        both = np.bincount(side, minlength=2 * len(one)).reshape(-1, 2)
        asked = self.asked[one] + self.asked[other] - both[:, 0]
        either = self.sizes[one] + self.sizes[other] - both.sum(axis=1)
        answered = either - asked
        alike = (both.sum(axis=1) >= similarity * either) & (both[:, 0] >= _QUESTION * asked)
        return alike, both[:, 1] >= _ANSWER * answered

    def _keyed(self, places: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Their sets, each member with the number of its pair of rows before it: one ascending list."""
        values = _gathered(self.values, self.begins[places], self.sizes[places])
        number = np.repeat(np.arange(len(places), dtype=np.uint64), self.sizes[places])
        return number << np.uint64(32) | values


def _form(
    shingles: NDArray[np.uint32],
    counts: NDArray[np.int32],
    ends: NDArray[np.int64],
    dataset: NDArray[np.int32],
    order: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """What is form, by the leading bits of its hash. Others that share them are taken for form too: one of thousands."""
    form = np.zeros(1 << _SLOT_BITS, bool)
    rows = np.sort(order)
    for number in np.unique(dataset[rows]):
        of_it = rows[dataset[rows] == number]
        found = np.zeros(1 << _SLOT_BITS, np.uint32)
        for begin, end in _chunks(counts[of_it]):
            part = of_it[begin:end]
            values = _gathered(shingles, ends[part] - counts[part], counts[part])
            found += np.bincount(values >> np.uint32(32 - _SLOT_BITS), minlength=len(found)).astype(np.uint32)
        form |= found > max(_FORM_ROWS, _FORM_SHARE * len(of_it))
    return form


def _gathered(values: NDArray[np.uint32], begins: NDArray[np.int64], counts: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Sets from different places as one list."""
    sizes = counts.astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    found: NDArray[np.uint32] = np.asarray(values[np.repeat(begins - starts, sizes) + np.arange(int(sizes.sum()))])
    return found


def _chunks(counts: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """Neighbours that together have about `_AT_ONCE` members, as (begin, end); at least one at a time."""
    ends = np.cumsum(counts, dtype=np.int64)
    begin = 0
    while begin < len(counts):
        before = int(ends[begin] - counts[begin])
        end = max(begin + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        yield begin, end
        begin = end
