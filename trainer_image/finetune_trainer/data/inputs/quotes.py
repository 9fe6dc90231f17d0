"""What of a message its writer wrote: quoted messages, their introductions and the signature are cut, German and English.

Each reply carries the messages before it, so a model trained on raw mail learns to quote. Programs mark what they quote in
different ways, or not at all: a line before it, header lines of the quoted message, or `>`. Lines are cut before they are
matched, since a message may be hostile.
"""

from __future__ import annotations

import re

_QUOTED_FROM = re.compile(
    r"^(?:am\b.{5,200}\bschrieb\b.{0,200}:|on\b.{5,200}\bwrote:|-{2,}\s*(?:original message|ursprüngliche nachricht"
    r"|weitergeleitete nachricht|forwarded message)\s*-*)$",
    re.IGNORECASE,
)
_HEADER_BLOCK = (
    re.compile(r"^\W{0,3}(?:von|from):\W", re.IGNORECASE),
    re.compile(r"^\W{0,3}(?:gesendet|sent|datum|date):", re.I),
)


def without_quotes(text: str) -> str:
    """What the writer of a message wrote: quotes, their introductions and the signature are cut.

    Args:
        text: the plain text of one message.
    Returns: empty if it holds nothing of its own.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    kept: list[str] = []
    for index, line in enumerate(lines):
        bare = line.strip()
        if line.rstrip("\r") == "-- " or bare == "--" or _begins_quote(lines, index, bare):
            break
        if not bare.startswith(">"):
            kept.append(line.rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _begins_quote(lines: list[str], index: int, bare: str) -> bool:
    if len(bare) > 400 or not bare:
        return False
    following = lines[index + 1].strip()[:400] if index + 1 < len(lines) else ""
    if _QUOTED_FROM.match(bare) or (bare[:3].lower() in ("am ", "on ") and _QUOTED_FROM.match(f"{bare} {following}")):
        return True
    begin, then = _HEADER_BLOCK
    return bool(begin.match(bare)) and any(then.match(line.strip()[:200]) for line in lines[index + 1 : index + 5])
