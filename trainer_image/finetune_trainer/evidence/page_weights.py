"""Why examples weigh what they weigh: the spread, what it is made of, and both ends with a few words of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from finetune_trainer.evidence.charts import histogram
from finetune_trainer.evidence.page_words import counted, number, shown

_RULES_SHOWN = 64
_COMPONENTS = {
    "own": ("own weight", "Stands in the row."),
    "rules": ("rules", "The product of all rules that match."),
    "relevance": ("relevance", "Likeness to what matters, by counted letter sequences."),
    "quality": ("quality", "Signs of a well made text, or a score of the row."),
}


@dataclass(frozen=True, slots=True)
class End:
    """One of the heaviest or lightest examples."""

    place: str
    weight: str
    length: str
    text: str
    """Its beginning, masked or covered."""


@dataclass(frozen=True, slots=True)
class Part:
    """One factor of the weights, over the training examples."""

    name: str
    explained: str
    mean: str
    lowest: str
    highest: str


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One rule on a field."""

    condition: str
    weight: str
    rows: str


@dataclass(frozen=True, slots=True)
class Weights:
    """Everything that the page says about weights."""

    words: str
    chart: Markup | None
    parts: list[Part]
    rules: list[FieldRule]
    notes: list[str]
    heaviest: list[End]
    lightest: list[End]


def weights_view(report: Mapping[str, Any], *, unit: str) -> Weights:
    """The weights of a data report in words.

    Args:
        report: the data report.
        unit: what lengths are counted in.
    """
    train: Mapping[str, Any] = (report.get("splits") or {}).get("train") or {}
    said: Mapping[str, Any] = report.get("weighting") or {}
    return Weights(
        words=_words(train, (report.get("summary") or {}).get("weights") or {}),
        chart=_chart(train),
        parts=[_part(name, part) for name, part in (said.get("components") or {}).items()],
        rules=[
            FieldRule(str(one.get("condition", "")), number(one.get("weight")), shown(one.get("rows")))
            for one in (said.get("rules") or [])[:_RULES_SHOWN]
        ],
        notes=_notes(said),
        heaviest=[_end(one, unit) for one in report.get("heaviest") or []],
        lightest=[_end(one, unit) for one in report.get("lightest") or []],
    )


def _words(train: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    low, high = summary.get("lowest"), summary.get("highest")
    effective = summary.get("effectiveSampleSize")
    if low is None or high is None:
        return ""
    if low == high:
        return f"All training examples weigh the same ({number(low)})."
    return (
        f"Weights of training examples go from {number(low)} to {number(high)}. They count as much as {number(effective)}"
        f" equally weighted examples (of {shown(train.get('examples'))})."
    )


def _chart(train: Mapping[str, Any]) -> Markup | None:
    found = train.get("weightHistogram") or {}
    counts, edges = found.get("counts") or [], found.get("edges") or []
    if sum(map(bool, counts)) < 2 or len(edges) != len(counts) + 1:
        return None
    return histogram(counts, edges, marks=[], words="How many training examples weigh how much.", axis="weight")


def _part(name: str, part: Mapping[str, Any]) -> Part:
    words, explained = _COMPONENTS.get(name, (name, ""))
    return Part(words, explained, number(part.get("mean")), number(part.get("lowest")), number(part.get("highest")))


def _notes(said: Mapping[str, Any]) -> list[str]:
    notes = []
    if said.get("comparedWith"):
        notes.append(f"Relevance was measured by {said['comparedWith']}.")
    bounds = said.get("bounds") or {}
    if bounds:
        words = " and ".join(
            f"{words} {number(bounds[key])}" for key, words in (("min", "at least"), ("max", "at most")) if key in bounds
        )
        changed = counted(said.get("clipped") or 0, "training example was", "training examples were")
        notes.append(f"Weights were kept within bounds, {words}: {changed} changed by it.")
    if said.get("dividedBy"):
        notes.append(f"All weights were divided by their mean, {number(said['dividedBy'])}.")
    return notes


def _end(one: Mapping[str, Any], unit: str) -> End:
    place = f"{one.get('dataset', '')}, {one.get('file', '')} line {shown(one.get('line'))}"
    return End(place, number(one.get("weight")), f"{shown(one.get('length'))} {unit}", str(one.get("text") or ""))
