"""The data report: what was read, what became of it and why, in numbers and never in content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_api.contract.facts import DataFacts, SplitFacts
from finetune_api.contract.summary import DataSummary, ExampleCounts, SplitCounts, WeightSummary
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.data.problems import Problems
from finetune_trainer.data.select import Selection
from finetune_trainer.data.store import Documents
from finetune_trainer.data.weights import effective_sample_size

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_BINS = 24


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """One source."""

    name: str
    uri: str
    """Without its query."""
    revision: str | None
    files: int
    rows: int
    format: str
    because: str
    """Why it was taken for this format."""
    dropped: dict[str, int]


@dataclass(frozen=True, slots=True)
class DataReport:
    """Everything about the prepared data that people or programs may want to know."""

    summary: dict[str, Any]
    datasets: list[DatasetReport]
    cleaned: dict[str, int]
    """Examples changed, by rule."""
    anonymization: str
    max_length: dict[str, Any]
    splits: dict[str, dict[str, Any]]
    labels: dict[str, dict[str, int]]
    """Examples per class and split."""
    template: dict[str, Any]
    shape_of_an_example: list[dict[str, Any]]
    """Pieces of the first training example: control tokens as they are, content as a number of tokens."""
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def split_report(documents: Documents) -> dict[str, Any]:
    """Numbers of one split: tokens, share with loss, quantiles of length and weight, a histogram of lengths."""
    if not len(documents):
        return {"examples": 0, "tokens": 0}
    lengths = documents.lengths
    supervised = documents.examples["supervised"].astype(np.int64)
    weights = np.asarray(documents.examples["weight"], dtype=np.float32)
    counts, edges = np.histogram(lengths, bins=_BINS)
    return {
        "examples": len(documents),
        "tokens": int(lengths.sum()),
        "supervisedTokens": int(supervised.sum()),
        "groups": len(np.unique(documents.examples["group"])),
        "lengths": _quantiles(lengths),
        "lengthHistogram": {"counts": counts.tolist(), "edges": [round(float(edge), 1) for edge in edges]},
        "weights": {**_quantiles(weights), "effectiveSampleSize": round(effective_sample_size(weights), 1)},
    }


def _quantiles(values: NDArray[Any]) -> dict[str, float]:
    found = np.quantile(values, _QUANTILES)
    return {f"p{quantile * 100:g}": round(float(value), 4) for quantile, value in zip(_QUANTILES, found, strict=True)}


def example_shape(documents: Documents, tokenizer: Any) -> list[dict[str, Any]]:
    """How an example is built, without its content: shows a doubled begin token or a missing end token at a glance."""
    if not len(documents):
        return []
    ids, mask = documents.ids(0), documents.mask(0)
    special = set(tokenizer.all_special_ids)
    pieces: list[dict[str, Any]] = []
    hidden = 0
    for token, supervised in zip(ids.tolist(), mask.tolist(), strict=True):
        same = bool(pieces) and pieces[-1]["supervised"] == supervised and not pieces[-1].get("token")
        if token in special:
            pieces.append({"token": tokenizer.convert_ids_to_tokens(token), "id": token, "supervised": supervised})
        elif same:
            hidden = pieces[-1]["contentTokens"] + 1
            pieces[-1]["contentTokens"] = hidden
        else:
            pieces.append({"contentTokens": 1, "supervised": supervised})
    return pieces


def data_warnings(summary: DataSummary, splits: dict[str, dict[str, Any]], labels: dict[str, dict[str, int]]) -> Sequence[str]:
    """What somebody should read before training on it."""
    warnings = []
    train = splits["train"]
    dropped = sum(summary.examples.dropped_by_reason.values())
    if dropped > 0.2 * max(1, summary.examples.read):
        warnings.append(f"{dropped:,} of {summary.examples.read:,} rows were left out; see the reasons.")
    share = train["supervisedTokens"] / max(1, train["tokens"])
    if not labels and share > 0.98:
        warnings.append(f"{share:.0%} of the training tokens have loss: prompts hardly count, or are trained too.")
    if train["weights"]["effectiveSampleSize"] < 0.5 * train["examples"]:
        effective = train["weights"]["effectiveSampleSize"]
        warnings.append(f"The weights leave an effective sample of {effective:,.0f} of {train['examples']:,} examples.")
    for label, counts in labels.items():
        if not counts.get("train"):
            warnings.append(f'The class "{label}" has no training example.')
    for name in ("validation", "test"):
        if 0 < splits[name]["examples"] < 30:
            warnings.append(f"The {name} split has only {splits[name]['examples']} examples: its scores are rough.")
    return warnings


def data_facts(
    splits: Mapping[str, Documents], digest: str, max_length: int, labels: int, mixing: Sequence[float]
) -> DataFacts:
    """Counts of all splits, for the plan."""
    return DataFacts(
        digest=digest,
        max_length=max_length,
        train=_split_facts(splits["train"], mixing),
        validation=_split_facts(splits["validation"]),
        test=_split_facts(splits["test"]),
        suites={name.removeprefix("suite-"): _split_facts(d) for name, d in splits.items() if name.startswith("suite-")},
        labels=labels,
    )


def _split_facts(documents: Documents, mixing: Sequence[float] | None = None) -> SplitFacts:
    """Counts of one split; of the training split as often as one epoch sees each example."""
    lengths = documents.lengths.astype(np.float64)
    times = np.ones(len(documents)) if mixing is None else np.asarray(mixing, float)[documents.examples["dataset"]]
    supervised = documents.examples["supervised"].astype(np.float64)
    return SplitFacts(
        examples=round(float(times.sum())),
        tokens=round(float((lengths * times).sum())),
        supervised_tokens=round(float((supervised * times).sum())),
        longest=int(lengths.max(initial=0)),
        squared_tokens=round(float((lengths**2 * times).sum())),
    )


def data_summary(splits: Mapping[str, Documents], problems: Problems, digest: str) -> DataSummary:
    """What was read, kept and dropped, for the status."""
    weights = np.asarray(splits["train"].examples["weight"], dtype=np.float32)
    return DataSummary(
        examples=ExampleCounts(
            read=sum(problems.read.values()),
            kept=sum(map(len, splits.values())),
            dropped_by_reason=dict(problems.dropped.most_common(12)),
        ),
        tokens=sum(int(d.lengths.sum()) for d in splits.values()),
        weights=WeightSummary(
            effective_sample_size=round(effective_sample_size(weights), 1),
            lowest=round(float(weights.min()), 4),
            highest=round(float(weights.max()), 4),
        ),
        split=SplitCounts(train=len(splits["train"]), validation=len(splits["validation"]), test=len(splits["test"])),
        digest=digest,
    )


def data_report(
    ingest: Ingest,
    selection: Selection,
    splits: Mapping[str, Documents],
    labels: Sequence[str],
    summary: DataSummary,
) -> DataReport:
    """Everything about the prepared data, for people."""
    numbers = {name: split_report(documents) for name, documents in splits.items()}
    per_label: dict[str, dict[str, int]] = {label: {} for label in labels}
    for name, documents in splits.items():
        for label, count in Counter(documents.examples["label"].tolist()).items():
            if label >= 0:
                per_label[labels[label]][name] = count
    template = ingest.template
    warnings = list(data_warnings(summary, numbers, per_label))
    if template and "strftime_now" in template.source:
        warnings.append("The chat template writes today's date into prompts: tokens differ from day to day.")
    if template and template.turn_by_turn:
        warnings.append(
            f"The chat template rewrites earlier turns: {template.turn_by_turn:,} conversations became one example per answer."
        )
    return DataReport(
        summary=summary.model_dump(mode="json", by_alias=True),
        datasets=[
            DatasetReport(
                name=source.dataset.name,
                uri=source.dataset.uri.split("?")[0],
                revision=source.dataset.revision if source.dataset.uri.startswith("hf://") else None,
                files=len(source.files),
                rows=ingest.problems.read[source.dataset.name],
                format=source.shape.format,
                because=source.shape.because,
                dropped=dict(ingest.problems.dropped_of.get(source.dataset.name, {})),
            )
            for source in ingest.sources
        ],
        cleaned=dict(ingest.cleaner.changed),
        anonymization="none: personal data was not looked for and not changed",
        max_length={
            "tokens": selection.max_length,
            "said": ingest.settings.max_length,
            "overlong": selection.overlong,
            "answeredWith": ingest.settings.overlong,
        },
        splits=numbers,
        labels=per_label,
        template={"digest": template.digest, "turnByTurn": template.turn_by_turn} if template else {},
        shape_of_an_example=example_shape(splits["train"], ingest.tokenizer),
        warnings=warnings,
    )
