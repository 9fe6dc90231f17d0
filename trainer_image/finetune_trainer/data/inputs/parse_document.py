"""The child process that parses one document: `python -m finetune_trainer.data.inputs.parse_document KIND PATH`.

It writes one JSON line per section, `[headings, text]`, and ends with 0; with anything else the document is of no use. It is
run with limits (documents.py), so nothing here counts or guards against size but what a limit would notice late.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

Line = tuple[int, str]
"""Level of a heading, 0 for a paragraph; and its text."""

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_BLOCKS = ["h1", "h2", "h3", "h4", "h5", "h6", "p", "li", "td", "th", "pre", "dt", "dd", "blockquote", "summary"]
_MAX_PART_BYTES = 128 * 2**20


def main(kind: str, path: Path) -> None:
    """Write the sections of a document to stdout."""
    parse = {"pdf": _pdf, "docx": _docx, "html": _html, "text": _text}[kind]
    headings: list[str] = []
    levels: list[int] = []
    text: list[str] = []

    def flush() -> None:
        if text:
            sys.stdout.write(json.dumps([headings, "\n\n".join(text)]) + "\n")
            text.clear()

    for level, line in parse(path):
        line = line.replace("\0", "").strip()
        if level < 0:
            flush()
        elif line and level == 0:
            text.append(line)
        elif line:
            flush()
            while levels and levels[-1] >= level:
                levels.pop()
                headings.pop()
            levels.append(level)
            headings.append(line[:200])
    flush()
    sys.stdout.flush()


def _pdf(path: Path) -> Iterator[Line]:
    import pypdf

    for page in pypdf.PdfReader(path).pages:
        yield 0, page.extract_text()
        yield -1, ""


def _docx(path: Path) -> Iterator[Line]:
    import lxml.etree

    with zipfile.ZipFile(path) as archive:
        if archive.getinfo("word/document.xml").file_size > _MAX_PART_BYTES:
            raise ValueError("too large")
        with archive.open("word/document.xml") as part:
            data = part.read(_MAX_PART_BYTES)
    root = lxml.etree.fromstring(data, lxml.etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    for paragraph in root.iter(f"{_WORD}p"):
        pieces = (
            n.text or "" if n.tag == f"{_WORD}t" else " " for n in paragraph.iter(f"{_WORD}t", f"{_WORD}tab", f"{_WORD}br")
        )
        style = paragraph.find(f"{_WORD}pPr/{_WORD}pStyle")
        name = str(style.get(f"{_WORD}val", "")) if style is not None else ""
        level = re.fullmatch(r"(?:heading|berschrift|Überschrift)\s?([1-9])", name, re.IGNORECASE)
        yield (int(level[1]) if level else 1 if name in ("Title", "Titel") else 0), "".join(pieces)


def _html(path: Path) -> Iterator[Line]:
    import lxml.html

    root = lxml.html.parse(str(path), lxml.html.HTMLParser(no_network=True, encoding=_charset(path))).getroot()
    for element in list(root.iter("script", "style", "nav", "noscript", "template", "svg")):
        element.drop_tree()
    for element in root.iter(*_BLOCKS):
        if any(True for _ in element.iterdescendants(*_BLOCKS)):
            own = " ".join([element.text or "", *(child.tail or "" for child in element)])
        else:
            own = str(element.text_content())
        own = own.strip() if element.tag == "pre" else " ".join(own.split())
        yield (int(element.tag[1]) if re.fullmatch("h[1-6]", element.tag) else 0), own


def _charset(path: Path) -> str | None:
    """UTF-8 where the bytes are; else what the document declares."""
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _text(path: Path) -> Iterator[Line]:
    """Markdown and plain text: a heading is a line that begins with #, outside of code."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252", "replace")
    in_code = False
    held: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            in_code = not in_code
        heading = None if in_code else _HEADING.fullmatch(line.rstrip())
        if heading or (not line.strip() and not in_code):
            yield 0, "\n".join(held)
            held = []
            if heading:
                yield len(heading[1]), heading[2].rstrip("# ")
        else:
            held.append(line)
    yield 0, "\n".join(held)


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except Exception:  # whatever a foreign parser raises on a hostile file: the document is of no use, and the parent says so
        sys.exit(1)
