"""Rows out of values separated by commas, semicolons or tabs, under a header line."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from finetune_trainer.data.inputs.raw_rows import MAX_ROW_BYTES, TOO_LONG, BrokenRow, Row, bounded_lines
from finetune_trainer.data.inputs.tickets import repeats_columns


def csv_rows(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """Comma, semicolon or tab separated values with a header line. Empty cells are left out of the row."""
    csv.field_size_limit(MAX_ROW_BYTES)
    text = _Text(stream)
    try:
        header_line = next(text, "")
        delimiter = max(",;\t", key=header_line.count)
        header = next(csv.reader([header_line], delimiter=delimiter), [])
        names = [name.strip() for name in header]
        several = {name for name, times in Counter(names).items() if times > 1} if repeats_columns(names) else set()
        if text.wrong is not None:
            yield BrokenRow(1, text.wrong)
            return
        if "" in names or (len(set(names)) < len(names) and not several):
            yield BrokenRow(1, "the header line has an empty or a repeated column name")
            return
        text.begin_row()
        for cells in csv.reader(text, delimiter=delimiter):
            line, wrong = text.row_begins, text.wrong
            text.begin_row()
            if not cells:
                continue
            if wrong is not None:
                yield BrokenRow(line, wrong)
            elif len(cells) != len(names):
                yield BrokenRow(line, f"has {len(cells)} columns where the header has {len(names)}")
            else:
                yield Row(line, _cells(names, cells, several))
    except csv.Error as error:
        yield BrokenRow(text.row_begins, f"is no CSV that can be read from here on: {error}")
    except _TooLong:
        yield BrokenRow(text.row_begins, f"{TOO_LONG}, and so the rest of the file is left out", drop=True)


def _cells(names: list[str], cells: list[str], several: set[str]) -> dict[str, Any]:
    """A row by its columns; those of one name together as a list."""
    row: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=True) if cell != "" and name not in several}
    for name, cell in zip(names, cells, strict=True):
        if cell != "" and name in several:
            row.setdefault(name, []).append(cell)
    return row


class _TooLong(Exception):
    """A row of CSV that does not end: a quote is open."""


class _Text:
    """Lines of text for csv.reader, with a bound on what makes up one row. Each line is decoded by itself, so that one in
    another encoding costs its own row."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._lines = self._split(stream)
        self._number = 0
        self._size = 0
        self.row_begins = 1
        """Line of the row that is being read."""
        self.wrong: str | None = None
        """What is wrong with it."""

    def begin_row(self) -> None:
        self.row_begins, self._size, self.wrong = self._number + 1, 0, None

    def __iter__(self) -> _Text:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._number += 1
        self._size += len(line)
        if self._size > MAX_ROW_BYTES:
            raise _TooLong
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.wrong = "is not UTF-8"
            return line.decode("utf-8", "replace")

    @staticmethod
    def _split(stream: IO[bytes]) -> Iterator[bytes]:
        """Lines by any of the three line ends."""
        first = True
        for line in bounded_lines(stream):
            if line is None:
                raise _TooLong
            if first:
                line, first = line.removeprefix(codecs.BOM_UTF8), False
            yield from re.split(rb"(?<=\r)(?!\n)", line) if b"\r" in line[:-2] else (line,)
