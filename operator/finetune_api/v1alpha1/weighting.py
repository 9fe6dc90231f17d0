"""`spec.preparation.weighting`: how much an example counts in the loss, by its fields, its relevance and its quality."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from finetune_api.model import Matching, Model, Rule, SecretName, Text
from finetune_api.v1alpha1.data import FORMATS_OF_ROWS, DataFormat, DatasetUri, FieldMapping

_DAY = (
    "^(19|20|21)[0-9]{2}-("
    "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-9]))$"
)
Day = Annotated[str, Field(max_length=10), Matching(_DAY, "a day, as in 2026-11-30")]
Value = Annotated[str, Field(max_length=1024)]

REFERENCE_FIELD = "spec.preparation.weighting.relevance.reference"
_CONDITIONS = "equals, oneOf, contains, present, atLeast/atMost, since/until and halfLifeDays"


class WeightRule(Model):
    """One rule of loss weighting: rows whose field meets the condition weigh that much. Say exactly one condition."""

    field: Text
    """Name of a field of your rows; a dot goes into objects, as in meta.priority. A row without the field meets no condition
    but present: false."""
    weight: Annotated[float, Field(ge=0, le=1000)]
    """Factor on the loss of such rows. Weights of several matching rules multiply; 0 leaves the row out."""
    equals: Value | None = None
    """Value the field must have, as text: 3 matches the numbers 3 and 3.0, true matches the Boolean. Of a list one item must
    have it."""
    one_of: Annotated[tuple[Value, ...], Field(min_length=1, max_length=64)] | None = None
    """Values of which the field must have one, each as for equals."""
    contains: Text | None = None
    """Text that must stand in the field, in upper or lower case. Of a list it must stand in one item."""
    present: bool | None = None
    """true: the field must be there and not be empty. false: it must be missing or empty."""
    at_least: float | None = None
    """Lowest number the field may have. A value that is no number must be mended and ends the job."""
    at_most: float | None = None
    """Highest number the field may have; together with atLeast a range."""
    since: Day | None = None
    """First day the field may have, as in 2026-01-31. Read are dates and times as in 2026-01-31, 2026-01-31T08:15:00+01:00
    and 31.01.2026; a time without a zone is UTC. A value that is no date must be mended and ends the job."""
    until: Day | None = None
    """Last day the field may have; together with since a range."""
    half_life_days: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Weigh rows by their age: weight counts for a row of the day asOf (and of later days), half of it for a row that is so
    many days older, a quarter for one that is twice as old, down to a millionth. The field holds a date, as for since."""
    as_of: Day | None = None
    """Day from which halfLifeDays counts the age. It must be said: the same job must give the same weights next year."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.equals), has(self.oneOf), has(self.contains), has(self.present), has(self.atLeast) ||"
            " has(self.atMost), has(self.since) || has(self.until), has(self.halfLifeDays)].filter(x, x).size() == 1",
            holds=lambda rule: sum(rule.conditions()) == 1,
            message=f"say exactly one of {_CONDITIONS}",
        ),
        Rule(
            cel="has(self.asOf) == has(self.halfLifeDays)",
            holds=lambda rule: (rule.as_of is None) == (rule.half_life_days is None),
            message="halfLifeDays and asOf are said together: the age is counted from a fixed day",
            field="asOf",
        ),
        Rule(
            cel="!has(self.atLeast) || !has(self.atMost) || self.atLeast <= self.atMost",
            holds=lambda rule: rule.at_least is None or rule.at_most is None or rule.at_least <= rule.at_most,
            message="must not be larger than atMost",
            field="atLeast",
        ),
        Rule(
            cel="!has(self.since) || !has(self.until) || self.since <= self.until",
            holds=lambda rule: rule.since is None or rule.until is None or rule.since <= rule.until,
            message="must not be later than until",
            field="since",
        ),
    )

    def conditions(self) -> tuple[bool, ...]:
        """Which of the conditions are said, a range being one."""
        return (
            self.equals is not None,
            self.one_of is not None,
            self.contains is not None,
            self.present is not None,
            self.at_least is not None or self.at_most is not None,
            self.since is not None or self.until is not None,
            self.half_life_days is not None,
        )


class Reference(Model):
    """Rows that show what matters. They are compared with and never trained on."""

    uri: DatasetUri
    """Where they are, as for a dataset. Twenty to a few thousand rows are enough."""
    revision: Text | None = None
    """Branch, tag or commit of an hf:// dataset; main if left out."""
    format: DataFormat | None = None
    """Shape of the rows; auto if left out."""
    fields: FieldMapping | None = None
    """Field names, where they differ from those of the format."""
    secret_name: SecretName | None = None
    """Secret with credentials for the URI."""

    constraints: ClassVar[tuple[Rule, ...]] = (FORMATS_OF_ROWS,)


