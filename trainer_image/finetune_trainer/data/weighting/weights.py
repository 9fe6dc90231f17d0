"""The weight that a row gets by its fields: each rule that matches is a factor.

A weight scales the loss, not how often an example is seen; for that there is the mixing weight of a dataset. A field that is
missing meets no condition. A value that cannot be compared (a date that is no date) must be mended: to take it for "does not
match" would give the row a weight that nobody chose.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_api.v1alpha1.weighting import WeightRule
from finetune_trainer.data.inputs.formats import UnusableRow, lookup

FIELD = "preparation.weighting.rules"
_OLDEST = 1e-6
"""What is left of a weight, at least, however old a row is: 20 half-lives."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
"""As JSON writes it; 007 is none, but text."""

_Factor = Callable[[Any], float | None]
"""From the value of a field to a factor; None where the rule does not match."""


class FieldRules:
    """All rules on fields, ready to be asked about rows.

    Args:
        rules: of the manifest.
    """

    def __init__(self, rules: Sequence[WeightRule]) -> None:
        self._rules = [(rule.field, _factor(rule, f"{FIELD}[{number}]")) for number, rule in enumerate(rules)]
        self.matched: Counter[int] = Counter()
        """Rows that each rule matched, by its number, since somebody put a new one here."""

    def __call__(self, row: Mapping[str, Any]) -> float:
        """The product of the factors of all rules that match the row; 1.0 where none does.

        Raises: UnusableRow if a value cannot be compared; it names field and rule, never the value.
        """
        product = 1.0
        for number, (field, factor) in enumerate(self._rules):
            found = factor(lookup(row, field))
            if found is not None:
                self.matched[number] += 1
                product *= found
        return product


def condition(rule: WeightRule) -> str:
    """A rule's condition in words, for a report."""
    said = {
        "equals": rule.equals,
        "is one of": None if rule.one_of is None else ", ".join(rule.one_of),
        "contains": rule.contains,
        "is": None if rule.present is None else ("there" if rule.present else "missing or empty"),
        "is at least": rule.at_least,
        "is at most": rule.at_most,
        "is since": rule.since,
        "is until": rule.until,
        "loses half its weight every": None
        if rule.half_life_days is None
        else f"{rule.half_life_days:g} days before {rule.as_of}",
    }
    parts = [
        f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"
        for words, value in said.items()
        if value is not None
    ]
    return f"{rule.field} {' and '.join(parts)}"


def effective_sample_size(weights: NDArray[np.float32]) -> float:
    """How many equally weighted examples say as much: (sum w)^2 / sum w^2.

    Args:
        weights: shape (examples,), float32, each >= 0.
    Returns: from 0 to the number of examples.
    Source: Kish 1965, Survey Sampling, section 11.7.
    """
    total = float(weights.sum(dtype=np.float64))
    squares = float((weights.astype(np.float64) ** 2).sum())
    return total * total / squares if squares else 0.0


# ---------------------------------------------------------------- values of fields


def number_of(value: Any, field: str, *, wanted_by: str) -> float | None:
    """A field as a number: a number, or text that is one; None where it is missing or empty.

    Raises: UnusableRow for anything else; a comma is not read, since it means another thing in each country.
    """
    if _is_empty(value):
        return None
    number = math.nan
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not math.isfinite(number):
        raise UnusableRow(f'field "{field}" is no number, as {wanted_by} needs it', drop=False)
    return number


def time_of(value: Any, field: str, *, wanted_by: str) -> datetime | None:
    """A field as a time in UTC: ISO 8601, or day.month.year with or without a time; None where it is missing or empty.

    A time without a zone is taken for UTC. Numbers and dates with strokes are not read: seconds or milliseconds, month or day
    first, would be guesses.

    Raises: UnusableRow for anything else.
    """
    if _is_empty(value):
        return None
    found: date | None = value if isinstance(value, date) else None
    if isinstance(value, str):
        found = _parsed(value.strip())
    if found is None:
        raise UnusableRow(f'field "{field}" is no date such as 2026-11-30, as {wanted_by} needs it', drop=False)
    if not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day, tzinfo=UTC)
    if found.tzinfo is None:
        return found.replace(tzinfo=UTC)
    try:
        return found.astimezone(UTC)
    except OverflowError:  # the first or the last day that there is, in another zone
        return found.replace(tzinfo=UTC)


