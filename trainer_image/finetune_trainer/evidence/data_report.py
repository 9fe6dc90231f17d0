"""The data report: what was read, what became of it and why, in numbers.

Texts stand in it covered, or where personal data was replaced masked once more (excerpts.py); names of classes that seem to be
people are covered too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from finetune_api.contract.summary import DataSummary
from finetune_api.v1alpha1.weighting import Weighting
from finetune_trainer.data.correction.clean import RULES
from finetune_trainer.data.correction.names_shown import names_shown
from finetune_trainer.data.correction.tally import Tally
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.data.selection.repeats import compared
from finetune_trainer.data.selection.select import Selection
from finetune_trainer.data.store import Documents
from finetune_trainer.data.weighting.weighing import Weighed
from finetune_trainer.data.weighting.weights import condition
from finetune_trainer.evidence.data_numbers import example_shape, extremes, split_report
from finetune_trainer.evidence.data_personal import anonymization, personal_details, personal_warnings
from finetune_trainer.evidence.data_warnings import data_warnings, guessed_threads, rules_without_rows, unmarked_answers
from finetune_trainer.evidence.excerpts import Excerpts


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """One source."""

    name: str
    uri: str
    """Without its query."""
    revision: str | None
    files: int
    rows: int
    kept: int
    """Examples, over all splits."""
    format: str
    because: str
    """Why it was taken for this format."""
    dropped: dict[str, int]
    bytes: int
    digest: str
    """SHA-256 over the names and digests of all files."""
    contents: list[dict[str, Any]]
    """The first files: name, bytes, sha256."""


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What one rule of the preparation did."""

    name: str
    changed: int
    """Examples that it changed."""
    dropped: int
    """Rows that it left out."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """At most three: dataset, file, line, before, after (None where the row was left out), found; covered."""


@dataclass(frozen=True, slots=True)
class DataReport:
    """Everything about the prepared data that people or programs may want to know."""

    unit: str
    """What lengths are counted in: tokens of the model, or characters where there was none."""
    summary: dict[str, Any]
    datasets: list[DatasetReport]
    cleaned: dict[str, int]
    """Examples changed, by rule."""
    anonymization: str
    max_length: dict[str, Any]
    splits: dict[str, dict[str, Any]]
    labels: dict[str, dict[str, int]]
    """Examples per class and split; classes as correction/names_shown.py shows them."""
    template: dict[str, Any]
    shape_of_an_example: list[dict[str, Any]]
    """Pieces of the first training example: control tokens as they are, content as a number of tokens."""
    warnings: list[str] = field(default_factory=list)
    rules: list[RuleReport] = field(default_factory=list)
    languages: dict[str, int] = field(default_factory=dict)
    """Rows by language (ISO 639-1 or `undetermined`), of those that were looked at."""
    languages_of: str = ""
    """Which those are: `all` where the job names languages, `every eighth` otherwise."""
    personal: dict[str, Any] = field(default_factory=dict)
    """How personal data was looked for: strategy, detectors, examplesChanged, residual (rate, items, examples, kinds, allowed),
    quality (kind, language, recall, precision, items) and qualitySource. Where it was not: glance (examples, holding, kinds)
    or nothing."""
    compared: str = ""
    """Which likeness between examples was looked for, in a sentence."""
    contamination: list[dict[str, Any]] = field(default_factory=list)
    """Examples left out for the sake of data held out by hand: dataset, exam (the dataset held out), reason, examples."""
    heaviest: list[dict[str, Any]] = field(default_factory=list)
    """Training examples with the largest weights: dataset, file, line, weight, length, text (see excerpts.py)."""
    lightest: list[dict[str, Any]] = field(default_factory=list)
    weighting: dict[str, Any] = field(default_factory=dict)
    """What weights are made of: components (mean, lowest, highest over the training examples, by name), rules (condition,
    weight, rows), comparedWith, bounds, clipped, dividedBy. Empty where nothing was weighed."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def data_report(
    ingest: Ingest,
    selection: Selection,
    splits: Mapping[str, Documents],
    labels: Sequence[str],
    summary: DataSummary,
    contamination: Mapping[tuple[str, str, str], int],
    weighed: Weighed,
    *,
    unit: str,
) -> DataReport:
    """Everything about the prepared data, for people.

    Args:
        contamination: see DropCounter.
    """
    numbers = {name: split_report(documents) for name, documents in splits.items()}
    classes = list(names_shown(labels, "class").values())
    per_label: dict[str, dict[str, int]] = {name: {} for name in classes}
    for name, documents in splits.items():
        for label, count in zip(*np.unique(documents.examples["label"], return_counts=True), strict=True):
            if label >= 0:
                per_label[classes[label]][name] = int(count)
    template = ingest.template
    has_prompts = any(source.shape.format != "text" for source in ingest.sources)
    warnings = list(data_warnings(summary, numbers, per_label, has_prompts=has_prompts))
    if template and "strftime_now" in template.source:
        warnings.append("The chat template writes today's date into prompts: tokens differ from day to day.")
    warnings += personal_warnings(ingest)
    if ingest.turn_by_turn:
        warnings.append(
            f"The chat template rewrites earlier turns: {ingest.turn_by_turn:,} conversations became one example per answer."
        )
    warnings += [f'Dataset "{one.dataset.name}": {said}' for one in ingest.sources for said in one.shape.unused]
    fields = {one.dataset.name: one.dataset.field for one in ingest.sources}
    warnings += unmarked_answers(ingest.done.counts.unmarked, fields)
    warnings += guessed_threads(ingest.done.counts.guessed, fields)
    warnings += rules_without_rows(ingest.settings.weighting.rules, ingest.done.counts.matched)
    sources = ingest.sources
    kept = np.zeros(len(sources), np.int64)
    for documents in splits.values():
        kept += np.bincount(documents.examples["dataset"], minlength=len(sources))
    warnings += [
        f'Of the dataset "{one.dataset.name}" nothing was kept.' for one, n in zip(sources, kept, strict=True) if not n
    ]
    excerpt = Excerpts(ingest.tokenizer, ingest.settings.anonymize)
    ends = extremes(splits["train"], [one.dataset.name for one in sources], [one.files for one in sources], excerpt)
    return DataReport(
        unit=unit,
        summary=summary.model_copy(update={"warnings": len(warnings)}).model_dump(mode="json", by_alias=True),
        datasets=[
            DatasetReport(
                name=source.dataset.name,
                uri=source.dataset.uri.split("?")[0],
                revision=source.revision,
                files=len(source.files),
                rows=ingest.problems.read[source.dataset.name],
                kept=int(kept[number]),
                format=source.shape.format,
                because=source.shape.because,
                dropped=dict(ingest.problems.dropped_of.get(source.dataset.name, {})),
                bytes=source.contents.size,
                digest=f"sha256:{source.contents.digest}",
                contents=[{"name": one.name, "bytes": one.size, "sha256": one.sha256} for one in source.contents.files],
            )
            for number, source in enumerate(sources)
        ],
        cleaned=dict(ingest.tally.changed),
        rules=_rules(ingest.tally),
        languages=dict(sorted(ingest.tally.languages.items(), key=lambda item: (-item[1], item[0]))),
        languages_of=("all" if ingest.settings.clean.languages else "every eighth") if ingest.tally.languages else "",
        anonymization=anonymization(ingest),
        personal=personal_details(ingest),
        max_length={
            "tokens": selection.max_length,
            "said": ingest.settings.max_length,
            "overlong": selection.overlong,
            "answeredWith": ingest.settings.overlong,
        },
        splits=numbers,
        labels=per_label,
        template={"digest": template.digest, "turnByTurn": ingest.turn_by_turn} if template else {},
        shape_of_an_example=example_shape(splits["train"], ingest.tokenizer),
        warnings=warnings,
        compared=compared(ingest.settings),
        contamination=[
            {"dataset": dataset, "exam": exam, "reason": why, "examples": count}
            for (dataset, exam, why), count in sorted(contamination.items())
        ],
        heaviest=ends.heaviest,
        lightest=ends.lightest,
        weighting=_weighting(ingest, weighed),
    )


