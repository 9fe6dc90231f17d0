"""Rows out of JSON: an object a line, or the objects of one list, which may stand in an object around it."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from finetune_trainer.data.inputs.raw_rows import (
    CHUNK,
    MAX_DEPTH,
    MAX_ROW_BYTES,
    MAX_VALUES,
    TOO_DEEP,
    TOO_LONG,
    TOO_MANY,
    TOO_MANY_DIGITS,
    BrokenRow,
    Row,
    bounded_lines,
)

_LONGEST_TOKEN = 16
"""A word or an escape of JSON is no longer, so an error further from the end of a chunk is no cut."""
WRAPPED = re.compile(
    rb'\{\s*(?:"[^"]{0,64}"\s*:\s*(?:"[^"\\]{0,256}"|[-+.\deE]{1,32}|true|false|null)\s*,\s*){0,16}'
    rb'"(?:records|result|issues|tickets)"\s*:\s*(?=\[)'
)
"""How the exports of help desks begin that put all their tickets into one object."""


def json_lines(stream: IO[bytes], after: int) -> Iterator[Row | BrokenRow]:
    """One object per line. An object over several lines is recognised and said, since it is the most common mistake."""
    for number, line in enumerate(bounded_lines(stream), 1):
        if line is not None and number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line is not None and not line.strip():
            continue
        if after:
            after -= 1
        elif line is None:
            yield BrokenRow(number, TOO_LONG, drop=True)
        else:
            yield _json_row(number, line)


def _json_row(number: int, line: bytes) -> Row | BrokenRow:
    # Counted in the text, since it is the objects themselves that would take the memory.
    if len(line) > MAX_VALUES and line.count(b",") + line.count(b"[") + line.count(b"{") > MAX_VALUES:
        return BrokenRow(number, TOO_MANY, drop=True)
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        return BrokenRow(number, f"byte {error.start + 1} of the line is not UTF-8")
    except json.JSONDecodeError as error:
        whole = "; one object per line is needed" if line.strip() in (b"{", b"[", b"}") else ""
        return BrokenRow(number, f"broken JSON at column {error.colno}: {error.msg}{whole}")
    except RecursionError:
        return BrokenRow(number, TOO_DEEP, drop=True)
    except ValueError:
        return BrokenRow(number, TOO_MANY_DIGITS, drop=True)
    # Counting brackets costs a tenth of looking into the objects, and most rows have too few to be deep.
    if isinstance(value, dict) and line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return Row(number, value)
    return _object(number, value)


def _object(line: int, value: Any) -> Row | BrokenRow:
    if not isinstance(value, dict):
        return BrokenRow(line, "is JSON, but not an object")
    inner: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        items = (item for one in inner for item in (one.values() if isinstance(one, dict) else one))
        inner = [item for item in items if isinstance(item, dict | list)]
        if not inner:
            return Row(line, value)
    return BrokenRow(line, TOO_DEEP, drop=True)


def json_array(stream: IO[bytes], *, line: int = 1, wrapped: bool = False) -> Iterator[Row | BrokenRow]:
    """The objects of one JSON array, decoded as they come, in memory of one object."""
    decoder = json.JSONDecoder()
    text = codecs.getincrementaldecoder("utf-8-sig")()
    buffer, number, ended = "", 0, False
    try:
        # What goes on is decoded from its begin again: twice as much each time, or a long object would take the square.
        while chunk := stream.read(max(CHUNK, len(buffer))):
            buffer += text.decode(chunk)
            if number == 0 and buffer.lstrip().startswith("["):
                start = buffer.index("[") + 1
                line += buffer.count("\n", 0, start)
                buffer, number = buffer[start:], 1
            position = 0
            while True:
                blank = position
                while blank < len(buffer) and buffer[blank] in " \t\r\n,":
                    blank += 1
                line += buffer.count("\n", position, blank)
                position = blank
                if position < len(buffer) and buffer[position] == "]":
                    ended = True
                    break
                try:
                    value, end = decoder.raw_decode(buffer, position)
                except json.JSONDecodeError as error:
                    cut = error.msg.startswith("Unterminated string") or error.pos >= len(buffer) - _LONGEST_TOKEN
                    if not cut:
                        yield BrokenRow(line, f"broken JSON in the array: {error.msg}")
                        return
                    if len(buffer) - position > MAX_ROW_BYTES:
                        yield BrokenRow(line, f"{TOO_LONG}, and so the rest of the file is left out", drop=True)
                        return
                    break  # the object goes on in the next chunk
                if end == len(buffer) and not isinstance(value, dict):
                    break  # a number may go on in the next chunk
                if end - position > MAX_VALUES and sum(buffer.count(mark, position, end) for mark in ",[{") > MAX_VALUES:
                    yield BrokenRow(line, TOO_MANY, drop=True)
                else:
                    yield _object(line, value)
                line += buffer.count("\n", position, end)
                position = end
            buffer = buffer[position:]
            if ended:
                if wrapped and _has_another(buffer, stream):
                    yield BrokenRow(line, "the object with the list ends here, and another one follows")
                return
        yield BrokenRow(line, _end_of_array(buffer, decoder))
    except UnicodeDecodeError:
        yield BrokenRow(line, "the file is not UTF-8")
    except RecursionError:
        yield BrokenRow(line, f"{TOO_DEEP}; the rest of the file is left out", drop=True)
    except ValueError:
        yield BrokenRow(line, f"{TOO_MANY_DIGITS}; the rest of the file is left out", drop=True)


def _has_another(rest: str, stream: IO[bytes]) -> bool:
    """Whether a further object begins a line after the one whose list has been read."""
    held = rest.encode()
    while held:
        if b"\n{" in held:
            return True
        chunk = stream.read(CHUNK)
        held = held[-1:] + chunk if chunk else b""
    return False


def _end_of_array(rest: str, decoder: json.JSONDecoder) -> str:
    """Why an array has no end: the last object is broken, or the file is cut short."""
    try:
        decoder.raw_decode(rest.lstrip())
    except json.JSONDecodeError as error:
        if rest.strip() and error.pos < len(rest.strip()) and not error.msg.startswith("Unterminated"):
            return f"broken JSON in the array: {error.msg}"
    return "the JSON array is not closed; the file is cut short here"
