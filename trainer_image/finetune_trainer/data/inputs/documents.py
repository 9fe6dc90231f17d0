"""Documents as text in chunks: parsed in a process of their own, with limits that no file can talk its way out of.

PDF, Word and HTML are languages in which a few bytes can ask for hours or gigabytes. So each such file is parsed by a child
process with bounds on time, memory and output; what goes beyond them costs that file. Chunks follow the structure: a
section is not torn where it need not be, and each chunk says first under which headings it stands.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_SECONDS = 60
MAX_MEMORY_BYTES = 1 << 30
MAX_TEXT_BYTES = 64 * 2**20
CHUNK_CHARACTERS = 4000


class UnreadableDocument(Exception):
    """A document of no use; the reason names nothing of its content."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document."""

    place: int
    """Number of the section (page of a PDF), from 1."""
    text: str
    """Its headings, outermost first, then its paragraphs."""


def document_chunks(path: Path, kind: str) -> Iterator[Chunk]:
    """Read one document.

    Args:
        kind: pdf, docx, html or text (which is also Markdown).
    Raises: UnreadableDocument if it is broken, has no text, or goes beyond a limit.
    """
    found = False
    for number, (headings, text) in enumerate(document_sections(path, kind), 1):
        for piece in _pieces(text):
            found = True
            yield Chunk(number, "\n\n".join(filter(None, (" > ".join(headings), piece))))
    if not found:
        raise UnreadableDocument(f"the {kind} document has no text")


def document_sections(path: Path, kind: str) -> Iterator[tuple[list[str], str]]:
    """Headings, outermost first, and text of each section, in order; from a child process.

    Raises: UnreadableDocument if it is broken or goes beyond a limit.
    """
    program = [sys.executable, "-m", "finetune_trainer.data.inputs.parse_document", kind, str(path)]
    with tempfile.TemporaryFile() as output:
        try:
            child = subprocess.run(
                program,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                timeout=MAX_SECONDS,
                preexec_fn=_limit,
                check=False,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        except subprocess.TimeoutExpired:
            raise UnreadableDocument(f"the {kind} document takes longer than {MAX_SECONDS} s to read") from None
        if child.returncode != 0:
            raise UnreadableDocument(f"the {kind} document is broken or needs more than its limits")
        output.seek(0)
        for line in output:
            headings, text = json.loads(line)
            yield headings, text


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_TEXT_BYTES, MAX_TEXT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _pieces(text: str) -> Iterator[str]:
    """Whole paragraphs up to the bound; a longer paragraph is cut at blanks."""
    held: list[str] = []
    size = 0
    for paragraph in text.split("\n\n"):
        rest = paragraph.strip()
        if len(rest) > CHUNK_CHARACTERS:
            if held:
                yield "\n\n".join(held)
                held, size = [], 0
            *whole, rest = _cut(rest)
            yield from whole
        if not rest:
            continue
        if size + len(rest) > CHUNK_CHARACTERS:
            yield "\n\n".join(held)
            held, size = [], 0
        held.append(rest)
        size += len(rest)
    if held:
        yield "\n\n".join(held)


def _cut(text: str) -> Iterator[str]:
    """Pieces of a long paragraph, the last of which may still grow; text is never copied as a whole, which would take a time
    that grows with the square of its length."""
    begin = 0
    while len(text) - begin > CHUNK_CHARACTERS:
        cut = text.rfind(" ", begin + CHUNK_CHARACTERS // 2, begin + CHUNK_CHARACTERS)
        cut = cut if cut > begin else begin + CHUNK_CHARACTERS
        yield text[begin:cut]
        begin = cut
        while begin < len(text) and text[begin].isspace():
            begin += 1
    yield text[begin:]
