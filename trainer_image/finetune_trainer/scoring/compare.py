"""Tuned against base: is the difference more than chance?

Both models see the same examples, so the examples are drawn anew (with replacement) many times and the difference is
measured each time; the middle 95 % are the interval. Whole groups are drawn: five tickets of one customer are not five
independent witnesses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune_api.contract.summary import Verdict
from finetune_api.v1alpha1.evaluation import METRIC_TRAITS, Metric
from finetune_trainer.scoring.metrics import METRICS, Counts, Scores

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Difference:
    """Tuned minus base."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""


def measure(scores: Scores, metrics: Sequence[Metric]) -> dict[Metric, float]:
    """The metrics of one model, leaving out those for which nothing was measured."""
    once = np.ones(len(scores.nll))
    found = {metric: METRICS[metric](scores, once) for metric in metrics}
    return {metric: value for metric, value in found.items() if math.isfinite(value)}


def compare(
    base: Scores, tuned: Scores, groups: NDArray[np.uint64], metrics: Sequence[Metric], *, seed: int
) -> dict[Metric, Difference]:
    """Differences with 95 % intervals, by a paired bootstrap over groups.

    Args:
        base, tuned: scores on the same examples, in the same order.
        groups: which examples belong together, shape (examples,).
        metrics: what to compare; those without a measurement are left out.
        seed: of the resampling.
    Source: Efron and Tibshirani 1993, percentile interval; Koehn 2004 for its use on paired systems.
    """
    once = np.ones(len(base.nll))
    values = {metric: METRICS[metric](tuned, once) - METRICS[metric](base, once) for metric in metrics}
    values = {metric: value for metric, value in values.items() if math.isfinite(value)}
    drawn: dict[Metric, list[float]] = {metric: [] for metric in values}
    for counts in _resamples(groups, seed):
        for metric, differences in drawn.items():
            difference = METRICS[metric](tuned, counts) - METRICS[metric](base, counts)
            if math.isfinite(difference):  # a resample may hold no answered example at all
                differences.append(difference)
    found = {}
    for metric, value in values.items():
        low, high = np.quantile(drawn[metric], [0.025, 0.975]) if drawn[metric] else (value, value)
        found[metric] = Difference(value, float(low), float(high))
    return found


def verdict(difference: Difference, metric: Metric, *, witnesses: int = 2) -> Verdict:
    """Improved or regressed if the whole interval is on one side of zero; otherwise nobody can tell.

    Args:
        witnesses: groups that were drawn from. Of a single one every draw is the same, and the interval a point.
    """
    if witnesses < 2:
        return "Inconclusive"
    worse, better = (
        (difference.high, difference.low) if METRIC_TRAITS[metric].lower_is_better else (difference.low, difference.high)
    )
    sign = -1.0 if METRIC_TRAITS[metric].lower_is_better else 1.0
    if sign * worse > 0:
        return "Improved"
    return "Regressed" if sign * better < 0 else "Inconclusive"


def _resamples(groups: NDArray[np.uint64], seed: int) -> Iterator[Counts]:
    """How often each example counts in each resample: its group's number of draws."""
    _, group_of = np.unique(groups, return_inverse=True)
    number = int(group_of.max(initial=-1)) + 1
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES if number else 0):
        draws = np.bincount(generator.integers(number, size=number), minlength=number)
        yield draws[group_of].astype(np.float64)
