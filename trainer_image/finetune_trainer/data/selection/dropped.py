"""Counts of what is left out, by dataset and reason, and of which data held out by hand it would have betrayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune_api.contract.data_words import told


class DropCounter:
    """Told about examples that are left out.

    Args:
        names: of the datasets, by number.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self.counts: dict[tuple[str, str], int] = {}
        """By dataset and reason."""
        self.contamination: dict[tuple[str, str, str], int] = {}
        """By dataset, the dataset held out by hand in which it also stands, and reason."""

    def add(self, datasets: NDArray[np.int32], reason: str) -> None:
        """Count examples as left out.

        Args:
            datasets: the number of each one's dataset, shape (examples,).
        """
        for dataset, count in zip(*np.unique(datasets, return_counts=True), strict=True):
            key = (self._names[int(dataset)], reason)
            self.counts[key] = self.counts.get(key, 0) + int(count)

    def contaminated(self, datasets: NDArray[np.int32], exams: NDArray[np.int32], reason: str) -> None:
        """Count examples as left out for the sake of others.

        Args:
            datasets: the number of each one's dataset, shape (examples,).
            exams: the number of the dataset for whose sake it leaves, shape (examples,).
        """
        self.add(datasets, reason)
        pairs, counts = np.unique(np.stack((datasets, exams)), axis=1, return_counts=True)
        for (dataset, exam), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
            key = (self._names[dataset], self._names[exam], reason)
            self.contamination[key] = self.contamination.get(key, 0) + count

    def told(self) -> str:
        """What was left out, for a message: reasons in words with their numbers, the most frequent first."""
        reasons: Counter[str] = Counter()
        for (_, reason), count in self.counts.items():
            reasons[reason] += count
        return told(reasons)
