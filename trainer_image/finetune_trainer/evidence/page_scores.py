"""Scores on the page: base against tuned, metric by metric, and which classes are taken for which.

A reader must not have to know whether a loss or an accuracy is better when it is high, nor weigh an interval alone: each
row says "better", "worse" or "no clear difference", by the same rule as the verdict. Only a difference whose whole interval
lies on one side of zero counts as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from markupsafe import Markup

from finetune_api.v1alpha1.evaluation import METRIC_TRAITS, Metric
from finetune_trainer.evidence.charts import interval_mark
from finetune_trainer.evidence.page_words import NOTHING, common_decimals, counted, fixed, number, share, signed

EXPLAINED = {
    Metric.LOSS: "surprise at the reference, in nats; 0 is best",
    Metric.PERPLEXITY: "exp(loss): how many tokens seem equally likely; 1 is best",
    Metric.TOKEN_ACCURACY: "share of reference tokens that it would have written, 0 to 1",
    Metric.EXACT_MATCH: "share of answers equal to the reference, 0 to 1",
    Metric.CHRF: "likeness of answer and reference in their characters, 0 to 1",
    Metric.ENDS_BY_ITSELF: "share of answers that end before the limit, 0 to 1",
    Metric.ACCURACY: "share of examples put into the right class, 0 to 1",
    Metric.MACRO_F1: "F1 averaged over the classes, small ones count as much as large ones, 0 to 1",
}

MATRIX_CLASSES = 15
"""A larger matrix is no longer read; then the classes that are confused most are listed instead."""

_PAIRS = 20
_CLASSES_SHOWN = 500


class Outcome(StrEnum):
    """What a difference and its interval say."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "no clear difference"


def outcome(low: float, high: float, *, lower_is_better: bool) -> Outcome:
    """Better or worse if the whole interval of tuned minus base is on one side of zero."""
    if lower_is_better:
        low, high = -high, -low
    if low > 0:
        return Outcome.BETTER
    return Outcome.WORSE if high < 0 else Outcome.UNCLEAR


TONES = {Outcome.BETTER: "good", Outcome.WORSE: "bad", Outcome.UNCLEAR: "neutral"}


# ---------------------------------------------------------------- metrics


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of one test set, in words."""

    name: str
    explained: str
    direction: str
    measured_on: str
    base: str
    tuned: str
    difference: str
    interval: str
    outcome: Outcome | None
    """None where nothing was compared, or where nobody knows which way is better."""
    tone: str
    mark: Markup
    lower_is_better: bool


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """All metrics of one test set."""

    name: str
    is_suite: bool
    measured_on: str
    rows: list[MetricRow]
    compared: bool

    def tally(self) -> str:
        """How many metrics went which way: `3 better, 3 without a clear difference`."""
        of = [row.outcome for row in self.rows]
        words = {Outcome.BETTER: "better", Outcome.WORSE: "worse", Outcome.UNCLEAR: "without a clear difference"}
        return ", ".join(f"{of.count(one)} {said}" for one, said in words.items() if one in of)


def score_tables(evaluation: Mapping[str, Any]) -> list[ScoreTable]:
    """A table per test set: the held-out examples first, then the suites."""
    sets = evaluation.get("sets") or []
    if not sets and evaluation.get("summary"):
        sets = [{"name": "test", **evaluation["summary"]}]
    return [_table(one, is_suite=index > 0) for index, one in enumerate(sets)]


def _table(one: Mapping[str, Any], *, is_suite: bool) -> ScoreTable:
    base, tuned, delta = (one.get(key) or {} for key in ("base", "tuned", "delta"))
    names = list(tuned) + [name for name in base if name not in tuned]
    examples, groups = one.get("examples"), one.get("groups")
    measured_on = counted(examples, "example") if examples is not None else ""
    if groups is not None and groups != examples:
        measured_on += f" in {counted(groups, 'group')}"
    return ScoreTable(
        name=str(one.get("name", "test")),
        is_suite=is_suite,
        measured_on=measured_on,
        rows=[_row(name, base.get(name), tuned.get(name), delta.get(name), answered=one.get("answered")) for name in names],
        compared=bool(delta),
    )


def _row(
    name: str, base: float | None, tuned: float | None, delta: Mapping[str, Any] | None, *, answered: int | None
) -> MetricRow:
    metric = Metric(name) if name in set(Metric) else None
    traits = METRIC_TRAITS[metric] if metric else None
    known = delta is not None and None not in (delta["value"], *delta["ci95"])
    value: float | None = delta["value"] if delta and known else None
    ends: tuple[float, float] | None = tuple(delta["ci95"]) if delta and known else None
    decimals = common_decimals([one for one in (base, tuned) if one is not None], value)
    lower = bool(traits and traits.lower_is_better)
    found, tone, mark = None, "neutral", Markup("")
    if traits and value is not None and ends is not None:
        found = outcome(*ends, lower_is_better=lower)
        tone = TONES[found]
        mark = interval_mark(value, *ends, lower_is_better=lower, tone=tone)
    return MetricRow(
        name=name,
        explained=EXPLAINED[metric] if metric else "",
        direction=("lower is better" if lower else "higher is better") if traits else "",
        measured_on=f"on {counted(answered, 'answer')}" if traits and traits.generated and answered is not None else "",
        base=fixed(base, decimals),
        tuned=fixed(tuned, decimals),
        difference=signed(value, decimals),
        interval=" to ".join(signed(end, decimals) for end in ends) if ends else NOTHING,
        outcome=found,
        tone=tone,
        mark=mark,
        lower_is_better=lower,
    )


# ---------------------------------------------------------------- classes


@dataclass(frozen=True, slots=True)
class Cell:
    """How many examples of one class were taken for another."""

    count: int
    share: float
    """Of the class's examples, 0 to 1."""
    words: str
    right: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are the true classes, columns the chosen ones."""

    model: str
    rows: list[tuple[str, list[Cell], int]]
    """Class, cells, examples."""
    chosen: list[int]
    """How often each class was chosen."""
    examples: int
    right: int


@dataclass(frozen=True, slots=True)
class ClassRow:
    """How well one class is told."""

    name: str
    examples: int
    chosen: int
    precision: str
    recall: str
    f1: str
    base_f1: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Examples of one class that were taken for one other."""

    truth: str
    taken_for: str
    count: int
    of: int
    share: str


