"""What a detector found: where, of which kind, and which of two that overlap is believed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BORDER = "\n\ufdd0\n"
"""Between the texts of an example, where they are looked at as one: a closing at the end of a question introduces nobody in the
answer. The character is none, and white space neither: Unicode keeps it for the inside of programs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A personal item in a text: `text[begin:end]`."""

    kind: str
    begin: int
    end: int
    certainty: int = 1
    """Of two that overlap the more certain is believed: 3 a check digit agrees, 2 the form alone tells, 1 a cue stands by."""


_WORDS = frozenset(("PERSON", "ADDRESS", "ORGANIZATION"))
"""Kinds without a form of their own: where two detectors see a part each, both parts belong to it."""


def without_overlaps(findings: Iterable[Finding]) -> list[Finding]:
    """The findings to act on, in the order of the text: of two that overlap the more certain, then the longer. Names and
    addresses that overlap become one."""
    kept: list[Finding] = []
    begins: list[int] = []
    for finding in sorted(_joined(findings), key=lambda one: (-one.certainty, one.begin - one.end, one.begin)):
        place = bisect_right(begins, finding.begin)
        before = place == 0 or kept[place - 1].end <= finding.begin
        behind = place == len(kept) or finding.end <= kept[place].begin
        if before and behind:
            begins.insert(place, finding.begin)
            kept.insert(place, finding)
    return kept


def _joined(findings: Iterable[Finding]) -> Iterator[Finding]:
    last: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda one: one.begin):
        before = last.get(finding.kind) if finding.kind in _WORDS else None
        if before is not None and finding.begin < before.end:
            end, certainty = max(before.end, finding.end), max(before.certainty, finding.certainty)
            last[finding.kind] = Finding(finding.kind, before.begin, end, certainty)
            continue
        if before is not None:
            yield before
        if finding.kind in _WORDS:
            last[finding.kind] = finding
        else:
            yield finding
    yield from last.values()
