"""What belongs together, found step by step: the whole in which something is has the number of its first member."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Unions:
    """Disjoint sets of the numbers from 0 to `count` - 1.

    Source: Shiloach and Vishkin 1982 (hooking and pointer jumping): each step works on all pairs at once.
    """

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count)

    def unite(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> None:
        """Put the set of each of `one` together with that of its counterpart in `other`; shape (pairs,) both."""
        while len(one):
            one, other = self._root(one), self._root(other)
            apart = one != other
            one, other = one[apart], other[apart]
            np.minimum.at(self._parent, np.maximum(one, other), np.minimum(one, other))

    def roots(self) -> NDArray[np.int64]:
        """The smallest member of the set of each number, shape (count,)."""
        return self._root(np.arange(len(self._parent)))

    def _root(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        found = self._parent[members]
        while not np.array_equal(above := self._parent[found], found):
            found = above
        self._parent[members] = found
        return found
