"""Names that nothing introduces: by lists of names, by initials, by endings that only surnames have, and in lists of people."""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_trainer.data.anonymize.known_names import (
    known_alone,
    known_clearly,
    known_given,
    known_given_in_any_case,
    known_surnames,
)
from finetune_trainer.data.anonymize.letters import LOWER, NAME, NAME_WORD, PARTICLE, UPPER, WORD, plain_case
from finetune_trainer.data.anonymize.name_words import AMBIGUOUS_NAMES
from finetune_trainer.data.anonymize.signs import Signs, places
from finetune_trainer.data.anonymize.words import NO_NAMES, NO_SURNAMES, all_surnames

_FULL = re.compile(rf"{NAME_WORD}(?!\w)(?:[ ](?:{PARTICLE}[ ]){{0,2}}{NAME_WORD}(?!\w)){{0,3}}")
_NO_BORDER = re.compile(r"[\w.@/\\_#$='’-]\Z|(?:St|Sankt|San|Santa|Saint|Ste)\.?[ ]\Z")
"""Before a given name: within a word, a path, code, or the name of a place."""
_AFTER_ALONE = re.compile(r"(?:['’]s)?(?:$|[ ,;:!?)\n]|\.(?:\s|$))|s(?:$|[ ,.])")
_NO_SURNAME = re.compile(
    r".*(?:ung|ungen|heit|heiten|keit|keiten|schaft|tion|tionen|tät|ismus|nis|ierung|innen|tum|straße|strasse|gasse|platz|weg)\Z"
)
"""Endings of nouns, where a known given name stands before them."""
_INITIALS = re.compile(rf"[A-Z](?<![\w.-].)\.[ -]?(?:[A-Z]\.[ -]?){{1,2}}({WORD}(?:-{WORD})?)(?!\w)")
_INITIAL = re.compile(rf"[A-Z]\.(?<=[{LOWER},(] ..)[ ]?({WORD}(?:-{WORD})?)(?!\w)")
_NO_INITIALS = frozenset("BA MA US UK DC EU NY LA PS AD BC PO CV BS MS IA IV UN".split())  # noqa: SIM905
"""Degrees, states and other abbreviations."""
_ENDINGS = r"(?:ić|ović|wicz|czyk|enko|oğlu|oglu|sson|dóttir|escu|eanu|opoulos|idis|adze|shvili|yan)"
_TELLING = re.compile(rf"(?<![\w-])(?:(?:Al|El|Abd)-{WORD}|(?:O['’]|Mc){WORD}|[{UPPER}][{LOWER}]{{2,20}}{_ENDINGS})(?!\w)")
"""A surname by its form, which needs another word with a capital before it."""
_WORD_BEFORE = re.compile(rf"(?<![\w-])({WORD}(?:-{WORD})?)[ ]\Z")
_LONGEST_BEFORE = 60
_ALONE = re.compile(
    rf"(?<![\w-])[{UPPER}][{LOWER}]{{2,14}}"
    r"(?:schmidt|müller|mueller|me[iy]er|ma[iy]er|hofer|huber|wicz|czyk|oğlu|ević|ović)(?!\w)"
)
_ALONE_ENDS = (
    "schmidt",
    "müller",
    "mueller",
    "meier",
    "meyer",
    "maier",
    "mayer",
    "hofer",
    "huber",
    "wicz",
    "czyk",
    "oğlu",
    "vić",
)
"""Endings of surnames, and of no noun: they are believed alone."""
_WITHIN = re.compile(
    r"(?<!\w)(?!(?:the|our|my|his|her|their|d(?:er|ie|as|em|en|es)|\w{0,2}ein\w{0,2}|unser\w{0,2}|ihr\w{0,2}) )[a-zäöüß]+[ ]\Z"
)
"""A word before it that is no article: then it is no role either."""
_TELL_BEGINS, _TELL_ENDS = ("Al", "El", "Abd", "O", "Mc"), tuple(_ENDINGS[3:-1].split("|"))
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LIST = re.compile(
    rf"(?i:(?<!\w)(?:anwesende?|abwesend|entschuldigt|teilnehmer(?:innen)?|teilnehmende|verteiler|gäste|present|attendees|absent"
    rf"|apologies|participants|guests|invited))[ ]?:[ ]{{0,4}}({NAME}(?:(?:,|;|[ ]und|[ ]and|[ ]&)[ ]{NAME}){{0,40}})"
)
_OF_LISTS = """
anwesend anwesende abwesend entschuldigt teilnehmer teilnehmerinnen teilnehmende verteiler gäste present attendees absent
apologies participants guests invited
"""
_LISTS = frozenset(_OF_LISTS.split())
_EXTENSION = re.compile(rf"(?<![\w-])({NAME})(?:,[ ]|[ ]\()(?:Durchwahl|DW|Nebenstelle|[Ee]xt\.?|[Ee]xtension)[ :.]{{1,3}}\d")
_EXTENSIONS = frozenset("Durchwahl DW Nebenstelle Ext ext Extension extension".split())  # noqa: SIM905


