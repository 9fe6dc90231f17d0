"""Conversations out of mailboxes: threads put together, quotes and signatures cut, question and answer as turns.

A mailbox repeats itself: each reply carries the messages before it, so a model trained on raw mail learns to quote. What
remains of a message is what its writer wrote. Any message may be hostile or broken and then costs itself alone; parts and
sizes are bounded before anything is parsed. Held in memory is who wrote when to which message, never what.
"""

from __future__ import annotations

import email
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path
from sys import intern
from typing import IO

import lxml.etree
import lxml.html

from finetune_trainer.data.inputs.quotes import without_quotes
from finetune_trainer.data.inputs.threads import NEVER, Head, is_inside, threads

MAX_MESSAGE_BYTES = 16 * 2**20
MAX_PARTS = 200
"""More MIME parts than any person's mail has: such a message is an attack or a machine's."""

_MAX_TEXT = 1 << 20
_MOST_RECIPIENTS = 50
_ADDRESS = re.compile(r"""[^\s<>,;:"'()@]{1,64}@[^\s<>,;:"'()@]{1,253}""")
_KNOWN = rb"from|to|subject|date|message-id|received|return-path|mime-version|delivered-to|reply-to|in-reply-to|references"
_HEADER = re.compile(rb"^(" + _KNOWN + rb"):", re.IGNORECASE | re.MULTILINE)
_REPLY = re.compile(r"^\s*(?:(?:re|aw|antw|wg|fwd?)\s*(?:\[\d+\])?:\s*)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that could not be used."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A thread as turns that alternate, the first from outside, the last from inside."""

    number: int
    """Of its first message in the mailbox, from 1."""
    thread: str
    turns: tuple[tuple[str, str], ...]
    """Role (user or assistant) and text."""
    is_guessed: bool = False
    """Whether three or more people write in it, nobody said who is inside, and it is not certain that they belong together."""


@dataclass(frozen=True, slots=True)
class _Mail(Head):
    text: _Kept


class _Texts:
    """Texts of a mailbox, on the disk until their thread is put together: a mailbox may be larger than memory. The file has no
    name and ends with its process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with this object

    def keep(self, text: str) -> _Kept:
        data = text.encode("utf-8", "surrogatepass")
        return _Kept(self._file, self._file.seek(0, os.SEEK_END), self._file.write(data))


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where a text is."""

    file: IO[bytes]
    begin: int
    size: int

    def read(self) -> str:
        self.file.seek(self.begin)
        return self.file.read(self.size).decode("utf-8", "surrogatepass")


def is_mail(head: bytes) -> bool:
    """Whether a file that begins like this is a message or an mbox: header lines of mail before the first empty line."""
    if head.startswith(b"From "):
        head = head.partition(b"\n")[2]
    headers = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    first = headers.partition(b"\n")[0]
    if not re.match(rb"[!-9;-~]{1,76}:", first):
        return False
    return len({name.lower() for name in _HEADER.findall(headers)}) >= 2


def conversations(paths: Iterable[Path], *, inside: Sequence[str] = ()) -> Iterator[Conversation | Unreadable]:
    """The threads of mbox files and single messages, read as one mailbox.

    Args:
        paths: the files.
        inside: domains and addresses from which answers come. Without any, who begins a thread is outside and asks, and
            whoever else writes in it is inside and answers.
    Yields: a Conversation per thread that has an answer; an Unreadable for each message or thread that is of no use.
    """
    mails: list[_Mail] = []
    number, texts = 0, _Texts()
    for path in paths:
        for raw in _messages(path):
            number += 1
            read = "the message is larger than 16 MiB" if raw is None else _read(number, raw, texts)
            if isinstance(read, str):
                yield Unreadable(number, read)
            else:
                mails.append(read)
    for thread in threads(mails, inside):
        first, turns = thread.members[0].number, _turns(thread.members, inside)
        if turns:
            is_guessed = thread.is_guessed and not inside and len({mail.sender for mail in thread.members}) > 2
            yield Conversation(first, thread.name, turns, is_guessed)
        else:
            yield Unreadable(first, "the mail has no answer")


def _messages(path: Path) -> Iterator[bytes | None]:
    """Raw messages of an mbox, or the one of an eml file; None for one that is too large."""
    with path.open("rb") as stream:
        is_box = stream.read(5) == b"From "
        stream.seek(0)
        lines: list[bytes] = []
        size, blank, begun = 0, True, False
        while line := stream.readline(1 << 16):
            if is_box and blank and line.startswith(b"From "):
                if begun:
                    yield b"".join(lines) if size <= MAX_MESSAGE_BYTES else None
                lines, size, begun = [], 0, True
            else:
                size += len(line)
                begun = True
                if size <= MAX_MESSAGE_BYTES:
                    lines.append(line)
                else:
                    lines = []
            blank = not line.strip()
        if begun:
            yield b"".join(lines) if size <= MAX_MESSAGE_BYTES else None


def _read(number: int, raw: bytes, texts: _Texts) -> _Mail | str:
    if raw.lower().count(b"content-type:") > MAX_PARTS:
        return f"the message has more than {MAX_PARTS} parts"
    try:
        message = email.message_from_bytes(raw)
        text = without_quotes(_text(message))
        to = _ADDRESS.findall(f"{_header(message, 'To')} {_header(message, 'Cc')}")[:_MOST_RECIPIENTS]
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError, lxml.etree.LxmlError):
        return "the message cannot be read"
    if not text:
        return "the message has no text of its own"
    subject = _header(message, "Subject")
    before = re.findall(r"<[^<>\s]{1,250}>", f"{_header(message, 'References')} {_header(message, 'In-Reply-To')}")
    key = (re.findall(r"<[^<>\s]{1,250}>", _header(message, "Message-ID")) or [f"#{number}"])[0]
    sender = parseaddr(_header(message, "From"))[1].lower()
    plain = _REPLY.sub("", subject).strip().lower()
    # The same names come again in every message of a thread.
    names = (intern(key), tuple(map(intern, before)), intern(plain), plain != subject.strip().lower(), intern(sender))
    recipients = tuple(intern(address.lower()) for address in to)
    return _Mail(number, *names, recipients, _date(message), texts.keep(text))


def _header(message: Message, name: str) -> str:
    value = str(message.get(name, ""))[:10_000]
    try:
        return str(make_header(decode_header(value)))
    except (ValueError, LookupError):
        return value


def _date(message: Message) -> datetime:
    try:
        when = parsedate_to_datetime(str(message.get("Date", "")))
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return NEVER


def _text(message: Message) -> str:
    """The plain part, or the HTML part as text where there is no other."""
    html = ""
    for part in message.walk():
        if part.is_multipart() or part.get_filename() or part.get_content_disposition() == "attachment":
            continue
        kind = part.get_content_type()
        if kind == "text/plain" and (text := _decoded(part)).strip():
            return text
        if kind == "text/html" and not html:
            html = _decoded(part)
    return _from_html(html) if html.strip() else ""


def _decoded(part: Message) -> str:
    content = part.get_payload(decode=True)
    data = content[:_MAX_TEXT] if isinstance(content, bytes) else b""
    for charset in (part.get_content_charset(), "utf-8"):
        try:
            if charset:
                return data.decode(charset).replace("\0", "")
        except (UnicodeError, LookupError):
            continue
    return data.decode("cp1252", "replace").replace("\0", "")


def _from_html(html: str) -> str:
    root = lxml.html.document_fromstring(html.encode(), parser=lxml.html.HTMLParser(encoding="utf-8"))
    for element in list(root.iter("script", "style", "head", "blockquote")):
        element.drop_tree()
    for element in root.iter("br", "p", "div", "tr", "li"):
        element.tail = "\n" + (element.tail or "")
    return str(root.text_content())


def _turns(mails: list[_Mail], inside: Sequence[str]) -> tuple[tuple[str, str], ...]:
    turns: list[tuple[str, str]] = []
    for mail in mails:
        answers = is_inside(mail.sender, inside) if inside else mail.sender != mails[0].sender
        role = "assistant" if answers else "user"
        if not turns and answers:
            continue  # a thread that we began asks nothing
        text = mail.text.read()
        if turns and turns[-1][0] == role:
            if text != turns[-1][1]:
                turns[-1] = (role, f"{turns[-1][1]}\n\n{text}")
        else:
            turns.append((role, text))
    if turns and turns[-1][0] == "user":
        turns.pop()
    return tuple(turns)
