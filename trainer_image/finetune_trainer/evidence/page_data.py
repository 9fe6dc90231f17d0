"""The data on the page: what was read, what became of every row and why, what was trained on, what was not looked for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from finetune_trainer.evidence.charts import histogram
from finetune_trainer.evidence.page_words import NARROW, NOTHING, counted, number, sentence, share, shown, source

_REASONS = {
    "too_long": "longer than the maximum length",
    "duplicate": "copy of another example",
    "stands_in_held_out_data": "also stands in held-out data, so it must not be trained on",
    "nothing_supervised": "no token with loss, so nothing to learn",
    "weight_zero": "weight 0",
}
_CLEANED = {
    "html": "HTML turned into plain text",
    "unicode": "brought to Unicode NFC",
    "controlCharacters": "control characters removed",
    "whitespace": "white space tidied",
}
_SPLITS = {"train": "training", "validation": "validation", "test": "test"}
_PIECES = 60
_CLASSES_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a number of rows."""

    words: str
    count: str
    share: str
    part: float
    """Of the rows read, 0 to 1."""
    kind: str
    """kept or left."""


@dataclass(frozen=True, slots=True)
class Source:
    """One dataset."""

    name: str
    uri: str
    files: str
    rows: str
    format: str
    because: str
    left_out: str


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
class Data:
    """Everything that the page says about the data."""

    read: str
    kept: str
    fates: list[Fate]
    sources: list[Source]
    splits: list[SplitRow]
    train: SplitRow | None
    lengths: Markup | None
    lengths_words: str
    max_length: str
    weights: str
    cleaned: str
    personal: str
    was_searched: bool
    """Whether personal data was looked for at all."""
    redactions: list[tuple[str, str]]
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
    anonymization = str(report.get("anonymization") or "none: nothing is known about personal data")
    chart, words = _lengths(splits.get("train") or {})
    labels: Mapping[str, Mapping[str, int]] = report.get("labels") or {}
    names = [name for name in splits if any(name in counts for counts in labels.values())]
    pieces = report.get("shape_of_an_example") or []
    template = (report.get("template") or {}).get("digest")
    return Data(
        read=shown(examples.get("read")),
        kept=shown(examples.get("kept")),
        fates=_fates(report, examples),
        sources=[_source(one) for one in report.get("datasets") or []],
        splits=[_split(name, numbers, task) for name, numbers in splits.items()],
        train=_split("train", splits["train"], task) if splits.get("train") else None,
        lengths=chart,
        lengths_words=words,
        max_length=_max_length(report.get("max_length") or {}),
        weights=_weights((splits.get("train") or {}), summary.get("weights") or {}),
        cleaned=_cleaned(report.get("cleaned") or {}),
        personal=sentence(anonymization.removeprefix("none:")),
        was_searched=not anonymization.startswith("none"),
        redactions=[(kind, shown(n)) for kind, n in (summary.get("redactions") or {}).items()],
        labels=[(label, [shown(of.get(name, 0)) for name in names]) for label, of in list(labels.items())[:_CLASSES_SHOWN]],
        label_splits=[split_name(name) for name in names],
        further_labels=max(0, len(labels) - _CLASSES_SHOWN),
        pieces=[_piece(piece) for piece in pieces[:_PIECES]],
        more_pieces=len(pieces) > _PIECES,
        warnings=[str(warning) for warning in report.get("warnings") or []],
        digests=[
            (name, digest if digest.startswith("sha256:") else f"sha256:{digest}")
            for name, digest in (("prepared data", summary.get("digest")), ("chat template", template))
            if digest
        ],
    )


def split_name(name: str) -> str:
    """A split as people call it."""
    return f'suite "{name.removeprefix("suite-")}"' if name.startswith("suite-") else _SPLITS.get(name, name)


def reason(name: str) -> str:
    """Why a row was left out, in words."""
    return _REASONS.get(name, name.replace("_", " "))


def _fates(report: Mapping[str, Any], examples: Mapping[str, Any]) -> list[Fate]:
    """Rows by what became of them; they add up to what was read, and if they do not, a line says so."""
    read, kept = examples.get("read"), examples.get("kept")
    if not read or kept is None:
        return []
    dropped: Counter[str] = Counter()
    for one in report.get("datasets") or []:
        dropped.update(one.get("dropped") or {})
    if not dropped:
        dropped.update(examples.get("droppedByReason") or {})
    fates = [("kept", kept, "kept"), *((reason(name), count, "left") for name, count in dropped.most_common())]
    rest = read - kept - sum(dropped.values())
    if rest > 0:
        fates.append(("left out for a reason that the report does not name", rest, "left"))
    whole = max(read, sum(count for _, count, _ in fates))
    found = [Fate(words, shown(count), share(count, read), count / whole, kind) for words, count, kind in fates]
    if rest < 0:
        found.append(Fate("more examples than rows: a conversation can become several examples", shown(-rest), "", 0.0, "note"))
    return found


def _source(one: Mapping[str, Any]) -> Source:
    dropped = Counter(one.get("dropped") or {})
    revision = f" at {one['revision']}" if one.get("revision") else ""
    return Source(
        name=str(one.get("name", "")),
        uri=source(str(one.get("uri", ""))) + revision,
        files=shown(one.get("files")),
        rows=shown(one.get("rows")),
        format=str(one.get("format", NOTHING)).replace("_", " "),
        because=str(one.get("because", "")),
        left_out="; ".join(f"{reason(name)}: {count:,}" for name, count in dropped.most_common()) or "none",
    )


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


def _lengths(train: Mapping[str, Any]) -> tuple[Markup | None, str]:
    found, lengths = train.get("lengthHistogram") or {}, train.get("lengths") or {}
    counts, edges = found.get("counts") or [], found.get("edges") or []
    if not any(counts) or len(edges) != len(counts) + 1:
        return None, ""
    marks = [(name, lengths[key]) for name, key in (("median", "p50"), ("most", "p95")) if lengths.get(key) is not None]
    words = (
        f"Half of the training examples have at most {_tokens(lengths.get('p50'))} tokens, 95{NARROW}% at most"
        f" {_tokens(lengths.get('p95'))}; the longest has {_tokens(lengths.get('p100'))}."
    )
    return histogram(counts, edges, marks=marks, words=words), words


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


def _weights(train: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
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


def _cleaned(changed: Mapping[str, int]) -> str:
    said = [f"{_CLEANED.get(rule, rule)} in {counted(count, 'example')}" for rule, count in changed.items()]
    return sentence("; ".join(said)) or "No example was changed."


def _piece(piece: Mapping[str, Any]) -> tuple[str, str, bool]:
    loss = bool(piece.get("supervised"))
    if piece.get("token") is not None:
        return str(piece["token"]), "control", loss
    return counted(piece.get("contentTokens") or 0, "token"), "content", loss