def is_noun(word: str) -> bool:
    """Whether a word with a capital is no surname, behind a given name."""
    return word in NO_NAMES or word in NO_SURNAMES or _NO_SURNAME.match(word) is not None


def is_surname(word: str) -> bool:
    """Whether a list holds the word, or a part of it between hyphens."""
    known = known_surnames()
    plain = plain_case(word)
    return plain in known or ("-" in plain and any(part in known for part in plain.split("-")))


def names_without_a_cue(signs: Signs) -> Iterator[tuple[int, int]]:
    """Begin and end of each, some of them more than once."""
    text = signs.text
    for word in signs.words & known_given_in_any_case():
        for place in places(text, word):
            if not _NO_BORDER.search(text, max(0, place - 7), place) and (span := _from_given_name(text, place)):
                yield span
    capitals = signs.capitals
    if "." in text and not _LETTERS.isdisjoint(capitals):
        yield from _initials(text)
    for word in capitals:
        if word.endswith(_ALONE_ENDS):
            for place in places(text, word):
                if (match := _ALONE.match(text, place)) and not is_noun(match.group()):
                    yield match.span()
        if word.endswith(_TELL_ENDS) or word.startswith(_TELL_BEGINS):
            for place in places(text, word):
                if span := _telling(text, place):
                    yield span
    if ":" in text and not signs.small_words.isdisjoint(_LISTS):
        for match in _LIST.finditer(text):
            yield from _listed(text, match.start(1), match.end(1))
    if not signs.words.isdisjoint(_EXTENSIONS):
        for match in _EXTENSION.finditer(text):
            words = match[1].split(" ")
            if not is_noun(words[-1]) and (len(words) > 1 or is_surname(words[0]) or words[0] in known_given()):
                yield match.span(1)


def _from_given_name(text: str, place: int) -> tuple[int, int] | None:
    """The name that begins with a given name: up to its surname, or the given name alone."""
    match = _FULL.match(text, place)
    if match is None:
        return None
    words = match.group().split(" ")
    first = plain_case(words[0])
    shouted = words[0].isupper() and len(words[0]) > 2
    if len(words) > 1 and (not shouted or words[1].isupper()) and _is_pair(first, words[1:]):
        return place, place + len(" ".join(_until_surname(words)))
    if words[0].split("-")[0] in known_alone() and _AFTER_ALONE.match(text, place + len(words[0])):
        return place, place + len(words[0])
    return None


def _is_pair(word: str, rest: list[str]) -> bool:
    """Whether a given name is followed by what can be a surname: a known one, one after an initial or a particle, or, where the
    given name is nothing else, any word with a capital that is no common noun."""
    given = word.split("-")[0]
    if given not in known_given() or word in NO_NAMES:
        return False
    after = [part for part in rest if not part.islower() and not part.endswith(".")]
    last = next((part for part in after if plain_case(part).split("-")[0] not in known_given()), after[-1] if after else "")
    if given in AMBIGUOUS_NAMES:
        return plain_case(after[0]) in all_surnames() if after else False
    if is_surname(last) or rest[0].endswith("."):
        return True
    return given in known_clearly() and len(last) > 2 and not last.isupper() and not is_noun(last)


def _until_surname(words: list[str]) -> list[str]:
    known = next((i for i, word in enumerate(words) if i and is_surname(word)), None)
    if known is not None:
        return words[: known + 1]
    first = next((i for i, word in enumerate(words) if i and not word.islower() and len(word) > 2), len(words) - 1)
    return words[: first + 1]


def _initials(text: str) -> Iterator[tuple[int, int]]:
    """Surnames behind initials: any behind two, a known one behind one within a sentence."""
    for match in _INITIALS.finditer(text):
        letters = "".join(letter for letter in text[match.start() : match.start(1)] if letter.isalpha())
        if letters not in _NO_INITIALS and not is_noun(match[1]):
            yield match.span()
    for match in _INITIAL.finditer(text):
        if is_surname(match[1]) and match[1] not in AMBIGUOUS_NAMES and not is_noun(match[1]):
            yield match.span()


def _telling(text: str, place: int) -> tuple[int, int] | None:
    """A surname by its form, with the word before it if that stands within a sentence."""
    surname = _TELLING.match(text, place)
    before = _WORD_BEFORE.search(text, max(0, place - _LONGEST_BEFORE), place) if surname else None
    if surname is None or before is None:
        return None
    within = _WITHIN.search(text, max(0, before.start() - 16), before.start()) is not None
    is_given = before[1] in known_given() or (within and not is_noun(before[1]))
    return (before.start() if is_given else place), surname.end()


def _listed(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Names behind a word for those who were there: full ones, and single ones that are known."""
    for match in re.compile(NAME).finditer(text, begin, end):
        words = match.group().split(" ")
        if any(word in NO_NAMES for word in words) or is_noun(words[-1]):
            continue
        if len(words) > 1 or words[0] in known_given() or is_surname(words[0]):
            yield match.span()
