"""Rows out of tables that are text: JSON lines, a JSON array, CSV; one row at a time, in memory of one row."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from itertools import islice
from typing import IO, cast

from finetune_trainer.data.inputs.csv_rows import csv_rows
from finetune_trainer.data.inputs.json_rows import WRAPPED, json_array, json_lines
from finetune_trainer.data.inputs.raw_rows import CHUNK, BrokenRow, Row

_PEEKED = 4096


def text_rows(stream: IO[bytes], after: int) -> Iterator[Row | BrokenRow]:
    """JSON array, JSON lines or CSV, by the first character that is no blank.

    Args:
        after: rows at the beginning that are passed over.
    """
    buffered = io.BufferedReader(cast(io.RawIOBase, stream), CHUNK) if not hasattr(stream, "peek") else stream
    start = _peek(buffered)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield BrokenRow(1, "the file is UTF-16; save it as UTF-8")
        return
    bare = start.removeprefix(codecs.BOM_UTF8).lstrip()
    first = bare[:1]
    if wrapped := WRAPPED.match(bare):
        opening = buffered.read(len(start) - len(bare) + wrapped.end())
        yield from islice(json_array(buffered, line=1 + opening.count(b"\n"), wrapped=True), after, None)
    elif first == b"[":
        yield from islice(json_array(buffered), after, None)
    elif first == b"{":
        yield from json_lines(buffered, after)
    elif first:
        yield from islice(csv_rows(buffered), after, None)


def _peek(stream: IO[bytes]) -> bytes:
    peek = getattr(stream, "peek", None)
    return bytes(peek(_PEEKED)[:_PEEKED]) if peek else b""
