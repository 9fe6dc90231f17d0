"""Personal data on the page: what was looked for and how, what took its place, what a second look still found, and how good
the finding is where that was measured. Kinds and numbers, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune_api.contract.data_words import entity
from finetune_trainer.evidence.page_words import NARROW, NOTHING, counted, number, sentence, share, shown

_FEW = 100
_STRATEGIES = {
    "surrogate": "Each item was replaced by an invented one of the same kind; the same item got the same invention everywhere.",
    "mask": "Each item was replaced by the name of its kind.",
    "redact": "Each item was removed.",
    "hash": "Each item was replaced by a keyed hash, which nobody without the key can lead back.",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of personal data."""

    name: str
    count: str
    part: float
    """Of the most frequent kind, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the finding of one kind is, as measured on texts in which every item is known."""

    kind: str
    language: str
    recall: str
    precision: str
    items: str


@dataclass(frozen=True, slots=True)
class Personal:
    """Everything that the page says about personal data."""

    was_searched: bool
    title: str
    tone: str
    """good, bad or neutral."""
    sentences: list[str]
    kinds: list[Kind]
    quality: list[Quality]
    quality_source: str

    @property
    def has_precision(self) -> bool:
        """Whether it was counted how much of what was found is personal data."""
        return any(one.precision != NOTHING for one in self.quality)


def personal(report: Mapping[str, Any]) -> Personal:
    """The anonymisation in words.

    Args:
        report: the data report.
    """
    said = str(report.get("anonymization") or "none: nothing is known about personal data")
    found: Mapping[str, int] = (report.get("summary") or {}).get("redactions") or {}
    details: Mapping[str, Any] = report.get("personal") or {}
    most = max(found.values(), default=0)
    kinds = [
        Kind(entity(kind), shown(count), count / most if most else 0.0)
        for kind, count in sorted(found.items(), key=lambda item: -item[1])
    ]
    if said.startswith("none"):
        lines = [sentence(said.removeprefix("none:"))]
        return Personal(False, "Not looked for", "bad", lines, kinds, [], "")
    details_say = details.get("examplesChanged") is not None and (details.get("residual") or {}).get("rate") is not None
    lines = [] if details_say else [sentence(said.partition(":")[2] or said)]
    strategy = str(details.get("strategy") or said.partition(":")[0])
    if details.get("examplesChanged") is not None:
        total = sum(found.values())
        lines.append(f"{counted(total, 'item')} in {counted(details['examplesChanged'], 'example')} were replaced.")
    lines += [_STRATEGIES[strategy]] if strategy in _STRATEGIES else []
    lines += [f"Looked for by: {', '.join(map(str, details['detectors']))}."] if details.get("detectors") else []
    residual = details.get("residual") or {}
    tone, title = "neutral", "Replaced"
    if residual.get("rate") is not None:
        tone, title = _judged(residual, lines)
    return Personal(True, title, tone, lines, kinds, _quality(details), str(details.get("qualitySource") or ""))


def _judged(residual: Mapping[str, Any], lines: list[str]) -> tuple[str, str]:
    """What the second pass says, as a line; returns tone and title."""
    rate, items, checked = residual["rate"], residual.get("items"), residual.get("examples")
    second = (
        f"A second pass with other means looked at {counted(checked, 'example')} afterwards"
        if checked is not None
        else "A second pass looked again"
    )
    if not rate:
        lines.append(f"{second} and found nothing left.")
        return "good", "Replaced, and nothing found left"
    kinds = ", ".join(f"{entity(kind)}: {count:,}" for kind, count in (residual.get("kinds") or {}).items())
    what = counted(items, "item") if items is not None else f"{100 * rate:.2g}{NARROW}% of the examples"
    allowed = f"; at most {number(residual['allowed'])} was allowed" if residual.get("allowed") is not None else ""
    lines.append(f"{second} and found {what} left{f' ({kinds})' if kinds else ''}, a rate of {number(rate)}{allowed}.")
    return "bad", "Replaced, but not all"


def _quality(details: Mapping[str, Any]) -> list[Quality]:
    return [
        Quality(
            kind=", ".join(entity(kind) for kind in str(one.get("kind", "")).split(", ")),
            language=str(one.get("language", "")),
            recall=_recall(one),
            precision=share(one["precision"], 1) if one.get("precision") is not None else NOTHING,
            items=shown(one.get("items")),
        )
        for one in details.get("quality") or []
    ]


def _recall(one: Mapping[str, Any]) -> str:
    """A share, or where it is of few items both numbers: a percentage of three items looks like knowledge."""
    recall, items = one.get("recall"), one.get("items")
    if recall is None:
        return NOTHING
    return f"{round(recall * items)} of {items}" if items and items < _FEW else share(recall, 1)