def _rules(tally: Tally) -> list[RuleReport]:
    """Every rule of the correction that did something, in the order in which they act."""
    return [
        RuleReport(name, tally.changed[name], tally.dropped[name], [asdict(sample) for sample in tally.samples.get(name, [])])
        for name in RULES
        if tally.changed[name] or tally.dropped[name]
    ]


def _weighting(ingest: Ingest, weighed: Weighed) -> dict[str, Any]:
    """What weights are made of."""
    said = ingest.settings.weighting
    if not weighed.components and said == Weighting():
        return {}
    bounds = {} if said.bounds is None else said.bounds.model_dump(exclude_none=True)
    components = {
        name: {key: round(value, 4) for key, value in asdict(part).items()} for name, part in weighed.components.items()
    }
    for name, asked in (("rules", said.rules), ("relevance", said.relevance), ("quality", said.quality)):
        if asked:  # what was asked for is told also where it changed nothing, or it seems to have been forgotten
            components.setdefault(name, {"mean": 1.0, "lowest": 1.0, "highest": 1.0})
    return {
        "components": components,
        "rules": [
            {"condition": condition(rule), "weight": rule.weight, "rows": ingest.done.counts.matched[number]}
            for number, rule in enumerate(said.rules)
        ],
        **({"comparedWith": weighed.compared_with} if weighed.compared_with else {}),
        **({"bounds": bounds, "clipped": weighed.clipped} if bounds else {}),
        **({"dividedBy": round(weighed.divided_by, 6)} if weighed.divided_by is not None else {}),
    }
