"""What kind of file something is, from how it begins.

Exports are misnamed often enough, so bytes decide wherever they can. Running text alone has no mark of its own: there the
name's ending says that it is meant as text, unless its bytes are JSON or a table.
"""

from __future__ import annotations

import json
import re
from typing import Literal

from finetune_trainer.data.inputs.mail import is_mail

Kind = Literal["rows", "parquet", "mail", "pdf", "docx", "html", "text"]

HEAD_BYTES = 8192
_TEXT_ENDINGS = (".md", ".markdown", ".txt")
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_NAME = re.compile(r"[\w .()/-]{1,60}")


def kind_of(head: bytes, name: str) -> Kind:
    """The kind of a file.

    Args:
        head: its first `HEAD_BYTES` bytes, as they lie on the disk.
        name: its name, asked only for running text.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return "rows"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return "docx"
    if is_mail(head):
        return "mail"
    start = head.removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(start):
        return "html"
    if name.lower().endswith(_TEXT_ENDINGS) and not _is_json(start) and not _is_table(start, name):
        return "text"
    return "rows"


def _is_json(head: bytes) -> bool:
    """Whether it begins as an object or a list of objects does; a Markdown link begins with a bracket too."""
    if not re.match(rb"\s*(?:\{|\[\s*[\{\]])", head):
        return False
    line = head.strip().partition(b"\n")[0].strip()
    if line in (b"{", b"[") or not head.rstrip(b"\n").count(b"\n"):
        return True
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return line.startswith(b"[")
    return True


def _is_table(head: bytes, name: str) -> bool:
    """Whether a .txt holds columns: two lines with as many separators, the first of them short names."""
    if not name.lower().endswith(".txt"):
        return False
    lines = head.decode("utf-8", "replace").splitlines()[:2]
    if len(lines) < 2:
        return False
    for separator in "\t;,":
        names = lines[0].split(separator)
        if len(names) > 1 and lines[1].count(separator) >= len(names) - 1:
            return all(_NAME.fullmatch(part.strip().strip('"')) and len(part.split()) <= 3 for part in names)
    return False
