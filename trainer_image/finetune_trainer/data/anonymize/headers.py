"""Names in the headers of mails that were copied into a text, as Outlook writes them: Weber, Anna; Schmidt, Bernd.

In prose a comma between two words with capitals says nothing. Behind From: or An: it does, where an address follows, where
semicolons divide, or where a list knows a part of the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_trainer.data.anonymize.known_names import known_given
from finetune_trainer.data.anonymize.letters import NAME_WORD, PARTICLE, plain_case
from finetune_trainer.data.anonymize.mentions import is_noun, is_surname
from finetune_trainer.data.anonymize.signs import places
from finetune_trainer.data.anonymize.words import NO_NAMES, towns

_HEADERS = ("Von:", "An:", "Kopie:", "From:", "To:", "Cc:", "CC:", "Bcc:", "BCC:", "Von :", "An :", "Cc :")
_LINE_BEGINS = re.compile(r"^[ \t>|*_]{0,8}\Z", re.MULTILINE)
_ENTRY = re.compile(r"[^;<>\n]{1,200}")
_UP_TO_TWO = rf"{NAME_WORD}(?:[ ]{NAME_WORD})?"
_FAMILY = rf"(?:{PARTICLE}[ ])?{_UP_TO_TWO}"
_ONE = re.compile(
    rf"[ ,*\t\"']{{0,6}}(?:({_FAMILY}),[ ]({_UP_TO_TWO})|({_UP_TO_TWO})[ ]({_FAMILY}))"
    r"(?:[ ]\([^()\n]{0,60}\))?[ *\t\"']{0,4}\r?\Z"
)
"""One person: surname and given name, or given name and surname."""
_LONGEST_BEFORE = 10
_LONGEST_LINE = 4_000


def names_in_headers(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each name of two parts."""
    if ":" not in text or not ("," in text or ";" in text):
        return
    found: list[tuple[int, int]] = []
    doubtful: list[tuple[int, int]] = []
    for header in _HEADERS:
        for place in places(text, header):
            if _LINE_BEGINS.search(text, max(0, place - _LONGEST_BEFORE), place):
                for span, is_certain in _people(text, place + len(header)):
                    (found if is_certain else doubtful).append(span)
    yield from found
    if found:  # where one is written like this, all are
        yield from doubtful


def _people(text: str, begin: int) -> Iterator[tuple[tuple[int, int], bool]]:
    """The people in a header, and whether a list or an address beside them says that they are people."""
    end = text.find("\n", begin, begin + _LONGEST_LINE)
    end = end if end >= 0 else min(len(text), begin + _LONGEST_LINE)
    is_list = text.find(";", begin, end) >= 0
    for entry in _ENTRY.finditer(text, begin, end):
        match = _ONE.match(entry.group())
        if match is None or not (match[1] or is_list):
            continue
        family, given = (match[1], match[2]) if match[1] else (match[4], match[3])
        if _can_be_somebody(family.split(" "), given.split(" ")):
            is_known = plain_case(given).split(" ")[0].split("-")[0] in known_given() or is_surname(family.split(" ")[-1])
            is_told = match[1] is not None and (is_list or text[entry.end() : entry.end() + 1] == "<")
            first, last = (1, 2) if match[1] else (3, 4)
            yield (entry.start() + match.start(first), entry.start() + match.end(last)), is_known or is_told


def _can_be_somebody(family: list[str], given: list[str]) -> bool:
    """Whether these words may be the surname and the given name of one person."""
    words = [word for word in (*family, *given) if not word.islower()]
    if any(word in NO_NAMES or plain_case(word) in NO_NAMES for word in words) or family[-1] in towns():
        return False
    if len(family) > 1 and len(given) > 1 and family[0] in known_given():  # Anna Weber, Bernd Schmidt
        return False
    return not any((is_noun(word) and not is_surname(word)) or (word.isupper() and len(word) < 5) for word in words)
