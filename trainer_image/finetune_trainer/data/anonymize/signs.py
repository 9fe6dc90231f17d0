"""What stands in a text at all, found once: a detector that cannot find anything there is not asked, or only where it can.

Most texts hold nothing personal, and most of the time went into patterns that searched them in vain. Each detector needs
something that is seldom there: a word that introduces names, a known given name, a number of digits. What these rule out, the
patterns would not have found either (tests/finetune_trainer/data/anonymize/test_signs.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

_WORDS = re.compile(r"\w+")
_BLANK = re.compile(r"\s")
_BEHIND_ARTICLE = re.compile(
    r"(?<!\w)(?:[Dd](?:er|ie|as|em|en|es)|[Dd]iese[mnrs]?|[Jj]ede[mnrs]?|[Kk]?[Ee]in(?:e[mnrs]?)?|[Kk]ein(?:e[mnrs]?)?"
    r"|[MmDdSs]eine?[mnrs]?|[Ii]hre?[mnrs]?|[Uu]nser(?:e[mnrs]?)?|[Zz]u[mr]|[Aa]ls|[Tt]he|[Aa]n?"
    r"|[Tt]his|[Yy]our|[Mm]y|[Oo]ur|[Tt]heir)[ ]([^\W\d_a-z]\w{2,40})(?![\w-])"
)

OF_PEOPLE = re.compile(
    r"(?i:vorname|nachname|anrede|mail|telefon|tel\.?\Z|phone|mobil|handy|geburt|birth|geb\.|adresse|address|stra(?:ß|ss)e"
    r"|wohnort|alter\Z|age\Z)"
)
"""What heads other columns where the rows are people: Name, Type, Default heads settings."""


class Signs:
    """Words of a text.

    Args:
        text: what is looked at.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = frozenset(_WORDS.findall(text))
        """As they are written. A hyphen, a dot or an apostrophe ends a word."""

    @cached_property
    def capitals(self) -> list[str]:
        """Words that begin with a capital."""
        return [word for word in self.words if word[0].isupper()]

    @cached_property
    def with_articles(self) -> frozenset[str]:
        """Words with a capital that stand behind an article or the like: nouns, and hardly ever surnames."""
        return frozenset(_BEHIND_ARTICLE.findall(self.text))

    @cached_property
    def is_of_people(self) -> bool:
        """Whether a word for what people have stands anywhere: an address, a telephone, a birth."""
        return OF_PEOPLE.search(self.text) is not None

    @cached_property
    def small(self) -> str:
        """The text in small letters."""
        return self.text.lower()

    @cached_property
    def small_words(self) -> frozenset[str]:
        """The words in small letters."""
        return frozenset(_WORDS.findall(self.small))


def any_in(text: str, parts: Iterable[str]) -> bool:
    """Whether one of the parts stands in a text. A generator in `any` takes twice as long."""
    for part in parts:  # noqa: SIM110
        if part in text:
            return True
    return False


def places(text: str, part: str) -> Iterator[int]:
    """Where a part of a text begins, each time it stands in it."""
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + 1)


def stretches(text: str, signs: Iterable[tuple[int, int]], *, before: int, after: int) -> Iterator[tuple[int, int]]:
    """Begin and end of the parts of a text that something may match, if each match holds a sign.

    They do not overlap, and end before white space or with the text, so that no number is cut.

    Args:
        signs: begin and end of each, in order: what stands in whatever is looked for.
        before: characters that a match can have before a sign.
        after: characters that it can have behind one.
    """
    begin = end = -1
    for first, behind in signs:
        if behind + after <= end:
            continue
        if end < 0 or first - before > end:
            if end >= 0:
                yield begin, end
            begin = max(0, first - before)
        blank = _BLANK.search(text, behind + after)
        end = blank.start() if blank else len(text)
    if end >= 0:
        yield begin, end
