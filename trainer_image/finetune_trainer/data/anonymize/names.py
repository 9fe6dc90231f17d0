"""People and organisations in German and English: by what stands beside a name, and by lists of names.

No list holds all surnames, and in German every noun has a capital. So a name is believed where a cue introduces it (a title, a
greeting, a closing, "my name is"), where a known given name begins it, or where it stands with others in a list. A given name
that is nothing else besides is believed alone. A name that was found once in a text is found in it again without a cue, whole,
by its surname alone or with initials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_trainer.data.anonymize.cues import LABEL, SHOUTED, TITLE, Cue, introductions
from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.known_names import known_alone, known_given, known_surnames
from finetune_trainer.data.anonymize.letters import NAME_WORD, PARTICLE, WORD, plain_case
from finetune_trainer.data.anonymize.mentions import is_noun, is_surname, names_without_a_cue
from finetune_trainer.data.anonymize.signs import Signs
from finetune_trainer.data.anonymize.tables import OF_PEOPLE, names_in_columns
from finetune_trainer.data.anonymize.words import NO_NAMES, given_names

_LEGAL_FORM = r"(?:GmbH(?: & Co\. KG)?|AG|KGaA|KG|OHG|GbR|UG|SE|e\.V\.|eG|Inc\.?|Ltd\.?|LLC|PLC|Corp\.?|S\.A\.|B\.V\.)(?!\w)"
_ORGANISATION = re.compile(rf"(?<!\w)(?:[A-ZÄÖÜ][\w&.+-]{{1,30}}[ ](?:&[ ]|und[ ]|and[ ])?){{1,5}}{_LEGAL_FORM}")
_BEFORE_LEGAL_FORM = re.compile(rf"[ ](?:&[ ]\w{{2,20}}[ ])?{_LEGAL_FORM}")
_PARTICLE = re.compile(PARTICLE)
_BESIDE = re.compile(rf"[ ](?:und|and|&|sowie|oder|or)[ ]({NAME_WORD}(?:[ ](?:{PARTICLE}[ ]){{0,2}}{NAME_WORD}){{1,2}})(?!\w)")
_JOINED = re.compile(rf"(?<![\w-])({WORD}(?:-{WORD})?)[ ](?:und|and|&)[ ]\Z")
_LONGEST_JOINED = 60
_NAMED = re.compile(r"(?i:name)\s*[:=]")
"""A label of people, and of parameters, files and programs: "Name: Function" is nobody if no address or the like is near."""
_LEAST_CAPITALS = 5
"""Letters of a lone word in capitals that is no acronym."""


def people(text: str, signs: Signs | None = None) -> Iterator[Finding]:
    """Names of people, each place where one stands.

    Args:
        signs: of the text, where they are known already.
    """
    signs = signs or Signs(text)
    spans: dict[tuple[int, int], None] = {}
    for cue, match in introductions(signs):
        if span := _introduced(text, match, cue):
            spans[span] = None
    spans |= dict.fromkeys(names_without_a_cue(signs))
    for begin, end in names_in_columns(text):
        if span := _trimmed(text, begin, end):
            spans[span] = None
    for begin, end in list(spans):
        if span := _beside(text, end):
            spans[span] = None
        if span := _before_and(text, begin):
            spans[span] = None
    for begin, end in spans:
        yield Finding("PERSON", begin, end, 1)
    if spans:
        yield from mentioned_again(text, {text[begin:end] for begin, end in spans})


def _introduced(text: str, match: re.Match[str], cue: Cue) -> tuple[int, int] | None:
    """The name after a cue; None if what stands there is none."""
    begin, end = match.span(1)
    if (span := _trimmed(text, begin, end)) is None or _BEFORE_LEGAL_FORM.match(text, span[1]):
        return None
    if text[end : end + 1].isalnum():  # an identifier: EmployeeData
        return None
    words = text[span[0] : span[1]].split(" ")
    first = plain_case(words[0].strip(",")).split("-")[0]
    if cue is SHOUTED:
        return span if len(words) == 1 or first in known_given() else (begin, begin + len(words[0]))
    known = first in given_names() or first in known_alone()
    if cue.weak and not known:
        return None
    if len(words) > 1 or known or first in known_surnames():
        return span
    if not cue.lone or (cue not in (TITLE, LABEL) and words[0].isupper() and len(words[0]) < _LEAST_CAPITALS):
        return None
    return span if cue is not LABEL or _NAMED.match(match.group()) is None or OF_PEOPLE.search(text) else None


def _beside(text: str, end: int) -> tuple[int, int] | None:
    """The full name that "and" joins to one that was found, if a part of it is known."""
    match = _BESIDE.match(text, end)
    span = _trimmed(text, match.start(1), match.end(1)) if match else None
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
    """The surname in a full name, with its particles; the name itself if it is one word."""
    words = name.split()
    return words[-1]


def _trimmed(text: str, begin: int, end: int) -> tuple[int, int] | None:
    """Without words at the end that are no names; None if nothing is left."""
    words = text[begin:end].split(" ")
    for place, word in enumerate(words):
        if word.rstrip(",") in NO_NAMES or plain_case(word.rstrip(",")) in NO_NAMES:
            words = words[:place]
            break
    while words and (_PARTICLE.fullmatch(words[-1]) or (len(words) > 1 and _is_acronym(words))):
        words.pop()
    name = " ".join(words)
    if not words or (len(words) == 1 and name.endswith(".")):
        return None
    return (begin, begin + len(name))


def _is_acronym(words: list[str]) -> bool:
    """Whether the last word is in capitals and the first is not: Frau Müller MBA, and not Frau MÜLLER-KLEIN or Anna MÜLLER."""
    last = words[-1]
    return last.isupper() and not last.endswith(".") and not words[0].isupper() and len(last) < _LEAST_CAPITALS


def mentioned_again(text: str, names: set[str]) -> Iterator[Finding]:
    """Every place where one of these names stands: whole, its given name alone, its surname with initials or without."""
    wanted: set[str] = set()
    for name in names:
        wanted.add(name)
        last = surname_of(name)
        if len(last) >= 3 and last not in NO_NAMES:
            wanted.add(last)
            wanted.update(part for part in last.split("-") if is_surname(part) and not is_noun(part))
        first = name.split()[0]
        known = first in given_names() or first in known_alone()
        if known and len(name.split()) > 1 and len(first) >= 3 and first not in NO_NAMES:
            wanted.add(first)
    alternatives = "|".join(re.escape(name) for name in sorted(wanted, key=len, reverse=True))
    for match in re.finditer(
        rf"(?<![\w-])(?:(?<![\s(][a-z]\. )(?<![\s(][a-z]\.)[A-Z]\.[ -]?){{0,2}}(?:{alternatives})(?:(?=s\b)|(?![\w]))", text
    ):
        yield Finding("PERSON", match.start(), match.end(), 0)
