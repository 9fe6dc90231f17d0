"""What became of the rows, as a river: as wide as what is left, with an arm for everything that leaves it.

Each step is one line of a list, and its piece of the river lies behind the words. So the picture is as readable on a telephone
as on a wide screen, needs no script, and whoever cannot see it hears the list with its numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from finetune_api.contract.data_words import reason
from finetune_trainer.evidence.page_words import counted, share, shown

_WIDE = 700.0
"""How wide all rows are, of a picture of 1000: the rest is room for what leaves."""
_APART = 26.0
_LEAST = 4.0
"""What is few is still seen."""

_BY_SELECTION = (
    "too_long",
    "nothing_supervised",
    "weight_zero",
    "contradictory_label",
    "duplicate",
    "stands_in_held_out_data",
    "group_in_held_out_data",
    "near_duplicate",
    "near_held_out_data",
)
"""Reasons that compare examples with each other, in the order in which they are looked for: after all that concern one row."""

_SPLITS = {"train": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a number of rows."""

    words: str
    count: str
    share: str
    kind: str
    """read, left, note, kept or splits."""
    picture: Markup | str = ""
    parts: tuple[tuple[str, str], ...] = ()
    """What it is made of: names with numbers."""


def fates(report: Mapping[str, Any]) -> list[Fate]:
    """Rows by what became of them; they add up to what was read, and if they do not, a line says so.

    Args:
        report: the data report.
    """
    examples = (report.get("summary") or {}).get("examples") or {}
    read, kept = examples.get("read"), examples.get("kept")
    if not read or kept is None:
        return []
    losses = _losses(report, examples)
    rest = read - kept - sum(count for _, count in losses)
    if rest > 0:
        losses.append(("a reason that the report does not name", rest))
    whole = max(read, kept)
    datasets = [(str(one.get("name", "")), int(one.get("rows") or 0)) for one in report.get("datasets") or []]
    found = [Fate("rows read", shown(read), "", "read", _stream(sum(n for _, n in datasets) or read, whole), _named(datasets))]
    left = read
    for words, count in losses:
        found.append(Fate(words, shown(count), share(count, read), "left", _arm(left, left - count, whole)))
        left -= count
    if rest < 0:
        words = "more examples than rows: a conversation or a long text can become several examples"
        found.append(Fate(words, shown(-rest), "", "note", _stream(max(left, 0), whole)))
    found.append(Fate("examples kept", shown(kept), share(kept, read) if kept <= read else "", "kept", _stream(kept, whole)))
    splits = [(name, int(one.get("examples") or 0)) for name, one in (report.get("splits") or {}).items()]
    splits = [(split_name(name), count) for name, count in splits if count]
    if splits:
        total = max(whole, sum(count for _, count in splits))
        found.append(Fate("", "", "", "splits", _stream(sum(n for _, n in splits), total), _named(splits, always=True)))
    return found


def split_name(name: str) -> str:
    """A split as people call it."""
    return f'suite "{name.removeprefix("suite-")}"' if name.startswith("suite-") else _SPLITS.get(name, name)


def _losses(report: Mapping[str, Any], examples: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Reasons in words, in the order in which rows meet them."""
    dropped: Counter[str] = Counter()
    for one in report.get("datasets") or []:
        dropped.update(one.get("dropped") or {})
    if not dropped:
        dropped.update(examples.get("droppedByReason") or {})
    place = {name: index for index, name in enumerate(_BY_SELECTION)}
    ordered = sorted(dropped.items(), key=lambda item: (place.get(item[0], -1), -item[1]))
    return [(reason(name), count) for name, count in ordered]


def _named(parts: Sequence[tuple[str, int]], *, always: bool = False) -> tuple[tuple[str, str], ...]:
    return (
        tuple((name, counted(count, "example" if always else "row")) for name, count in parts)
        if always or len(parts) > 1
        else ()
    )


# ---------------------------------------------------------------- the picture


def _stream(count: int, whole: int) -> Markup:
    """The river at rest."""
    return _svg(_box(0.0, _at(count, whole)))


def _arm(before: int, after: int, whole: int) -> Markup:
    """The river goes on, and what leaves it turns away to the right."""
    begin, end = _at(after, whole), _at(before, whole)
    width = max(end - begin, _LEAST)
    far = end + _APART
    wide = min(far + width, 1000.0)
    arm = Markup(
        '<path class="arm" d="M{0:.1f} 0C{0:.1f} 60 {1:.1f} 40 {1:.1f} 100H{2:.1f}C{2:.1f} 40 {3:.1f} 60 {3:.1f} 0Z"/>'
    ).format(end - width, far, wide, end)
    return _svg(_box(0.0, begin) + arm)


def _at(count: int, whole: int) -> float:
    return _WIDE * count / whole


def _box(begin: float, end: float) -> Markup:
    return Markup('<path class="stream" d="M{0:.1f} 0H{1:.1f}V100H{0:.1f}Z"/>').format(begin, max(end, begin + 1.0))


def _svg(parts: Markup) -> Markup:
    return Markup(
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true" focusable="false">{}</svg>'
    ).format(parts)
