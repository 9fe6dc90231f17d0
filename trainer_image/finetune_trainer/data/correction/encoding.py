"""Texts whose bytes were read in the wrong encoding: "fÃ¼r" becomes "für" again.

A tool that takes UTF-8 for Windows-1252 makes two or three odd characters of each umlaut, and a model that is trained on them
learns to write them. What is garbled and what it was, the library ftfy knows; of it only the repair of encodings is used, and
its heuristic leaves a text alone that only looks unusual. It takes microseconds for each ten characters, so it is asked only
where a text holds what no repair could do without.
"""

from __future__ import annotations

import re
from functools import cache

_READ_AS = ("latin-1", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "iso8859-2", "mac_roman", "cp437")
"""Encodings as which UTF-8 is taken by mistake; those that ftfy knows."""
_PAIR, _TRIPLE, _GO_ON = range(0xC2, 0xDF), range(0xE0, 0xF5), range(0x80, 0xC0)
"""Bytes that begin a character of two and of more bytes of UTF-8, and bytes that go on with it. DF is left out: it begins
letters of N'Ko alone, and as ß it stands before many a quotation mark."""
_LOST = "\ufffd"
"""Where a tool gave up on a byte."""


def repaired_encoding(text: str) -> str:
    """The text with its characters as they were before they were read in the wrong encoding, even more than once."""
    if text.isascii():
        return text
    hint, pairs = _patterns()
    # The first pattern is fast and often wrong (a quotation mark behind ß), the second exact and slower.
    if not any(pairs.match(text, found.start()) for found in hint.finditer(text)):
        return text
    from ftfy import fix_encoding

    return str(fix_encoding(text))


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What garbled text holds: characters for the bytes of one letter, side by side, or control characters beyond ASCII.

    A byte A0 often ended as an ordinary blank, which is looked for behind Ã alone.
    """
    begin, go_on, exact = "", _LOST, ["[\x80-\x9f]", "Ã "]
    for encoding in _READ_AS:
        pair, triple, then = (_characters(values, encoding) for values in (_PAIR, _TRIPLE, _GO_ON))
        begin, go_on = begin + pair + triple, go_on + then
        then = _class(then + _LOST)
        exact += [f"[{_class(pair)}][{then}]", f"[{_class(triple)}][{then}][{then}]"]
    hint = f"[\x80-\x9f{_class(begin)}](?:(?<=[\x80-\x9f])|(?=[{_class(go_on)}])|(?<=Ã)(?= ))"
    return re.compile(hint), re.compile("|".join(exact))


def _characters(values: range, encoding: str) -> str:
    return bytes(values).decode(encoding, "ignore")


def _class(characters: str) -> str:
    return "".join(map(re.escape, sorted(set(characters))))
