"""Names of fields and classes as messages may show them.

A column may be called anything: with escapes that repaint a terminal, or ten megabytes long. And where a table has no line with
names, its first line is somebody's address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from finetune_trainer.sources import printable

NOT_SHOWN = "that looks like somebody's data and is not shown here"
_LONGEST_NAME, _MOST_NAMES = 40, 12
_LIKE_A_VALUE = re.compile(r"@|\d{5}|(?:\d[ ./()-]?){7}|\w(?:\W+\w+){7}")
"""An address, a long number, a sentence."""


def is_like_a_value(name: str) -> bool:
    """Whether a name seems to be what rows hold and not what they are called by."""
    return _LIKE_A_VALUE.search(name[: 4 * _LONGEST_NAME]) is not None


def value_shown(name: str) -> str:
    """A class as the end of `the label`: in quotes and not too long, or none at all if it seems to be no name of a class."""
    if is_like_a_value(name):
        return NOT_SHOWN
    return f'"{_short(name)}"'


def fields_shown(names: Iterable[str]) -> str:
    """Names of fields as the end of `line 1 has`, in their order: a dozen of them, none of them long; none at all if they seem
    to be values."""
    ordered = list(names)
    if any(map(is_like_a_value, ordered[:_MOST_NAMES])):
        return f"{len(ordered):,} fields whose names look like values, as if the line with the names were missing"
    short = [_short(one) for one in ordered[:_MOST_NAMES]]
    more = f" and {len(ordered) - _MOST_NAMES:,} more" if len(ordered) > _MOST_NAMES else ""
    return f"the fields {', '.join(short)}{more}"


def _short(name: str) -> str:
    return f"{printable(name[:_LONGEST_NAME])}{'…' if name[_LONGEST_NAME:] else ''}"
