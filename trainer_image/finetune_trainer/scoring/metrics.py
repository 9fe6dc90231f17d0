"""Metrics: each a function of per-example scores and of how often each example counts.

Counting examples several times or not at all is what a bootstrap does, so a metric that takes counts needs no second
definition for its interval. All numbers of an example are kept; sums are formed last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune_api.v1alpha1.evaluation import Metric

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """What was measured on each example of a test set; arrays of one length."""

    nll: NDArray[np.float64]
    """Sum of negative log-likelihoods of the reference's tokens, or of the label."""
    targets: NDArray[np.float64]
    """How many tokens that were; 1 for a label."""
    correct: NDArray[np.float64]
    """How many of them the model would have chosen."""
    generated: NDArray[np.bool_]
    """Whether an answer was written for it."""
    exact: NDArray[np.float64]
    """1 where the answer is the reference, up to white space; meaningless where none was written."""
    chrf: NDArray[np.float64]
    """Character n-gram F-score of the answer, 0 to 1."""
    ended: NDArray[np.float64]
    """1 where the model ended the answer by itself."""
    label: NDArray[np.int64]
    """True class, -1 for none."""
    predicted: NDArray[np.int64]
    """Chosen class, -1 for none."""


def loss(scores: Scores, counts: Counts) -> float:
    """Mean negative log-likelihood per target, in nats; 0 is best."""
    return _ratio(scores.nll, scores.targets, counts)


def perplexity(scores: Scores, counts: Counts) -> float:
    """exp(loss): among how many equally likely tokens the model seems to choose; 1 is best."""
    return float(np.exp(min(loss(scores, counts), 700.0)))


def token_accuracy(scores: Scores, counts: Counts) -> float:
    """Share of reference tokens that the model would have written, given the true ones before; 0 to 1."""
    return _ratio(scores.correct, scores.targets, counts)


def exact_match(scores: Scores, counts: Counts) -> float:
    """Share of answers that equal their reference, up to white space; 0 to 1."""
    return _ratio(scores.exact, np.ones_like(scores.exact), counts * scores.generated)


def chrf(scores: Scores, counts: Counts) -> float:
    """Mean character n-gram F-score of answers against references; 0 to 1. Source: Popovic 2015, by sacrebleu."""
    return _ratio(scores.chrf, np.ones_like(scores.chrf), counts * scores.generated)


def ends_by_itself(scores: Scores, counts: Counts) -> float:
    """Share of answers that the model ended before the limit; 0 to 1."""
    return _ratio(scores.ended, np.ones_like(scores.ended), counts * scores.generated)


def accuracy(scores: Scores, counts: Counts) -> float:
    """Share of examples whose class was chosen; 0 to 1."""
    return _ratio((scores.predicted == scores.label).astype(float), np.ones_like(scores.nll), counts)


def macro_f1(scores: Scores, counts: Counts) -> float:
    """Mean over classes of the harmonic mean of precision and recall; 0 to 1.

    The classes are those that occur as truth or as choice; a class that is only ever chosen scores 0.
    """
    table = confusion(scores, counts)
    hit, seen = np.diag(table), table.sum(0) + table.sum(1)
    present = seen > 0
    return float(np.mean(2 * hit[present] / seen[present])) if present.any() else 0.0


def confusion(scores: Scores, counts: Counts) -> NDArray[np.float64]:
    """How often each true class (row) was taken for each class (column): shape (classes, classes)."""
    classes = int(max(scores.label.max(initial=-1), scores.predicted.max(initial=-1))) + 1
    cells = scores.label * classes + scores.predicted
    return np.bincount(cells, weights=counts, minlength=classes * classes).astype(np.float64).reshape(classes, classes)


METRICS: dict[Metric, Callable[[Scores, Counts], float]] = {
    Metric.LOSS: loss,
    Metric.PERPLEXITY: perplexity,
    Metric.TOKEN_ACCURACY: token_accuracy,
    Metric.EXACT_MATCH: exact_match,
    Metric.CHRF: chrf,
    Metric.ENDS_BY_ITSELF: ends_by_itself,
    Metric.ACCURACY: accuracy,
    Metric.MACRO_F1: macro_f1,
}


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64], counts: Counts) -> float:
    total = float((below * counts).sum())
    return float((above * counts).sum()) / total if total else float("nan")


# ---------------------------------------------------------------- scores of one answer


def answer_chrf(answer: str, reference: str) -> float:
    """Character n-gram F-score of one answer, 0 to 1; it needs no word boundaries, so it suits every language."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().sentence_score(answer, [reference]).score) / 100


def same_text(answer: str, reference: str) -> bool:
    """Whether two texts are equal up to white space."""
    return answer.split() == reference.split()
