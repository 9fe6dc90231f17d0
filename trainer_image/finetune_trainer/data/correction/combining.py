"""Letters that carry more marks than a letter can.

To bring a text to a Unicode form is to sort the marks behind each letter, and Python sorts them one by one: a row of 800 kB
that is one letter with its marks takes minutes, one of 16 MB a day. No language puts more than a handful on a letter; people
who play with them, a few dozen.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

_MOST = 128
OVERLOADED = f"a letter carries more than {_MOST} marks"
_SUSPICIOUS = re.compile(rf"[^\w\s\x00-\x7f]{{{_MOST + 1},}}")
"""All marks are among these; so are dashes, boxes and pictures, which are told apart one by one."""


def has_overloaded_letter(text: str) -> bool:
    """Whether more than 128 combining marks stand in a row."""
    if text.isascii():
        return False
    return any(_longest_run(found.group()) > _MOST for found in _SUSPICIOUS.finditer(text))


def _longest_run(text: str) -> int:
    return max(
        (sum(1 for _ in run) for marks, run in groupby(text, lambda c: unicodedata.combining(c) > 0) if marks), default=0
    )