class Relevance(Model):
    """Examples that resemble a described domain, or a set of reference rows, weigh more, others less. The middle training
    example keeps 1. Computed from counted words and letters, without a model and without a network."""

    description: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    """What matters, in the words and the language of the data: a list of terms does as well as sentences. Say this or
    reference."""
    reference: Reference | None = None
    """Rows that show what matters; better than a description where there are some."""
    min: Annotated[float, Field(ge=0.01, le=1)] = 0.5
    """Factor of the least relevant examples."""
    max: Annotated[float, Field(ge=1, le=100)] = 2.0
    """Factor of the most relevant examples."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.description) != has(self.reference)",
            holds=lambda relevance: (relevance.description is None) != (relevance.reference is None),
            message="say either description or reference",
        ),
    )


class Quality(Model):
    """Well made examples weigh more, others less: by signs in the text (cut off, repetitive, mostly symbols, an echo of the
    question, much shorter than its question), or by a score that the rows bring along."""

    min: Annotated[float, Field(ge=0.01, le=1)] = 0.5
    """Factor of an example with nothing to its credit."""
    max: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Factor of an example without fault."""
    field: Text | None = None
    """Field with a score, a number, instead of signs in the text. Rows without it keep 1; a value that is no number must be
    mended and ends the job."""
    worst: float | None = None
    """Score that gets min. Lower scores get it too."""
    best: float | None = None
    """Score that gets max, larger than worst. Those between lie on a line."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.field) == has(self.worst) && has(self.field) == has(self.best)",
            holds=lambda quality: (quality.field is None) == (quality.worst is None) == (quality.best is None),
            message="field, worst and best are said together",
            field="field",
        ),
        Rule(
            cel="!has(self.worst) || !has(self.best) || self.worst < self.best",
            holds=lambda quality: quality.worst is None or quality.best is None or quality.worst < quality.best,
            message="must be smaller than best",
            field="worst",
        ),
    )


class WeightBounds(Model):
    """Limits of the product of all factors."""

    min: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    """Lowest weight of an example that is not left out; no limit if left out."""
    max: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Highest weight; no limit if left out."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.min) || !has(self.max) || self.min <= self.max",
            holds=lambda bounds: bounds.min is None or bounds.max is None or bounds.min <= bounds.max,
            message="must not be larger than max",
            field="min",
        ),
    )


class Weighting(Model):
    """Importance of examples, as a factor on their loss: the row's own weight times every matching rule, times relevance, times
    quality, within bounds."""

    rules: Annotated[tuple[WeightRule, ...], Field(max_length=64)] = ()
    """Rules on fields of the rows, all applied to every row."""
    relevance: Relevance | None = None
    """Weigh by resemblance to what matters; not if left out."""
    quality: Quality | None = None
    """Weigh by quality; not if left out. quality: {} takes the signs in the text."""
    bounds: WeightBounds | None = None
    """Limits of the product. A weight of 0 stays 0 and leaves the row out."""
    normalize: bool = False
    """Divide all weights by their mean over the training examples, after the bounds. Training is the same with and without,
    since the loss is divided by the sum of weights; it makes the written examples fit for trainers that do not."""

    @property
    def reference(self) -> Reference | None:
        """The rows by which relevance is measured, where it is measured by rows."""
        return None if self.relevance is None else self.relevance.reference

    def referring_to(self, reference: Reference) -> Weighting:
        """The same with another place of the reference rows."""
        assert self.relevance is not None
        return self.model_copy(update={"relevance": self.relevance.model_copy(update={"reference": reference})})
