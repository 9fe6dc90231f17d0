"""Another date of birth in the form of one that was found: a real day, at most two years away, never the same.

Day and month are known by their form, not by their order alone: 1985-03-12, 03/12/1985 in English and 12.03.85 are one date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

_GERMAN = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()  # noqa: SIM905
_ENGLISH = "January February March April May June July August September October November December".split()  # noqa: SIM905
_MONTHS = {name[:3].lower(): number for names in (_GERMAN, _ENGLISH) for number, name in enumerate(names, 1)} | {
    "jän": 1,
    "mrz": 3,
}
_ONLY_GERMAN = frozenset(("jän", "mär", "mrz", "mai", "okt", "dez"))
_LONG_GERMAN = frozenset(("januar", "februar", "juni", "juli", "jänner", "feber"))
_FULL = frozenset(name.lower() for name in (*_GERMAN, *_ENGLISH, "Jänner", "Feber"))
_PART = re.compile(r"\d+|[^\W\d_]{3,}")
_DIGITS_OF_A_YEAR = re.compile(r"\d{4}")
_SUFFIX = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_TWO_YEARS = 730
_THIS_CENTURY = 30
"""Years of two digits below it are of this century."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A date as it stands in a text."""

    day: date
    places: dict[str, re.Match[str]]
    """Of year, month and day."""


def birth(item: str, number_of: Callable[[str], int], *, language: str) -> str:
    """Another date in the same form.

    Args:
        item: a date.
        number_of: a large number that only the key and the text given to it decide.
        language: of the text: in English 03/12/1985 is the twelfth of March.
    """
    read = _read(item, language)
    if read is None:
        return "".join("0" if character.isdigit() else character for character in item)
    shift = number_of(read.day.isoformat()) % (2 * _TWO_YEARS) - _TWO_YEARS
    return _written(item, read, read.day + timedelta(days=shift + (shift >= 0)))


def day_of(item: str, *, language: str) -> str:
    """The day as ISO 8601 writes it, or the item where none can be read from it."""
    read = _read(item, language)
    return item if read is None else read.day.isoformat()


def _read(item: str, language: str) -> _Read | None:
    parts = [part for part in _PART.finditer(item) if part.group()[0].isdigit() or part.group()[:3].lower() in _MONTHS]
    names = [part for part in parts if not part.group()[0].isdigit()]
    runs = [part for part in parts if part.group()[0].isdigit()]
    if len(names) == 1 and len(runs) == 2:
        first, second = runs
        day, year = (second, first) if len(first.group()) == 4 else (first, second)
        places = {"year": year, "month": names[0], "day": day}
        month = _MONTHS[names[0].group()[:3].lower()]
    elif len(runs) == 3:
        first, second, third = runs
        if _DIGITS_OF_A_YEAR.fullmatch(first.group()):
            year, place_of_month, day = first, second, third
        else:
            american = int(second.group()) > 12 or (language == "en" and "/" in item)
            month_first = american and int(first.group()) <= 12
            place_of_month, day, year = (first, second, third) if month_first else (second, first, third)
        places = {"year": year, "month": place_of_month, "day": day}
        month = int(place_of_month.group())
    else:
        return None
    number = int(year.group())
    if len(year.group()) <= 2:
        number += 2000 if number < _THIS_CENTURY else 1900
    number = min(max(number, 100), 9900)
    try:
        return _Read(date(number, month, int(day.group())), places)
    except ValueError:  # no day of any year: some day of that year
        return _Read(date(number, 1, 1), places)


def _written(item: str, read: _Read, other: date) -> str:
    """The item with another date in the places of its own."""
    day, month, year = (read.places[name] for name in ("day", "month", "year"))
    padded = len(day.group()) == 2 and (day.group()[0] == "0" or (month.group()[0].isdigit() and len(month.group()) == 2))
    width = 2 if padded else 1
    new = {day.start(): f"{other.day:0{width}d}", year.start(): f"{other.year:04d}"[-len(year.group()) :]}
    if month.group()[0].isdigit():
        new[month.start()] = f"{other.month:0{2 if len(month.group()) == 2 and padded else 1}d}"
    else:
        new[month.start()] = _name_like(month.group(), item, other.month)
    written = _PART.sub(lambda part: new.get(part.start(), part.group()), item)
    return _SUFFIX.sub(_ordinal(other.day), written)


def _name_like(name: str, item: str, month: int) -> str:
    small = name.lower()
    german = small[:3] in _ONLY_GERMAN or small in _LONG_GERMAN or (re.search(r"\d\.", item) is not None)
    full = (_GERMAN if german else _ENGLISH)[month - 1]
    glued = re.search(rf"[\d-]{name}", item) is not None  # 12-May-1985 has a short name, 12 May 1985 may have a long one
    new = full if small in _FULL and not (glued and len(name) == 3) else full[:3]
    return new.upper() if name.isupper() else new.lower() if name.islower() else new


def _ordinal(day: int) -> str:
    if 10 < day < 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