@dataclass(frozen=True, slots=True)
class Classes:
    """Everything about the classes of one test set."""

    name: str
    is_suite: bool
    labels: list[str]
    matrices: list[Matrix]
    """Of the tuned model, then of the base; empty if there are too many classes to read one."""
    pairs: list[Pair]
    """What the tuned model confuses most."""
    further_pairs: int
    rows: list[ClassRow]
    """In the order of the labels while few; else the least well told first."""
    sorted_by_f1: bool
    further_classes: int
    right: int
    examples: int
    majority: str
    """Accuracy of always choosing the most frequent class."""


def class_tables(evaluation: Mapping[str, Any]) -> list[Classes]:
    """Per test set which classes are taken for which; empty unless the task is classification."""
    return [
        _classes(one, is_suite=index > 0)
        for index, one in enumerate(evaluation.get("sets") or [])
        if (one.get("confusion") or {}).get("tuned") and one.get("labels")
    ]


def _classes(one: Mapping[str, Any], *, is_suite: bool) -> Classes:
    labels: list[str] = one["labels"]
    tuned = _square(one["confusion"]["tuned"], len(labels))
    base = _square(one["confusion"]["base"], len(labels)) if one["confusion"].get("base") else None
    few = len(labels) <= MATRIX_CLASSES
    order = list(range(len(labels)))
    if not few:
        order.sort(key=lambda c: (_f1(tuned, c) is None, _f1(tuned, c) or 0.0, labels[c]))
    confused = [(n, t, c) for t, row in enumerate(tuned) for c, n in enumerate(row) if n and c != t]
    pairs = sorted(confused, key=lambda pair: (-pair[0], *pair[1:]))
    majority = one.get("majorityShare")
    return Classes(
        name=str(one.get("name", "test")),
        is_suite=is_suite,
        labels=labels,
        matrices=[_matrix(who, table, labels) for who, table in (("tuned", tuned), ("base", base)) if few and table],
        pairs=[Pair(labels[t], labels[c], n, sum(tuned[t]), share(n, sum(tuned[t]))) for n, t, c in pairs[:_PAIRS]],
        further_pairs=max(0, len(pairs) - _PAIRS),
        rows=[_class_row(labels[c], c, tuned, base) for c in order[:_CLASSES_SHOWN]],
        sorted_by_f1=not few,
        further_classes=max(0, len(labels) - _CLASSES_SHOWN),
        right=sum(tuned[c][c] for c in range(len(labels))),
        examples=sum(map(sum, tuned)),
        majority=number(majority, digits=3) if majority is not None else "",
    )


def _square(table: Sequence[Sequence[int]], classes: int) -> list[list[int]]:
    """The matrix with a row and a column for every class: one without examples and choices may be missing at the end."""
    rows = [[*row, *([0] * (classes - len(row)))] for row in table]
    return rows + [[0] * classes for _ in range(classes - len(rows))]


def _matrix(who: str, table: list[list[int]], labels: Sequence[str]) -> Matrix:
    rows = []
    for truth, row in enumerate(table):
        of = sum(row)
        cells = [Cell(n, n / of if of else 0.0, f"{n:,}" if n else "", chosen == truth) for chosen, n in enumerate(row)]
        rows.append((labels[truth], cells, of))
    chosen = [sum(row[c] for row in table) for c in range(len(labels))]
    return Matrix(who, rows, chosen, sum(chosen), sum(table[c][c] for c in range(len(labels))))


def _class_row(name: str, c: int, tuned: list[list[int]], base: list[list[int]] | None) -> ClassRow:
    of, chosen = sum(tuned[c]), sum(row[c] for row in tuned)
    return ClassRow(
        name=name,
        examples=of,
        chosen=chosen,
        precision=fixed(tuned[c][c] / chosen if chosen else None, 3),
        recall=fixed(tuned[c][c] / of if of else None, 3),
        f1=fixed(_f1(tuned, c), 3),
        base_f1=fixed(_f1(base, c) if base else None, 3),
    )


def _f1(table: list[list[int]], c: int) -> float | None:
    """Harmonic mean of precision and recall; None for a class that neither occurs nor is chosen."""
    seen = sum(table[c]) + sum(row[c] for row in table)
    return 2 * table[c][c] / seen if seen else None
