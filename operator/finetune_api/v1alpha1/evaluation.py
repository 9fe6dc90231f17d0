"""`spec.evaluation`: how base and tuned model are compared, and what must be true before anything is published."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from finetune_api.model import Label, Model, Rule, SecretName
from finetune_api.v1alpha1.data import DataFormat, DatasetUri, FieldMapping

Task = Literal["chat", "classification", "extraction", "preference"]


class Metric(StrEnum):
    """What is measured on each held-out example; means and intervals are taken over examples."""

    LOSS = "loss"
    PERPLEXITY = "perplexity"
    TOKEN_ACCURACY = "token_accuracy"
    EXACT_MATCH = "exact_match"
    CHRF = "chrf"
    ENDS_BY_ITSELF = "ends_by_itself"
    ACCURACY = "accuracy"
    MACRO_F1 = "macro_f1"


@dataclass(frozen=True, slots=True)
class MetricTraits:
    """What the contract says of a metric: which tasks have it, which way is better, whether text must be generated."""

    tasks: tuple[Task, ...]
    lower_is_better: bool = False
    generated: bool = False


METRIC_TRAITS: dict[Metric, MetricTraits] = {
    Metric.LOSS: MetricTraits(("chat", "classification"), lower_is_better=True),
    Metric.PERPLEXITY: MetricTraits(("chat",), lower_is_better=True),
    Metric.TOKEN_ACCURACY: MetricTraits(("chat",)),
    Metric.EXACT_MATCH: MetricTraits(("chat",), generated=True),
    Metric.CHRF: MetricTraits(("chat",), generated=True),
    Metric.ENDS_BY_ITSELF: MetricTraits(("chat",), generated=True),
    Metric.ACCURACY: MetricTraits(("classification",)),
    Metric.MACRO_F1: MetricTraits(("classification",)),
}

MAIN_METRIC: dict[Task, Metric] = {"chat": Metric.LOSS, "classification": Metric.ACCURACY}
"""The metric behind the columns BASE, TUNED and VERDICT."""


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """The metrics a task has, in the order of reports."""
    return tuple(metric for metric, traits in METRIC_TRAITS.items() if task in traits.tasks)


class Suite(Model):
    """A further test set: an exam of the domain, or general examples that show forgetting. Never trained on."""

    name: Label
    """Short name, used by gates and reports."""
    uri: DatasetUri
    """Where the examples are."""
    format: DataFormat | None = None
    """Shape of the rows; auto if left out."""
    fields: FieldMapping | None = None
    """Field names, where they differ from those of the format."""
    secret_name: SecretName | None = None
    """Secret with credentials for the URI."""


class Gate(Model):
    """A bound that the tuned model must keep before anything is published. Say exactly one bound."""

    metric: Metric
    """What is bounded."""
    suite: Label | None = None
    """The suite it is measured on; left out: the held-out test examples."""
    min_improvement: Annotated[float, Field(ge=0)] | None = None
    """Tuned must be better than base by at least this much, in the metric's own unit."""
    max_regression: Annotated[float, Field(ge=0)] | None = None
    """Tuned may be worse than base by at most this much."""
    min_value: float | None = None
    """Tuned must reach at least this value."""
    max_value: float | None = None
    """Tuned must stay at or below this value."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.minImprovement), has(self.maxRegression), has(self.minValue), has(self.maxValue)]"
            ".filter(x, x).size() == 1",
            holds=lambda gate: sum(bound is not None for bound in gate.bounds()) == 1,
            message="say exactly one of minImprovement, maxRegression, minValue and maxValue",
        ),
    )

    def bounds(self) -> tuple[float | None, ...]:
        """The four possible bounds, of which one is set."""
        return (self.min_improvement, self.max_regression, self.min_value, self.max_value)


class Generation(Model):
    """Answers that base and tuned model write for held-out examples, both greedily and with the same limits."""

    examples: Annotated[int, Field(ge=0, le=100_000)] = 100
    """How many test examples (and examples of each suite) are answered, at least as many as are shown as samples; 0: none, and
    metrics and samples of answers are left out."""
    max_new_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Longest answer in tokens. Left out: the longest reference answer and a quarter more, at most 1,024."""


_GENERATED = tuple(metric for metric, traits in METRIC_TRAITS.items() if traits.generated)
_GENERATED_IN_CEL = "[" + ", ".join(f"'{metric}'" for metric in _GENERATED) + "]"
_ANSWERS_IN_CEL = "!has(self.generation) || !has(self.generation.examples) || self.generation.examples > 0"
"""Asked in full: the API server tries a rule on the default of `evaluation` before that of `generation` is filled in."""


class Evaluation(Model):
    """Comparison of the tuned model with its base on held-out examples."""

    baseline: bool = True
    """Score the base model too, on the same examples with the same decoding. Without it there is no verdict."""
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1, max_length=16)] | None = None
    """What is measured. Left out: everything the task has."""
    samples: Annotated[int, Field(ge=0, le=1000)] = 20
    """Answers of base and tuned model, side by side in the report, for experts to read. For chat there are none where
    generation.examples is 0."""
    generation: Generation = Generation()
    """Answers written for metrics and samples."""
    suites: Annotated[tuple[Suite, ...], Field(max_length=16)] = ()
    """Further test sets."""
    gates: Annotated[tuple[Gate, ...], Field(max_length=32)] = ()
    """Bounds that the tuned model must keep; if one fails the job ends Rejected and nothing is published."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.gates) || self.gates.all(g, !has(g.suite) ||"
            " (has(self.suites) && self.suites.exists(s, s.name == g.suite)))",
            holds=lambda e: all(g.suite is None or g.suite in {s.name for s in e.suites} for g in e.gates),
            message="a gate names a suite that is not in evaluation.suites",
            field="gates",
        ),
        Rule(
            cel="self.baseline || !has(self.gates) || self.gates.all(g, !has(g.minImprovement) && !has(g.maxRegression))",
            holds=lambda e: e.baseline or all(g.min_improvement is None and g.max_regression is None for g in e.gates),
            message="minImprovement and maxRegression compare with the base model, so baseline must be true",
            field="gates",
        ),
        Rule(
            cel="!has(self.suites) || self.suites.all(s, self.suites.exists_one(t, t.name == s.name))",
            holds=lambda e: len({s.name for s in e.suites}) == len(e.suites),
            message="two suites have the same name",
            field="suites",
        ),
        Rule(
            cel=f"{_ANSWERS_IN_CEL} || !has(self.metrics) || !self.metrics.exists(m, m in {_GENERATED_IN_CEL})",
            holds=lambda e: e.generation.examples > 0 or not any(metric in _GENERATED for metric in e.metrics or ()),
            message=f"{', '.join(_GENERATED)} are measured on written answers, and generation.examples is 0",
            field="metrics",
        ),
        Rule(
            cel=f"{_ANSWERS_IN_CEL} || !has(self.gates) || !self.gates.exists(g, g.metric in {_GENERATED_IN_CEL})",
            holds=lambda e: e.generation.examples > 0 or not any(gate.metric in _GENERATED for gate in e.gates),
            message=f"a gate on {', '.join(_GENERATED)} needs written answers, and generation.examples is 0",
            field="gates",
        ),
    )
