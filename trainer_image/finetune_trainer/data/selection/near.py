"""Examples that are nearly the same: found among a million in minutes, whatever order they come in.

Two examples are alike if they share `similarity` of the pairs of words that either has (Jaccard), and a third of those of their
questions. They are near-duplicates if they share half of those of their answers too, and the label. So a canned answer to
another question makes no duplicate. Nor does another answer to the same form filled in differently: such two only have to
stay on one side of the split. Which example stays depends on how protected its role is, then on its content alone. Each that
leaves is alike to one that stayed when it left.

What more than half of the examples of a dataset have in common (an instruction, a signature) is form and does not count.

Sets and signatures lie on disk, in the order of precedence; in memory are some 60 bytes per example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.selection.minhash import HASHES, band_keys, band_rows, estimated_likeness, signatures
from finetune_trainer.data.selection.shingles import ANSWERED
from finetune_trainer.data.selection.unions import Unions

TEST, SUITE, VALIDATION, TRAIN = 0, 1, 2, 3
"""How protected a row is. Rows of suites never leave: they are exams of others."""

_QUESTION, _ANSWER = 1 / 3, 1 / 2
"""Of each side so much must be shared, or the question or the answer is another: one other word among six is not yet another
question, another amount is another answer."""
_FORM_SHARE, _FORM_ROWS = 0.5, 20
"""What stands in more of a dataset's rows than both say is form."""
_SLOT_BITS = 22
_UNSURE = 0.15
"""Four standard deviations of the estimate: pairs that seem less alike by more are not looked at."""
_LEADERS = 64
"""Rows of a bucket with which all others of it are compared. In a larger one is what has a form in common; what is alike beyond
that meets in other bands."""
_FRUITLESS = 8
"""So many leaders in a row to whom nobody is alike, and a bucket of more than `_LEADERS` rows is given up: such buckets grow
with the data, and comparing all of them would cost its square."""
_RETURNS = 16
"""Passes after which rows return for whose sake they left has left itself. Each pass settles at least one more row for good."""
_AT_ONCE = 1 << 20
_PAIRS_AT_ONCE = 1 << 14


@dataclass(frozen=True, slots=True)
class Near:
    """What was found."""

    kept: NDArray[np.int64]
    """Per row the row to which it is too near to stay; -1: it stays."""
    united: NDArray[np.int64]
    """Per row a row that must be on the same side of the split; itself where there is none before it."""


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
                beat()
        self.begins = np.cumsum(self.sizes, dtype=np.int64) - self.sizes
        total = int(self.sizes.sum(dtype=np.int64))
        self.values: NDArray[np.uint32] = np.asarray(
            np.memmap(folder / "content.bin", np.uint32, mode="r") if total else np.zeros(0, np.uint32)
        )
        self.signatures: NDArray[np.uint8] = np.asarray(
            np.lib.format.open_memmap(folder / "signatures.npy", mode="w+", dtype=np.uint8, shape=(len(order), HASHES))
        )
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(self._sign, _chunks(self.sizes)):
                beat()

    def _sign(self, part: tuple[int, int]) -> None:
        begin, end = part
        some = np.flatnonzero(self.sizes[begin:end]) + begin
        if len(some):
            low, high = int(self.begins[begin]), int(self.begins[end - 1] + self.sizes[end - 1])
            self.signatures[some] = signatures(np.array(self.values[low:high]), self.sizes[some].astype(np.int64))

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


def find_near(
    sets: Sets,
    order: NDArray[np.int64],
    protected: NDArray[np.uint8],
    answer: NDArray[np.uint64],
    *,
    rows: int,
    similarity: float,
    beat: Callable[[], None] = lambda: None,
) -> Near:
    """Say which rows leave, and which must stay together.

    Args:
        sets: of the rows in `order`.
        order: the rows that are compared, in the order of precedence: by `protected`, then by content; shape (compared,).
        protected: TEST, SUITE, VALIDATION or TRAIN, shape (compared,).
        answer: label or short answer as a number, 0 for none; another one is no duplicate. Shape (compared,).
        rows: how many there are at all.
        similarity: from which on rows are alike, above 0 and at most 1.
        beat: called after each band, of which a pass has dozens.
    """
    search = _Search(sets, protected, answer, similarity, beat)
    kept = np.full(rows, -1, np.int64)
    active = sets.sizes > 0
    unsettled = active.copy()
    stays = np.full(len(order), -1, np.int64)
    for number in count():
        parent = search.once(active, unsettled)
        leaves = _leaves(parent)
        stays[leaves] = parent[leaves]
        active &= ~leaves
        waits = active & (parent >= 0)  # the row for whose sake it was no longer looked at has left itself
        returns = (stays >= 0) & ~active[stays] & (number < _RETURNS)
        active |= returns
        stays[returns] = -1
        unsettled = waits | returns
        if not unsettled.any():
            break
    left = stays >= 0
    kept[order[left]] = order[stays[left]]
    united = np.arange(rows)
    united[order] = order[search.unions.roots()]
    return Near(kept, united)


