"""What comes out of a file of examples, whatever its format: rows, and places that hold none.

A row may be made to do harm: a line of a gigabyte, a million lists in each other, a quote that never ends. Each such thing has
a bound and costs its own row, which is then left out and counted. What is merely wrong is said with its line, for somebody to
mend.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

MAX_ROW_BYTES = 16 * 2**20
MAX_VALUES = 1_000_000
"""In one row: each is an object of its own in memory, twenty times what it takes in the file."""
MAX_DEPTH = 64
"""Of lists and objects in each other: whoever walks through a row does it by recursion."""
CHUNK = 1 << 20
TOO_LONG = f"the row is longer than {MAX_ROW_BYTES:,} bytes"
TOO_DEEP = f"JSON nested too deeply: more than {MAX_DEPTH} lists and objects in each other"
MAX_EXPANSION = 200
"""Logs compress to a fiftieth; gzip's own limit, for nothing but zeros, is a thousandth."""
_ALWAYS_EXPANDED = 256 * 2**20
BOMB = f"the compressed file expands to more than {MAX_EXPANSION} times its size"
TOO_MANY_DIGITS = f"holds a whole number of more than {sys.get_int_max_str_digits():,} digits"
"""Python reads no longer ones, since that takes quadratic time."""
TOO_MANY = f"the row has more than {MAX_VALUES:,} values"


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it stands in the file."""

    line: int
    """Line of text files, number of the record otherwise; from 1."""
    value: dict[str, Any]
    group: str | None = None
    """What belongs on one side of the split with it: its thread, its document."""
    is_guessed: bool = False
    """Whether it is a thread of mail of which nobody knows for certain that it is one, nor who answers in it (mail.py)."""


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A place that holds no record."""

    line: int
    reason: str
    """What is wrong there, without the content."""
    drop: bool = False
    """Whether it is counted and left out, as a broken mail or document is; else somebody has to mend it."""


def most_expanded(size: int) -> int:
    """Bytes to which a file of so many may expand."""
    return max(_ALWAYS_EXPANDED, MAX_EXPANSION * size)


def bounded_lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Lines of bounded length; None in place of one that is longer, the rest of which is skipped."""
    while line := stream.readline(MAX_ROW_BYTES):
        if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(CHUNK)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line
