"""The data report in a terminal: what was read, what became of it, and what somebody should look at. Numbers, never content.

Names of fields and classes come covered from the trainer where they seem to be somebody's data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from finetune_api.contract.data_words import change, entity, language, reason

_SHOWN = 12
"""Rows of a table; the report holds all."""


def print_data(report: Mapping[str, Any], paths: Mapping[str, str], out: TextIO) -> None:
    """Print a data report.

    Args:
        report: reports/data.json.
        paths: what a person may want to open, by name.
    """
    from rich.console import Console

    console = Console(file=out, highlight=False, width=None if out.isatty() else 100)
    summary = report["summary"]
    examples, split = summary["examples"], summary["split"]
    read, kept = examples["read"], examples["kept"]
    parts = ", ".join(f"{count:,} {name}" for name, count in split.items() if count)
    console.print(f"{_counted(read, 'row')} read, {_counted(kept, 'example')} kept: {parts}", markup=False, soft_wrap=True)
    for one in report["datasets"]:
        taken = f"{one['name']}: {_counted(one['rows'], 'row')} in {_counted(one['files'], 'file')}, taken for {one['format']}"
        console.print(f"  {taken}", markup=False, soft_wrap=True)
    dropped: Counter[str] = Counter()
    for one in report["datasets"]:
        dropped.update(one["dropped"])
    _table(console, ("left out", "rows"), ((reason(name), n) for name, n in dropped.most_common()))
    changed = Counter(report["cleaned"])
    _table(console, ("changed", "examples"), ((change(name), n) for name, n in changed.most_common()))
    titles = ("language", "rows" if report.get("languages_of") == "all" else "of every eighth row")
    _table(console, titles, ((language(code), n) for code, n in (report.get("languages") or {}).items()))
    rules = (report.get("weighting") or {}).get("rules") or []
    _table(console, ("weighed by rule", "rows"), ((f"{one['condition']}: {one['weight']:g}", one["rows"]) for one in rules))
    redactions = Counter(summary.get("redactions") or {})
    _table(console, ("personal data replaced", "items"), redactions.most_common())
    console.print(f"Personal data: {report['anonymization']}", markup=False, soft_wrap=True)
    train = report["splits"]["train"]
    if train["examples"]:
        lengths, unit = train["lengths"], report["unit"]
        length = (
            f"half at most {lengths['p50']:,.0f} {unit}, 95 % at most {lengths['p95']:,.0f}, longest {lengths['p100']:,.0f}"
        )
        console.print(f"Lengths: {length}", markup=False, soft_wrap=True)
        weights = train["weights"]
        if weights["p0"] != weights["p100"]:
            effective = f"{weights['effectiveSampleSize']:,.1f} of {_counted(train['examples'], 'example')}"
            spread = f"{weights['p0']:g} to {weights['p100']:g}"
            console.print(f"Weights: {spread}, effective sample size {effective}", markup=False, soft_wrap=True)
    for warning in report["warnings"]:
        console.print(f"Note: {warning}", markup=False, soft_wrap=True)
    console.print(f"Digest: {summary['digest']}", markup=False, soft_wrap=True)
    width = max(map(len, paths), default=0)
    for name, path in paths.items():
        console.print(f"{name:<{width}}  {path}", markup=False, soft_wrap=True)


def _table(console: Any, titles: tuple[str, str], rows: Iterable[tuple[str, int]]) -> None:
    """Names with their counts; nothing where there are none."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    found = list(rows)
    if not found:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(titles[0])
    table.add_column(titles[1], justify="right")
    for name, count in found[:_SHOWN]:
        table.add_row(Text(name), f"{count:,}")
    if len(found) > _SHOWN:
        table.add_row(f"{len(found) - _SHOWN} further", f"{sum(n for _, n in found[_SHOWN:]):,}")
    console.print(table)


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"


# ---------------------------------------------------------------- two versions

_SECTIONS = (
    ("counts", "rows"),
    ("splits", "examples per split"),
    ("dropped", "left out"),
    ("changed", "changed by a rule"),
    ("entities", "personal data replaced"),
    ("languages", "languages"),
    ("labels", "labels"),
    ("fields", "fields"),
    ("lengths", "lengths"),
    ("weights", "weights"),
)
_QUANTILES = {"p0": "lowest", "p50": "half at most", "p95": "95 % at most", "p100": "highest"}


def print_difference(found: Mapping[str, Any], out: TextIO) -> None:
    """Print what changed between two versions: rows first, then every number that stands in either.

    Args:
        found: what the trainer's comparison says.
    """
    from rich.console import Console

    console = Console(file=out, highlight=False, width=None if out.isatty() else 100)
    old, new = found["old"], found["new"]
    same = old["digest"] == new["digest"]
    console.print("The versions are the same: their digests are equal." if same else "The versions differ.", style="bold")
    rows = found["rows"]
    if rows:
        console.print(
            f"Rows, known by {rows['knownBy']}: {rows['unchanged']:,} unchanged, {rows['changed']:,} changed,"
            f" {rows['added']:,} added, {rows['removed']:,} removed",
            markup=False,
            soft_wrap=True,
        )
    for one in found["moved"]:
        moved = f"{_counted(one['examples'], 'example')} moved from {one['from']} to {one['to']}"
        console.print(f"Note: {moved}", markup=False, soft_wrap=True)
    for remark in found["remarks"]:
        console.print(f"Note: {remark}", markup=False, soft_wrap=True)
    _differences(console, old, new)
    for title, side in (("old", old), ("new", new)):
        console.print(f"Digest of the {title} version: {side['digest']}", markup=False, soft_wrap=True)


def _differences(console: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """One table of all numbers, section by section."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for title in ("old", "new", "difference"):
        table.add_column(title, justify="right")
    for section, title in _SECTIONS:
        before, after = old.get(section) or {}, new.get(section) or {}
        names = [*before, *(name for name in after if name not in before)]
        if not names:
            continue
        unit = f", in {old['unit']}" if section == "lengths" else ""
        table.add_row(Text(title + unit, style="bold"), "", "", "")
        ordered = (
            sorted(names, key=lambda name: -abs(after.get(name, 0) - before.get(name, 0))) if len(names) > _SHOWN else names
        )
        for name in ordered[:_SHOWN]:
            one, other = before.get(name, 0), after.get(name, 0)
            digits = 4 if section == "weights" else 1
            numbers = (_number(one, digits), _number(other, digits), _signed(other - one, digits))
            table.add_row(Text(f"  {_words(section, name)}"), *numbers)
        if len(names) > _SHOWN:
            table.add_row(f"  {len(names) - _SHOWN} further, which differ less", "", "", "")
    console.print(table)


def _words(section: str, name: str) -> str:
    match section:
        case "dropped":
            return reason(name)
        case "changed":
            return change(name)
        case "entities":
            return entity(name)
        case "languages":
            return language(name)
        case "lengths" | "weights":
            return _QUANTILES.get(name, "effective sample size")
        case _:
            return name


def _number(value: float, digits: int) -> str:
    value = round(value, digits)
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


def _signed(value: float, digits: int) -> str:
    value = round(value, digits)
    return "" if not value else f"{value:+,.0f}" if value == int(value) else f"{value:+,}"