class _Search:
    """Passes over all bands."""

    def __init__(
        self,
        sets: Sets,
        protected: NDArray[np.uint8],
        answer: NDArray[np.uint64],
        similarity: float,
        beat: Callable[[], None],
    ) -> None:
        self._sets, self._protected, self._answer, self._similarity, self._beat = sets, protected, answer, similarity, beat
        self._rows = band_rows(similarity)
        self.unions = Unions(len(protected))
        """What stays together, after the passes that were made."""

    def once(self, active: NDArray[np.bool_], unsettled: NDArray[np.bool_]) -> NDArray[np.int64]:
        """For each row the first that was found to push it out, if that one stays (-1: none).

        Args:
            active: rows that are there, shape (compared,).
            unsettled: those about whom an earlier pass left a question: pairs of two others are not looked at again.
        """
        parent = np.full(len(active), -1, np.int64)
        for band in range(HASHES // self._rows):
            settled = (parent >= 0) & (parent[parent] < 0)  # until the one for whose sake it leaves must leave itself
            members = np.flatnonzero(active & ~settled)
            keys = band_keys(self._sets.signatures[members], self._rows, band)
            by_key = np.argsort(keys, kind="stable")
            self._buckets(members[by_key], keys[by_key], unsettled, parent)
            self._beat()
        return parent

    def _buckets(
        self, members: NDArray[np.int64], keys: NDArray[np.uint64], unsettled: NDArray[np.bool_], parent: NDArray[np.int64]
    ) -> None:
        """Compare with the first of each bucket all others, then with the first of those that are left, and so on."""
        fruitless = np.zeros(len(keys), np.int64)  # of a row's bucket: how many leaders in a row were
        for _ in range(_LEADERS):
            starts, sizes = _runs(keys)
            asked = np.logical_or.reduceat(unsettled[members], starts) if len(starts) else np.zeros(0, bool)
            goes_on = asked & (sizes > 1) & ((fruitless[starts] < _FRUITLESS) | (sizes <= _LEADERS))
            if not goes_on.any():
                return
            left = np.repeat(goes_on, sizes)
            members, keys, fruitless = members[left], keys[left], fruitless[left]
            starts, sizes = _runs(keys)
            leader = np.repeat(members[starts], sizes)
            goes, alike = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
            pairs = np.flatnonzero((leader != members) & (unsettled[leader] | unsettled[members]))
            goes[pairs], together = self._judged(leader[pairs], members[pairs])
            alike[pairs] = goes[pairs] | together
            parent[members[goes]] = leader[goes]
            self.unions.unite(leader[pairs[together]], members[pairs[together]])
            fruitless = np.repeat(np.where(np.logical_or.reduceat(alike, starts), 0, fruitless[starts] + 1), sizes)
            left = (leader != members) & ~goes
            members, keys, fruitless = members[left], keys[left], fruitless[left]

    def _judged(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether the later of two rows must go for the sake of the earlier, or both must stay together."""
        goes, together = np.zeros(len(one), bool), np.zeros(len(one), bool)
        asked = np.flatnonzero(self._protected[other] != SUITE)
        one, other = one[asked], other[asked]
        alike, answer = self._sets.compare(one, other, self._similarity)
        known = (self._answer[one] > 0) & (self._answer[other] > 0)
        answer &= ~known | (self._answer[one] == self._answer[other])
        contaminated = self._protected[one] < self._protected[other]
        goes[asked] = alike & (answer | contaminated)
        together[asked] = alike & ~answer & (self._protected[one] == TRAIN)
        return goes, together


def _runs(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where equal neighbours begin, and how many they are."""
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    return starts, np.diff(np.append(starts, len(keys)))


def _leaves(parent: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A row leaves if the one for whose sake it would stays. Parents come before their children."""
    leaves = np.zeros(len(parent), bool)
    known = parent < 0
    while not known.all():
        now = np.flatnonzero(~known)
        now = now[known[parent[now]]]
        leaves[now] = ~leaves[parent[now]]
        known[now] = True
    return leaves


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
