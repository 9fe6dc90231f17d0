"""Rows out of files: JSONL, JSON, CSV and Parquet, plain or compressed, one row at a time.

What a file is, its first bytes say, never its name: exports are misnamed often enough. A row that cannot be read is a
problem with a file and a line, and reading goes on, so that a person sees all of them and not the first.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from finetune_trainer.sources import DataFile

MAX_LINE_CHARACTERS = 64 * 2**20
_CHUNK = 1 << 20
_PARQUET_BATCH = 1024
_LONGEST_TOKEN = 16
"""A word or an escape of JSON is no longer, so an error further from the end of a chunk is no cut."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it stands in the file."""

    line: int
    """Line of text files, number of the record otherwise; from 1."""
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A place that holds no record."""

    line: int
    reason: str
    """What is wrong there, without the content."""


def read_rows(file: DataFile) -> Iterator[Row | BrokenRow]:
    """Every record of a file, in order.

    A leading byte order mark and CRLF line ends are taken as they are. Memory stays that of one record, except for a JSON
    array on a single line, which is decoded piece by piece.

    Args:
        file: a local file; its name is for messages alone.
    Yields: a Row for each record, a BrokenRow for each place that is none.
    """
    with file.path.open("rb") as raw:
        head = raw.read(4)
    if head == b"PAR1":
        yield from _parquet(file.path)
        return
    try:
        with _decompressed(file.path, head) as stream:
            yield from _text(stream)
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield BrokenRow(0, "the compressed file is damaged or cut short")


def _decompressed(path: Path, head: bytes) -> IO[bytes]:
    if head[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if head == b"\x28\xb5\x2f\xfd":
        import pyarrow

        # Not the zstandard package: its reader takes a file that is cut short for one that ends there.
        return cast(IO[bytes], pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"))
    return path.open("rb")


def _text(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """JSON array, JSON lines or CSV, by the first character that is no blank."""
    buffered = io.BufferedReader(cast(io.RawIOBase, stream), _CHUNK) if not hasattr(stream, "peek") else stream
    start = _peek(buffered)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield BrokenRow(1, "the file is UTF-16; save it as UTF-8")
        return
    first = start.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if first == b"[":
        yield from _json_array(buffered)
    elif first == b"{":
        yield from _json_lines(buffered)
    elif first:
        yield from _csv(buffered)


def _peek(stream: IO[bytes]) -> bytes:
    peek = getattr(stream, "peek", None)
    return bytes(peek(4096)[:4096]) if peek else b""


# ---------------------------------------------------------------- JSON


def _json_lines(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """One object per line. An object over several lines is recognised and said, since it is the most common mistake."""
    for number, line in enumerate(_lines(stream), 1):
        if line is None:
            yield BrokenRow(number, f"the line is longer than {MAX_LINE_CHARACTERS:,} bytes")
            continue
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        yield _json_row(number, line)


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Lines of bounded length; None in place of one that is longer, the rest of which is skipped."""
    while line := stream.readline(MAX_LINE_CHARACTERS):
        if len(line) == MAX_LINE_CHARACTERS and not line.endswith(b"\n"):
            while (rest := stream.readline(_CHUNK)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line


def _json_row(number: int, line: bytes) -> Row | BrokenRow:
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        return BrokenRow(number, f"byte {error.start + 1} of the line is not UTF-8")
    except json.JSONDecodeError as error:
        whole = "; one object per line is needed" if line.strip() in (b"{", b"[", b"}") else ""
        return BrokenRow(number, f"broken JSON at column {error.colno}: {error.msg}{whole}")
    except RecursionError:
        return BrokenRow(number, "JSON nested too deeply")
    return Row(number, value) if isinstance(value, dict) else BrokenRow(number, "is JSON, but not an object")


def _json_array(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """The objects of one JSON array, decoded as they come, in memory of one object."""
    decoder = json.JSONDecoder()
    text = codecs.getincrementaldecoder("utf-8-sig")()
    buffer, line, number, ended = "", 1, 0, False
    try:
        while chunk := stream.read(_CHUNK):
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
                    if not cut or len(buffer) - position > MAX_LINE_CHARACTERS:
                        yield BrokenRow(line, f"broken JSON in the array: {error.msg}")
                        return
                    break  # the object goes on in the next chunk
                if end == len(buffer) and not isinstance(value, dict):
                    break  # a number may go on in the next chunk
                yield Row(line, value) if isinstance(value, dict) else BrokenRow(line, "is JSON, but not an object")
                line += buffer.count("\n", position, end)
                position = end
            buffer = buffer[position:]
            if ended:
                return
        yield BrokenRow(line, _end_of_array(buffer, decoder))
    except UnicodeDecodeError:
        yield BrokenRow(line, "the file is not UTF-8")
    except RecursionError:
        yield BrokenRow(line, "JSON nested too deeply")


def _end_of_array(rest: str, decoder: json.JSONDecoder) -> str:
    """Why an array has no end: the last object is broken, or the file is cut short."""
    try:
        decoder.raw_decode(rest.lstrip())
    except json.JSONDecodeError as error:
        if rest.strip() and error.pos < len(rest.strip()) and not error.msg.startswith("Unterminated"):
            return f"broken JSON in the array: {error.msg}"
    return "the JSON array is not closed; the file is cut short here"


# ---------------------------------------------------------------- CSV


def _csv(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """Comma, semicolon or tab separated values with a header line. Empty cells are left out of the row."""
    csv.field_size_limit(MAX_LINE_CHARACTERS)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        header_line = text.readline(MAX_LINE_CHARACTERS)
        delimiter = max(",;\t", key=header_line.count)
        header = next(csv.reader([header_line], delimiter=delimiter), [])
        names = [name.strip() for name in header]
        if len(set(names)) < len(names) or "" in names:
            yield BrokenRow(1, "the header line has an empty or a repeated column name")
            return
        reader = csv.reader(text, delimiter=delimiter)
        for cells in reader:
            line = reader.line_num + 1
            if not cells:
                continue
            if len(cells) != len(names):
                yield BrokenRow(line, f"has {len(cells)} columns where the header has {len(names)}")
                continue
            yield Row(line, {name: cell for name, cell in zip(names, cells, strict=True) if cell != ""})
    except UnicodeDecodeError:
        yield BrokenRow(0, "the file is not UTF-8")
    except csv.Error as error:
        yield BrokenRow(0, f"is no CSV that can be read: {error}")


# ---------------------------------------------------------------- Parquet


def _parquet(path: Path) -> Iterator[Row | BrokenRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
            for value in batch.to_pylist():
                number += 1
                yield Row(number, {key: item for key, item in value.items() if item is not None})
    except (pyarrow.ArrowException, OSError) as error:
        yield BrokenRow(0, f"is no Parquet file that can be read: {str(error).splitlines()[0][:200]}")
