"""Examples that are nearly the same: found among a million in minutes, whatever order they come in.

Two examples are alike if they share `similarity` of the pairs of words that either has (Jaccard), and a third of those of their
questions. They are near-duplicates if they share half of those of their answers too, and the label. So a canned answer to
another question makes no duplicate. Nor does another answer to the same form filled in differently: such two only have to
stay on one side of the split. Which example stays depends on how protected its role is, then on its content alone. Each that
leaves is alike to one that stayed when it left.

What is compared, and how fast, is sets.py's to know; here each is compared with few of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.selection.minhash import HASHES, band_keys, band_rows
from finetune_trainer.data.selection.sets import Sets
from finetune_trainer.data.selection.unions import Unions

TEST, SUITE, VALIDATION, TRAIN = 0, 1, 2, 3
"""How protected a row is. Rows of suites never leave: they are exams of others."""

_LEADERS = 64
"""Rows of a bucket with which all others of it are compared. In a larger one is what has a form in common; what is alike beyond
that meets in other bands."""
_FRUITLESS = 8
"""So many leaders in a row to whom nobody is alike, and a bucket of more than `_LEADERS` rows is given up: such buckets grow
with the data, and comparing all of them would cost its square."""
_RETURNS = 16
"""Passes after which rows return for whose sake they left has left itself. Each pass settles at least one more row for good."""


@dataclass(frozen=True, slots=True)
class Near:
    """What was found."""

    kept: NDArray[np.int64]
    """Per row the row to which it is too near to stay; -1: it stays."""
    united: NDArray[np.int64]
    """Per row a row that must be on the same side of the split; itself where there is none before it."""


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
            self._sets.let_go()
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
