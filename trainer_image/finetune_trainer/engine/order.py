"""Which examples each optimizer step sees: a function of the seed alone.

No world size and no state goes in. So a resumed run, on as many processes as before or on fewer, sees each example when it
would have seen it anyway, and the weighted token count of a step is known to every rank without asking the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class GlobalOrder:
    """The examples of every optimizer step.

    Args:
        datasets: per example the number of its dataset, shape (examples,).
        mixing: per dataset how often an epoch sees each of its examples; 0.5 sees another half each epoch.
        batch_size: examples per step over all ranks; the rest of an epoch that fills no step is left out, another one each
            epoch.
        seed: of the order.
    """

    def __init__(self, datasets: NDArray[np.int32], mixing: Sequence[float], *, batch_size: int, seed: int) -> None:
        self._members = [np.flatnonzero(datasets == number) for number in range(len(mixing))]
        self._mixing = list(mixing)
        self._seed = seed
        self.per_epoch = sum(self._count(number) for number in range(len(mixing)))
        self.batch_size = min(batch_size, self.per_epoch)
        self.steps_per_epoch = max(1, self.per_epoch // self.batch_size)
        self._epoch = -1
        self._indices: NDArray[np.int64] = np.zeros(0, np.int64)

    def batch(self, step: int) -> NDArray[np.int64]:
        """Indices of the examples of a step, counted from 0; shape (batch size,)."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._indices = self._shuffled(epoch)
            self._epoch = epoch
        begin = position * self.batch_size
        return self._indices[begin : begin + self.batch_size]

    def _count(self, number: int) -> int:
        whole, part = divmod(self._mixing[number], 1.0)
        return int(whole) * len(self._members[number]) + round(part * len(self._members[number]))

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        parts = []
        for number, members in enumerate(self._members):
            whole, part = divmod(self._mixing[number], 1.0)
            parts += [members] * int(whole)
            if part:
                chosen = np.random.default_rng([self._seed, epoch, number]).permutation(len(members))
                parts.append(members[np.sort(chosen[: round(part * len(members))])])
        everything = np.concatenate(parts)
        return everything[np.random.default_rng([self._seed, epoch]).permutation(len(everything))]