def _parsed(text: str) -> datetime | None:
    if len(text) >= 8 and text[4:5] == "-":  # not 20260131, which may be any number
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    for form in ("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"):
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller gives it its zone
        except ValueError:
            continue
    return None


def _is_empty(value: Any) -> bool:
    return value is None or (
        isinstance(value, str | list | Mapping) and not (value.strip() if isinstance(value, str) else value)
    )


def _as_text(value: Any) -> str | None:
    """A value as the manifest writes it: true, 3, 2.5, high."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [text for text in map(_as_text, items) if text is not None]


def _numbers(value: Any) -> list[Decimal]:
    """The numbers among values, each as its digits say: a column of whole numbers with a gap holds 2.0 where another has 2."""
    items = value if isinstance(value, list) else [value]
    numbers = [item for item in items if isinstance(item, int | float | Decimal) and not isinstance(item, bool)]
    return [Decimal(repr(item)) if isinstance(item, float) else Decimal(item) for item in numbers]


# ---------------------------------------------------------------- conditions


def _factor(rule: WeightRule, place: str) -> _Factor:
    """A rule as a function of the value of its field."""
    if rule.half_life_days is not None:
        return _decay(rule, place)
    matches = _condition(rule, place)
    return lambda value: rule.weight if matches(value) else None


def _condition(rule: WeightRule, place: str) -> Callable[[Any], bool]:
    if rule.present is not None:
        return lambda value: _is_empty(value) is not rule.present
    if rule.contains is not None:
        part = rule.contains.casefold()
        return lambda value: any(part in text.casefold() for text in _texts(value))
    if rule.at_least is not None or rule.at_most is not None:
        low = -math.inf if rule.at_least is None else rule.at_least
        high = math.inf if rule.at_most is None else rule.at_most

        def in_range(value: Any) -> bool:
            number = number_of(value, rule.field, wanted_by=place)
            return number is not None and low <= number <= high

        return in_range
    if rule.since is not None or rule.until is not None:
        first = None if rule.since is None else _day(rule.since)
        after = None if rule.until is None else _day(rule.until) + timedelta(days=1)

        def in_time(value: Any) -> bool:
            time = time_of(value, rule.field, wanted_by=place)
            return time is not None and (first is None or first <= time) and (after is None or time < after)

        return in_time
    wanted = {rule.equals} if rule.one_of is None else set(rule.one_of)
    numbers = {Decimal(text) for text in wanted if text is not None and _NUMBER.fullmatch(text)}
    return lambda value: not (wanted.isdisjoint(_texts(value)) and numbers.isdisjoint(_numbers(value)))


def _decay(rule: WeightRule, place: str) -> _Factor:
    """weight * 2^(-age / half-life), the age in whole days, so that neither hour nor zone of an export changes a weight."""
    assert rule.half_life_days is not None
    assert rule.as_of is not None
    half_life, today = rule.half_life_days, _day(rule.as_of).date()

    def factor(value: Any) -> float | None:
        time = time_of(value, rule.field, wanted_by=place)
        if time is None:
            return None
        age = max(0, (today - time.date()).days)
        # Six digits, so that the last bit of a machine's power function does not reach the data.
        return rule.weight * max(_OLDEST, float(f"{2.0 ** (-age / half_life):.6g}"))

    return factor


def _day(text: str) -> datetime:
    """The beginning of a day of a manifest, where every year has a 29th of February: the 1st of March if there is none."""
    year, month, day = map(int, text.split("-"))
    return datetime(year, month, 1, tzinfo=UTC) + timedelta(days=day - 1)
