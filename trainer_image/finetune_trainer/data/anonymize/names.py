"""People and organisations in German and English: by what stands beside a name, and by lists of names.

No list holds all surnames, and in German every noun has a capital. So a name is believed where a cue introduces it (a title, a
greeting, a closing, "my name is"), where a known given name begins it, or where it stands with others in a list. A given name
that is nothing else besides is believed alone. A name that was found once in a text is found in it again without a cue, whole,
by its surname alone or with initials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_trainer.data.anonymize.cues import (
    ADDRESSEE,
    CLOSING,
    GREETING,
    HEAD,
    INTRODUCTION,
    LABEL,
    ROLE,
    ROLE_ENGLISH,
    SHOUTED,
    SIGNATURE,
    TITLE,
    Cue,
    introductions,
)
from finetune_trainer.data.anonymize.extents import (
    LEAST_CAPITALS,
    is_surely_noun,
    possessive,
    surnames_behind_a_title,
    trimmed,
    until_noun,
)
from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.headers import names_in_headers
from finetune_trainer.data.anonymize.known_names import known_alone, known_given, known_surnames
from finetune_trainer.data.anonymize.labels import is_labelled
from finetune_trainer.data.anonymize.letters import NAME_WORD, PARTICLE, WORD, plain_case
from finetune_trainer.data.anonymize.mentions import is_noun, is_surname, names_without_a_cue
from finetune_trainer.data.anonymize.signs import Signs
from finetune_trainer.data.anonymize.tables import names_in_columns
from finetune_trainer.data.anonymize.words import HONORIFICS, NO_NAMES, NO_SURNAMES, given_names, towns

_LEGAL_FORM = r"(?:GmbH(?: & Co\. KG)?|AG|KGaA|KG|OHG|GbR|UG|SE|e\.V\.|eG|Inc\.?|Ltd\.?|LLC|PLC|Corp\.?|S\.A\.|B\.V\.)(?!\w)"
_ORGANISATION = re.compile(rf"(?<!\w)(?:[A-ZÄÖÜ][\w&.+-]{{1,30}}[ ](?:&[ ]|und[ ]|and[ ])?){{1,5}}{_LEGAL_FORM}")
_BEFORE_LEGAL_FORM = re.compile(rf"[ ](?:&[ ]\w{{2,20}}[ ])?{_LEGAL_FORM}")
_BESIDE = re.compile(rf"[ ](?:und|and|&|sowie|oder|or)[ ]({NAME_WORD}(?:[ ](?:{PARTICLE}[ ]){{0,2}}{NAME_WORD}){{1,2}})(?!\w)")
_JOINED = re.compile(rf"(?<![\w-])({WORD}(?:-{WORD})?)[ ](?:und|and|&)[ ]\Z")
_LONGEST_JOINED = 60
_CAN_BE_A_WORD = re.compile(r"(?:Herrn?|Hrn?|Frau|Mrs?|Ms|Dr|Prof)\b")
_OPEN_AT_THE_END = (TITLE, HEAD, INTRODUCTION, LABEL, ADDRESSEE, ROLE, ROLE_ENGLISH)
"""Cues behind which a noun may follow the name without a comma."""
_CLOSED_BY_A_SURNAME = (TITLE, ROLE, ROLE_ENGLISH)
"""Cues behind which a surname stands alone more often than not."""


def people(text: str, signs: Signs | None = None) -> Iterator[Finding]:
    """Names of people, each place where one stands.

    Args:
        signs: of the text, where they are known already.
    """
    signs = signs or Signs(text)
    spans: dict[tuple[int, int], None] = {}
    again: set[str] = set()
    for cue, match in introductions(signs):
        if span := _introduced(signs, match, cue):
            spans[span] = None
            if cue is TITLE:
                end = span[1] - possessive(text, *span)
                again |= surnames_behind_a_title(text[span[0] : end], text[end : end + 2])
    spans |= dict.fromkeys(names_without_a_cue(signs))
    for begin, end in names_in_columns(text):
        if span := trimmed(text, begin, end):
            spans[span] = None
    spans |= dict.fromkeys(names_in_headers(text))
    for begin, end in list(spans):
        if span := _beside(text, end):
            spans[span] = None
        if span := _before_and(text, begin):
            spans[span] = None
    spans = {(begin, end - possessive(text, begin, end)): None for begin, end in spans}
    for begin, end in spans:
        yield Finding("PERSON", begin, end, 1)
    if spans:
        yield from mentioned_again(text, {text[begin:end] for begin, end in spans} | again)


def _introduced(signs: Signs, match: re.Match[str], cue: Cue) -> tuple[int, int] | None:
    """The name after a cue; None if what stands there is none."""
    text = signs.text
    begin, end = match.span(1)
    can_be_a_word = cue is TITLE and _CAN_BE_A_WORD.match(match.group()) is not None
    span = trimmed(text, begin, end, cue.never, can_be_a_word=can_be_a_word)
    if span is None or _BEFORE_LEGAL_FORM.match(text, span[1]):
        return None
    if text[end : end + 1].isalnum():  # an identifier: EmployeeData
        return None
    words = text[span[0] : span[1]].split(" ")
    first = plain_case(words[0].strip(",")).split("-")[0]
    if cue is SHOUTED:
        return span if len(words) == 1 or first in known_given() else (begin, begin + len(words[0]))
    if len(words) > 1 and not words[0].endswith(","):
        words = until_noun(words, signs, closed=cue in _CLOSED_BY_A_SURNAME) if cue in _OPEN_AT_THE_END else words
        span = (begin, begin + len(" ".join(words)))
    known = first in given_names() or first in known_alone()
    if cue.weak and not known:
        return None
    if cue is ADDRESSEE and not known and first in towns():
        return None
    if cue is LABEL and not is_labelled(signs, match, span[1], words):
        return None
    if len(words) > 1 or known or first in known_surnames():
        return span
    if not cue.lone or (cue not in (TITLE, HEAD, LABEL) and words[0].isupper() and len(words[0]) < LEAST_CAPITALS):
        return None
    if cue in (GREETING, CLOSING, SIGNATURE) and is_surely_noun(words[0]):
        return None
    return None if cue is TITLE and words[0] in HONORIFICS else span


def _beside(text: str, end: int) -> tuple[int, int] | None:
    """The full name that "and" joins to one that was found, if a part of it is known."""
    match = _BESIDE.match(text, end)
    span = trimmed(text, match.start(1), match.end(1)) if match else None
    words = text[span[0] : span[1]].split(" ") if span else []
    if len(words) < 2 or is_noun(words[-1]):
        return None
    return span if words[0].split("-")[0] in known_given() or any(is_surname(word) for word in words[1:]) else None


def _before_and(text: str, begin: int) -> tuple[int, int] | None:
    """The given name that "and" joins to a name behind it: Marge and Herbert Zumbach."""
    match = _JOINED.search(text, max(0, begin - _LONGEST_JOINED), begin)
    return match.span(1) if match and match[1].split("-")[0] in known_given() and match[1] not in NO_NAMES else None


def organisations(text: str) -> Iterator[Finding]:
    """Companies and associations, by their legal form."""
    for match in _ORGANISATION.finditer(text):
        yield Finding("ORGANIZATION", match.start(), match.end(), 1)


def surname_of(name: str) -> str:
    """The surname in a full name, which may stand first: Weber, Anna; the name itself if it is one word."""
    return name.partition(",")[0].split()[-1]


def mentioned_again(text: str, names: set[str]) -> Iterator[Finding]:
    """Every place where one of these names stands: whole, its given name alone, its surname with initials or without."""
    wanted: set[str] = set()
    for name in names:
        if name not in NO_NAMES and name not in NO_SURNAMES:
            wanted.add(name)
        last = surname_of(name)
        if len(last) >= 3 and last not in NO_NAMES and last not in NO_SURNAMES:
            wanted.add(last)
            wanted.update(part for part in last.split("-") if is_surname(part) and not is_noun(part))
        first = name.partition(", ")[2].partition(" ")[0] or name.split()[0]
        known = first in given_names() or first in known_alone()
        if known and len(name.split()) > 1 and len(first) >= 3 and first not in NO_NAMES:
            wanted.add(first)
    if not wanted:
        return
    alternatives = "|".join(re.escape(name) for name in sorted(wanted, key=len, reverse=True))
    for match in re.finditer(
        rf"(?<![\w-])(?:(?<![\s(][a-z]\. )(?<![\s(][a-z]\.)[A-Z]\.[ -]?){{0,2}}(?:{alternatives})(?:(?=s\b)|(?![\w]))", text
    ):
        yield Finding("PERSON", match.start(), match.end(), 0)
