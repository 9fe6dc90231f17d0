"""Groups of the split that have to stay together because examples of theirs are nearly the same.

A whole of several groups takes its place in the order of the split by a number of its own, made from its smallest group. That
group's own number would not do: the larger a whole, the smaller it is, and the surer the whole would be held out. A whole that
is larger than half of what is to be held out comes last, in training: it would fill the exam with variations on one theme.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.records import Records
from finetune_trainer.data.selection.shingles import mixed
from finetune_trainer.data.selection.unions import Unions

_LAST = np.uint64(0xFF << 56)
_TOO_LARGE = 0.5


class Wholes:
    """Which groups stay together.

    Args:
        records: everything that was read.
        united: per row a row that must be on the same side, the same one for all that must (Near.united); None: no two must.
    """

    def __init__(self, records: Records, united: NDArray[np.int64] | None) -> None:
        self._records = records
        self._groups = np.zeros(0, np.uint64)
        self._numbers = np.zeros(0, np.uint64)
        if united is None:
            return
        size = np.bincount(united, minlength=len(united))
        rows = np.flatnonzero(size[united] > 1)
        groups, group = np.unique(records.groups(records.examples[records.first[rows]]), return_inverse=True)
        whole = np.unique(united[rows], return_inverse=True)[1]
        unions = Unions(len(groups) + len(rows))
        unions.unite(group.astype(np.int64), whole.astype(np.int64) + len(groups))
        smallest = unions.roots()[: len(groups)]  # members of a whole are in ascending order, groups before all else
        several = np.bincount(smallest, minlength=len(groups))[smallest] > 1
        self._groups, self._numbers = groups[several], mixed(groups[smallest])[several]

    def numbers(self, groups: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """By what groups take their place in the order of the split: their own numbers, or those of their wholes.

        Args:
            groups: numbers of groups, shape (n,).
        Returns: shape (n,).
        """
        if not len(self._groups):
            return groups
        place = np.minimum(np.searchsorted(self._groups, groups), len(self._groups) - 1)
        return np.where(self._groups[place] == groups, self._numbers[place], groups)

    def keep_large_ones_in_training(self, held_out: float, training: NDArray[np.bool_]) -> None:
        """Put wholes last that are too large to be held out.

        Args:
            held_out: share of the training examples that the smallest held-out split shall have.
            training: whether each example is trained on so far, shape (examples,).
        """
        if not len(self._groups) or held_out <= 0:
            return
        wholes = np.unique(self._numbers)
        sizes = np.zeros(len(wholes), np.int64)
        for begin, block in self._records.blocks():
            numbers = self.numbers(self._records.groups(block[training[begin : begin + len(block)]]))
            place = np.minimum(np.searchsorted(wholes, numbers), len(wholes) - 1)
            sizes += np.bincount(place[wholes[place] == numbers], minlength=len(wholes))
        too_large = sizes > _TOO_LARGE * held_out * np.count_nonzero(training)
        self._numbers = np.where(too_large[np.searchsorted(wholes, self._numbers)], self._numbers | _LAST, self._numbers)
