"""Names of fields as messages may show them.

A column may be called anything: with escapes that repaint a terminal, or ten megabytes long. And where a table has no line with
names, its first line is somebody's address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from finetune_trainer.sources import printable

_LONGEST_NAME, _MOST_NAMES = 40, 12
_LIKE_A_VALUE = re.compile(r"@|\d{5}|(?:\d[ ./()-]?){7}|\w(?:\W+\w+){7}")
"""An address, a long number, a sentence."""


def fields_shown(names: Iterable[str]) -> str:
    """Names of fields as the end of `line 1 has`, in their order: a dozen of them, none of them long; none at all if they seem
    to be values."""
    ordered = list(names)
    if any(_LIKE_A_VALUE.search(name[: 4 * _LONGEST_NAME]) for name in ordered[:_MOST_NAMES]):
        return f"{len(ordered):,} fields whose names look like values, as if the line with the names were missing"
    short = [f"{printable(one[:_LONGEST_NAME])}{'…' if one[_LONGEST_NAME:] else ''}" for one in ordered[:_MOST_NAMES]]
    more = f" and {len(ordered) - _MOST_NAMES:,} more" if len(ordered) > _MOST_NAMES else ""
    return f"the fields {', '.join(short)}{more}"
