"""The data on the page: what was read, what became of every row and why, what was trained on, what was not looked for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from finetune_api.contract.data_words import language, reason
from finetune_trainer.evidence.charts import histogram
from finetune_trainer.evidence.page_flow import Fate, fates, split_name
from finetune_trainer.evidence.page_personal import Personal, personal
from finetune_trainer.evidence.page_rules import Rule, rules
from finetune_trainer.evidence.page_weights import Weights, weights_view
from finetune_trainer.evidence.page_words import NARROW, NOTHING, counted, number, share, shown, source

_PIECES = 60
_BARS_SHOWN = 20
_CLASSES_SHOWN = 500
_FILES_SHOWN = 100
_LOOKED_AT = {
    "all": "Every row was looked at; those in a language that the job does not name are left out.",
    "every eighth": "One row in eight was looked at, and none is left out for its language.",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One dataset."""

    name: str
    uri: str
    files: str
    rows: str
    kept: str
    """Examples."""
    format: str
    because: str
    left_out: str


@dataclass(frozen=True, slots=True)
class Contamination:
    """Examples that would have betrayed data held out by hand."""

    dataset: str
    exam: str
    """The dataset that is held out."""
    how: str
    count: str


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One split in numbers."""

    name: str
    examples: str
    groups: str
    tokens: str
    supervised: str
    median: str
    most: str
    longest: str
    effective: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One of several kinds, as a bar."""

    name: str
    count: str
    share: str
    part: float
    """Of the most frequent kind, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Data:
    """Everything that the page says about the data."""

    read: str
    kept: str
    fates: list[Fate]
    unit: str
    """What lengths are counted in."""
    sources: list[Source]
    contents: list[tuple[str, str, str, str]]
    """Dataset, file, bytes, SHA-256."""
    further_files: int
    compared: str
    contamination: list[Contamination]
    splits: list[SplitRow]
    train: SplitRow | None
    lengths: Markup | None
    lengths_words: str
    max_length: str
    weights: Weights
    rules: list[Rule]
    personal: Personal
    languages: list[Bar]
    languages_of: str
    """Which rows were looked at, in a sentence."""
    labels: list[tuple[str, list[str]]]
    label_splits: list[str]
    further_labels: int
    pieces: list[tuple[str, str, bool]]
    """Text, kind (control or content), whether it has loss."""
    more_pieces: bool
    warnings: list[str]
    digests: list[tuple[str, str]]


def data_view(report: Mapping[str, Any], *, task: str) -> Data | None:
    """The data report in words; None if there is none."""
    if not report:
        return None
    summary: Mapping[str, Any] = report.get("summary") or {}
    splits: Mapping[str, Any] = report.get("splits") or {}
    examples = summary.get("examples") or {}
    unit = str(report.get("unit") or "tokens")
    train: Mapping[str, Any] = splits.get("train") or {}
    chart, words = _lengths(train, unit)
    labels: Mapping[str, Mapping[str, int]] = report.get("labels") or {}
    names = [name for name in splits if any(name in counts for counts in labels.values())]
    pieces = report.get("shape_of_an_example") or []
    template = (report.get("template") or {}).get("digest") if unit == "tokens" else None
    files = [
        (str(one.get("name", "")), str(file["name"]), shown(file["bytes"]), str(file["sha256"]))
        for one in report.get("datasets") or []
        for file in one.get("contents") or []
    ]
    return Data(
        read=shown(examples.get("read")),
        kept=shown(examples.get("kept")),
        fates=fates(report),
        unit=unit,
        sources=[_source(one) for one in report.get("datasets") or []],
        contents=files[:_FILES_SHOWN],
        further_files=sum(int(one.get("files") or 0) for one in report.get("datasets") or []) - min(len(files), _FILES_SHOWN),
        compared=str(report.get("compared") or ""),
        contamination=[_contamination(one) for one in report.get("contamination") or []],
        splits=[_split(name, numbers, task) for name, numbers in splits.items() if numbers.get("examples")],
        train=_split("train", train, task) if train else None,
        lengths=chart,
        lengths_words=words,
        max_length=_max_length(report.get("max_length") or {}) if unit == "tokens" else "",
        weights=weights_view(report, unit=unit),
        rules=rules(report),
        personal=personal(report),
        languages=_bars({language(code): count for code, count in (report.get("languages") or {}).items()}),
        languages_of=_LOOKED_AT.get(str(report.get("languages_of")), ""),
        labels=[(label, [shown(of.get(name, 0)) for name in names]) for label, of in list(labels.items())[:_CLASSES_SHOWN]],
        label_splits=[split_name(name) for name in names],
        further_labels=max(0, len(labels) - _CLASSES_SHOWN),
        pieces=[_piece(piece, unit) for piece in pieces[:_PIECES]],
        more_pieces=len(pieces) > _PIECES,
        warnings=[str(warning) for warning in report.get("warnings") or []],
        digests=[
            (name, digest if digest.startswith("sha256:") else f"sha256:{digest}")
            for name, digest in (("prepared data", summary.get("digest")), ("chat template", template))
            if digest
        ],
    )


def _source(one: Mapping[str, Any]) -> Source:
    dropped = Counter(one.get("dropped") or {})
    revision = f" at {one['revision']}" if one.get("revision") else ""
    return Source(
        name=str(one.get("name", "")),
        uri=source(str(one.get("uri", ""))) + revision,
        files=shown(one.get("files")),
        rows=shown(one.get("rows")),
        kept=shown(one.get("kept")),
        format=str(one.get("format", NOTHING)).replace("_", " "),
        because=str(one.get("because", "")),
        left_out="; ".join(f"{reason(name)}: {count:,}" for name, count in dropped.most_common()) or "none",
    )


def _contamination(one: Mapping[str, Any]) -> Contamination:
    dataset, exam, why = (str(one.get(key, "")) for key in ("dataset", "exam", "reason"))
    return Contamination(dataset, exam, reason(why), shown(one.get("examples")))


def _split(name: str, numbers: Mapping[str, Any], task: str) -> SplitRow:
    tokens, supervised = numbers.get("tokens") or 0, numbers.get("supervisedTokens")
    lengths, weights = numbers.get("lengths") or {}, numbers.get("weights") or {}
    has_loss = supervised is not None and task != "classification"
    return SplitRow(
        name=split_name(name),
        examples=shown(numbers.get("examples")),
        groups=shown(numbers.get("groups")),
        tokens=shown(tokens),
        supervised=f"{supervised:,} ({share(supervised, tokens)})" if has_loss and supervised is not None else NOTHING,
        median=_tokens(lengths.get("p50")),
        most=_tokens(lengths.get("p95")),
        longest=_tokens(lengths.get("p100")),
        effective=number(weights.get("effectiveSampleSize")),
    )


def _lengths(train: Mapping[str, Any], unit: str) -> tuple[Markup | None, str]:
    found, lengths = train.get("lengthHistogram") or {}, train.get("lengths") or {}
    counts, edges = found.get("counts") or [], found.get("edges") or []
    if not any(counts) or len(edges) != len(counts) + 1:
        return None, ""
    marks = [(name, lengths[key]) for name, key in (("median", "p50"), ("most", "p95")) if lengths.get(key) is not None]
    words = (
        f"Half of the training examples have at most {_tokens(lengths.get('p50'))} {unit}, 95{NARROW}% at most"
        f" {_tokens(lengths.get('p95'))}; the longest has {_tokens(lengths.get('p100'))}."
    )
    return histogram(counts, edges, marks=marks, words=words, axis=unit), words


def _bars(counts: Mapping[str, int]) -> list[Bar]:
    total, most = sum(counts.values()), max(counts.values(), default=0)
    ordered = sorted(counts.items(), key=lambda item: -item[1])[:_BARS_SHOWN]
    return [Bar(name, shown(n), share(n, total), n / most if most else 0.0) for name, n in ordered]


def _tokens(quantile: float | None) -> str:
    """A quantile of lengths, which lies between two of them, as a length."""
    return shown(None if quantile is None else math.ceil(quantile))


def _max_length(said: Mapping[str, Any]) -> str:
    if said.get("tokens") is None:
        return ""
    asked = said.get("said")
    why = "the 99th percentile of the training examples" if asked == "auto" else "as the job asked"
    if isinstance(asked, int) and asked != said["tokens"]:
        why = f"the model takes no more; the job asked for {asked:,}"
    overlong = said.get("overlong") or 0
    fate = "cut" if said.get("answeredWith") == "truncate" else "left out"
    longer = f"{counted(overlong, 'example was', 'examples were')} longer and {fate}" if overlong else "no example was longer"
    return f"{counted(said['tokens'], 'token')}, {why}; {longer}."


def _piece(piece: Mapping[str, Any], unit: str) -> tuple[str, str, bool]:
    loss = bool(piece.get("supervised"))
    if piece.get("token") is not None:
        return str(piece["token"]), "control", loss
    return counted(piece.get("contentTokens") or 0, unit.removesuffix("s")), "content", loss
