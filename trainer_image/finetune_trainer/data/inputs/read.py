"""Rows out of files: tables, plain or compressed, one row at a time; mailboxes and documents as rows made of them.

What a file is, its first bytes say, never its name: exports are misnamed often enough. A row that cannot be read is a
problem with a file and a line, and reading goes on, so that a person sees all of them and not the first.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from finetune_trainer.data.defects import told_without_words
from finetune_trainer.data.inputs.documents import UnreadableDocument, document_chunks, document_sections
from finetune_trainer.data.inputs.kinds import HEAD_BYTES, kind_of
from finetune_trainer.data.inputs.mail import Conversation, conversations
from finetune_trainer.data.inputs.parquet_rows import parquet_rows
from finetune_trainer.data.inputs.questions import questions_of
from finetune_trainer.data.inputs.raw_rows import BOMB, CHUNK, BrokenRow, Row, most_expanded
from finetune_trainer.data.inputs.tables import text_rows
from finetune_trainer.sources import DataFile

__all__ = ["BrokenRow", "Row", "join_mail", "read_rows"]


def read_rows(file: DataFile, *, after: int = 0) -> Iterator[Row | BrokenRow]:
    """Every record of a file, in order.

    A leading byte order mark and CRLF line ends are taken as they are. Memory stays that of one record, except for a JSON
    array on a single line, which is decoded piece by piece, and for a mailbox, of which the heads are held.

    Args:
        file: a local file; its name is for messages alone.
        after: so many at the beginning are passed over; lines of JSON are then not even parsed.
    Yields: a Row for each record, a BrokenRow for each place that is none.
    """
    line = 0
    with told_without_words(lambda: f"{file.name} behind line {line}"):
        for row in _records(file, after):
            line = row.line
            yield row


def _records(file: DataFile, after: int) -> Iterator[Row | BrokenRow]:
    with file.path.open("rb") as raw:
        head = raw.read(HEAD_BYTES)
    match kind_of(head, file.name):
        case "parquet":
            yield from parquet_rows(file.path, after)
        case "mail":
            yield from islice(_mail(file), after, None)
        case "rows":
            yield from _rows(file.path, head, after)
        case kind:
            yield from islice(_document(file, kind), after, None)


def is_mailbox(file: DataFile) -> bool:
    """Whether a file holds mail."""
    with file.path.open("rb") as raw:
        return kind_of(raw.read(HEAD_BYTES), file.name) == "mail"


def join_mail(files: Sequence[DataFile], *, inside: Sequence[str] = ()) -> list[DataFile]:
    """The same files, mailboxes and single messages as one: a thread runs through many of them."""
    mails: list[DataFile] = []
    others: list[DataFile] = []
    for file in files:
        (mails if is_mailbox(file) else others).append(file)
    if not mails:
        return list(files)
    return [*others, replace(mails[0], more=tuple(mail.path for mail in mails[1:]), inside=tuple(inside))]


def _mail(file: DataFile) -> Iterator[Row | BrokenRow]:
    for found in conversations((file.path, *file.more), inside=file.inside):
        if isinstance(found, Conversation):
            turns = [{"role": role, "content": text} for role, text in found.turns]
            yield Row(found.number, {"messages": turns}, f"mail {found.thread}", found.is_guessed)
        else:
            yield BrokenRow(found.number, found.reason, drop=True)


def _document(file: DataFile, kind: str) -> Iterator[Row | BrokenRow]:
    group = f"document {file.name}"
    try:
        if file.questions:
            for found in questions_of(document_sections(file.path, kind)):
                if found.answer:
                    yield Row(found.place, {"prompt": found.question, "completion": found.answer}, group)
                else:
                    yield BrokenRow(found.place, "the section of the document asks nothing", drop=True)
            return
        for chunk in document_chunks(file.path, kind):
            yield Row(chunk.place, {"text": chunk.text}, group)
    except UnreadableDocument as unreadable:
        yield BrokenRow(0, str(unreadable), drop=True)


def _rows(path: Path, head: bytes, after: int) -> Iterator[Row | BrokenRow]:
    try:
        with _decompressed(path, head) as stream:
            yield from text_rows(stream, after)
    except _Bomb:
        yield BrokenRow(0, BOMB, drop=True)
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield BrokenRow(0, "the compressed file is damaged or cut short")


def _decompressed(path: Path, head: bytes) -> IO[bytes]:
    if head[:2] == b"\x1f\x8b":
        packed = cast(IO[bytes], gzip.GzipFile(path))
        return cast(IO[bytes], io.BufferedReader(_Expanding(packed, path.stat().st_size), CHUNK))
    if head[:4] == b"\x28\xb5\x2f\xfd":
        import pyarrow

        # Not the zstandard package: its reader takes a file that is cut short for one that ends there.
        packed = cast(IO[bytes], pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"))
        return cast(IO[bytes], io.BufferedReader(_Expanding(packed, path.stat().st_size), CHUNK))
    return path.open("rb")


class _Bomb(Exception):
    """A compressed file that expands without end."""


class _Expanding(io.RawIOBase):
    """Passes on what a compressed file expands to, up to a multiple of its size that no honest text comes near."""

    def __init__(self, packed: IO[bytes], size: int) -> None:
        self._packed = packed
        self._left = most_expanded(size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._packed.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise _Bomb
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
        super().close()
