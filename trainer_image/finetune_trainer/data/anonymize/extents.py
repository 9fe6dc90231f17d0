"""How far a name reaches: German nouns have capitals too, and follow a name without a comma.

Bitte geben Sie Herrn Weber Bescheid: were the noun taken as the surname, it would be replaced wherever it stands, and Weber
would stay. So lists, endings and the articles of the same text decide where a name ends.
"""

from __future__ import annotations

import re
from collections.abc import Container

from finetune_trainer.data.anonymize.known_names import known_given, known_surnames
from finetune_trainer.data.anonymize.letters import PARTICLE, plain_case
from finetune_trainer.data.anonymize.mentions import is_noun, is_surname
from finetune_trainer.data.anonymize.name_words import AMBIGUOUS_NAMES
from finetune_trainer.data.anonymize.signs import Signs
from finetune_trainer.data.anonymize.words import HONORIFICS, NO_NAMES, NO_SURNAMES, WORD_SURNAMES, all_surnames

_PARTICLE = re.compile(PARTICLE)
_POSSESSIVE = re.compile(r"['’]s?\Z")
_LONGEST_SURNAME_LIKE_A_NOUN = 8
LEAST_CAPITALS = 5
"""Letters of a lone word in capitals that is no acronym."""


def trimmed(
    text: str, begin: int, end: int, never: Container[str] = (), *, can_be_a_word: bool = False
) -> tuple[int, int] | None:
    """Without words at the end that are no names; None if nothing is left.

    Args:
        never: further words that are none, unless a list knows them as surnames.
        can_be_a_word: the first may be a surname that is a word as well: Herr Freund.
    """
    words = text[begin:end].split(" ")
    for place, word in enumerate(words):
        bare = word.rstrip(",'’")
        if place == 0 and can_be_a_word and bare in WORD_SURNAMES:
            continue
        if bare in NO_NAMES or plain_case(bare) in NO_NAMES or (bare in never and bare not in known_surnames()):
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
    return last.isupper() and not last.endswith(".") and not words[0].isupper() and len(last) < LEAST_CAPITALS


def until_noun(words: list[str], signs: Signs, *, closed: bool) -> list[str]:
    """Without the noun that follows a name: Herrn Hrdlicka Auskunft, Frau Weber Kundennummer. Of two words that no list knows
    both stay, unless the second stands with an article elsewhere: many a given name is in no list.

    Args:
        closed: behind a surname only another name belongs to it.
    """
    kept, is_open, stays_open, wants_surname = 0, False, False, True
    for place, word in enumerate(words):
        plain = plain_case(word)
        if _PARTICLE.fullmatch(word) or word.islower():
            continue
        is_initial = len(word) == 2 and word.endswith(".")
        given, surname = plain.split("-")[0] in known_given() and plain not in NO_NAMES, _is_surname_or_its_genitive(word)
        if kept == 0:
            wants_surname = given or is_initial or word in HONORIFICS
            is_open = not (wants_surname or plain in all_surnames() or plain.removesuffix("s") in all_surnames())
            stays_open = is_open and surname  # Nguyễn Văn Hai
        elif word in HONORIFICS:
            wants_surname = True
        elif wants_surname:
            if is_surely_noun(word) and not surname and word not in WORD_SURNAMES:
                break
            wants_surname = (given and not surname) or is_initial
        elif surname and word not in NO_SURNAMES:
            if word in signs.with_articles:
                break
        elif not is_initial and not (given and plain not in AMBIGUOUS_NAMES):
            has_article = word in signs.with_articles and not words[place - 1].islower()  # van der Meulen
            if (closed and not is_open) or is_noun(word) or has_article:
                break
            is_open = stays_open
        kept = place + 1
    return words[:kept] or words[:1]


def is_surely_noun(word: str) -> bool:
    """Whether a word is a noun even where a surname is to be expected: Hornung ends like one, Hausverwaltung is one."""
    return word in NO_NAMES or word in NO_SURNAMES or (is_noun(word) and len(word) > _LONGEST_SURNAME_LIKE_A_NOUN)


def _is_surname_or_its_genitive(word: str) -> bool:
    return is_surname(word) or (word.endswith("s") and is_surname(word[:-1]))


def surnames_behind_a_title(name: str, behind: str) -> set[str]:
    """What else is looked for of a name behind a title: the first word, if it is no given name, and the stem of a genitive."""
    words = [word for word in name.split(" ") if not word.islower()] or [name]
    first = words[0]
    wanted = set()
    if first not in HONORIFICS and plain_case(first).split("-")[0] not in known_given() and len(first) > 2:
        wanted.add(first)
    for word in (first, words[-1]):
        stem = word[:-1]
        follows_a_noun = behind[:1] == " " and behind[1:2].isupper()
        if word.endswith("s") and not is_surname(word) and len(stem) > 3 and (is_surname(stem) or follows_a_noun):
            wanted.add(stem)
    return wanted


def possessive(text: str, begin: int, end: int) -> int:
    """Characters at the end that make a genitive: Weber's."""
    found = _POSSESSIVE.search(text, begin, end)
    return len(found.group()) if found else 0
