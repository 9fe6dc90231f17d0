"""The last word on weights, when it is known what is trained on: relevance, bounds, normalisation, and what came of it.

Works on the records in blocks. What is read stays as it is, since a later attempt may go on from it. The mean by which weights
are divided is a sum without rounding error, the same in every order of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune_api.v1alpha1.weighting import Relevance, WeightBounds, Weighting
from finetune_trainer.data.records import TRAIN
from finetune_trainer.data.weighting.factors import Factors
from finetune_trainer.data.weighting.relevance import BUCKETS, Middle, WhatMatters, counted, log_ratios, scores, squashed

_BLOCK = 1 << 16
COMPONENTS = ("own", "rules", "relevance", "quality")
"""Of a weight, in the order in which they are told."""


@dataclass(slots=True)
class Component:
    """One factor, over the training examples."""

    mean: float
    lowest: float
    highest: float


@dataclass(slots=True)
class Weighed:
    """What weights are made of, over the training examples."""

    components: dict[str, Component] = field(default_factory=dict)
    compared_with: str | None = None
    """What relevance was measured by, in words."""
    clipped: int = 0
    """Training examples that a bound changed."""
    divided_by: float | None = None
    """Mean weight by which all were divided; None where none was asked for."""


def weigh(
    examples: NDArray[np.void],
    factors: Factors,
    destination: NDArray[np.uint8],
    weighting: Weighting,
    *,
    target: WhatMatters | None,
    file: Path,
) -> tuple[NDArray[np.float32], Weighed]:
    """Complete the weight of every example.

    Args:
        examples: all records, dtype EXAMPLE; their weights are own times rules times quality.
        factors: of the rows of which they are.
        destination: where each goes, shape (examples,); relevance and the mean are those of the training examples.
        weighting: of the manifest.
        target: what matters; None where relevance was not asked for.
        file: where the weights go, as they are mapped.
    Returns: the weight of each example, shape (examples,), and what they are made of. Weights of 0 stay 0.
    """
    relevance = np.ones(len(factors.rows), np.float32)
    if weighting.relevance is not None and target is not None:
        relevance = _relevance(factors, destination, weighting.relevance, target.counts)
    found = Weighed(compared_with=target.told if target is not None else None)
    sums = _Sums()
    weights = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(len(examples),))
    for span in factors.spans():
        train = destination[span.examples] == TRAIN
        parts = {name: span.records[name].astype(np.float64) for name in ("own", "rules", "quality")}
        parts["relevance"] = relevance[span.rows].astype(np.float64)
        each = {name: np.repeat(parts[name], span.counts) for name in COMPONENTS}
        product = examples["weight"][span.examples].astype(np.float64) * each["relevance"]
        within = _clipped(product, weighting.bounds)
        found.clipped += int((within != product)[train].sum())
        weights[span.examples] = within
        sums.add({name: values[train] for name, values in each.items()})
    found.components = sums.components()
    if weighting.normalize:
        found.divided_by = _normalize(weights, destination)
    return weights, found


def _clipped(weights: NDArray[np.float64], bounds: WeightBounds | None) -> NDArray[np.float64]:
    if bounds is None:
        return weights
    low, high = 0.0 if bounds.min is None else bounds.min, math.inf if bounds.max is None else bounds.max
    return np.where(weights == 0, 0.0, np.clip(weights, low, high))


def _normalize(weights: NDArray[np.float32], destination: NDArray[np.uint8]) -> float:
    """Divide all weights by their mean over the training examples, and return it."""
    trained = [weights[rows][destination[rows] == TRAIN] for rows in _blocks(len(weights))]
    count = sum(map(len, trained))
    mean = math.fsum(weight for block in trained for weight in block.tolist()) / count if count else 1.0
    for rows in _blocks(len(weights)):
        weights[rows] = weights[rows].astype(np.float64) / mean
    return mean


def _relevance(
    factors: Factors, destination: NDArray[np.uint8], said: Relevance, target: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The factor of each row, shape (rows,), float32."""
    trained = np.zeros(len(factors.rows), np.bool_)
    background = np.zeros(BUCKETS, np.int64)
    for span in factors.spans():
        first = np.cumsum(span.counts) - span.counts
        trained[span.rows] = np.logical_or.reduceat(destination[span.examples] == TRAIN, first)
        background += counted(span.ngrams[np.repeat(trained[span.rows], span.records["ngrams"])])
    ratios = log_ratios(target, background)
    found = np.zeros(len(factors.rows), np.int32)
    middle = Middle()
    for span in factors.spans():
        found[span.rows] = scores(span.ngrams, span.records["ngrams"].astype(np.int64), ratios)
        middle.add(found[span.rows][trained[span.rows]].astype(np.int64))
    median, deviation = middle.spread()
    result = np.ones(len(found), np.float32)
    for rows in _blocks(len(found)):
        block = found[rows].astype(np.int64)
        result[rows] = squashed(block, median=median, deviation=deviation, low=said.min, high=said.max)
    return result


class _Sums:
    """Mean, lowest and highest of each component."""

    def __init__(self) -> None:
        self._totals: dict[str, list[float]] = {name: [] for name in COMPONENTS}
        self._ends: dict[str, tuple[float, float]] = {}
        self._count = 0

    def add(self, parts: Mapping[str, NDArray[np.float64]]) -> None:
        for name, values in parts.items():
            if not len(values):
                return
            low, high = self._ends.get(name, (math.inf, -math.inf))
            self._ends[name] = min(low, float(values.min())), max(high, float(values.max()))
            self._totals[name].append(math.fsum(values.tolist()))
        self._count += len(next(iter(parts.values())))

    def components(self) -> dict[str, Component]:
        """Those that are not 1 for every example."""
        found = {name: Component(math.fsum(self._totals[name]) / self._count, *ends) for name, ends in self._ends.items()}
        return {name: part for name, part in found.items() if (part.lowest, part.highest) != (1.0, 1.0)}


def _blocks(count: int) -> Iterator[slice]:
    for begin in range(0, count, _BLOCK):
        yield slice(begin, min(begin + _BLOCK, count))
