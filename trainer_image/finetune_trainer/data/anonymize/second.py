"""The second pass: looks for personal data in the result by other means than the first.

It reads the text as a person with bad intentions would: without invisible characters, with look-alike letters brought to one
form, and with all separators taken out of numbers. Then it asks of what is left only whether it could be real: an address
outside the domains kept for examples, digits that a check confirms wherever they stand, a number that a telephone would
dial, a title with a name that nobody here has invented.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache

from finetune_trainer.data.anonymize.signs import any_in
from finetune_trainer.data.anonymize.words import HONORIFICS, NO_NAMES, WORD_SURNAMES, given_names, surnames

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_MAIL = re.compile(r"[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,4}[a-z]{2,24})", re.IGNORECASE)
_OBFUSCATED = re.compile(r"[\w.+-]{2,64} ?[\[({] ?(?:at|ät) ?[\])}] ?[\w-]{2,63}", re.IGNORECASE)
_AT = re.compile(r"[\[({] ?(?:at|ät) ?[\])}]", re.IGNORECASE)
_RESERVED = re.compile(r"(?:^|\.)example(?:\.(?:com|org|net))?$|\.(?:test|invalid|local|localhost)$", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_RUN = re.compile(r"\d(?<![\w.,-]\d)\d{3}([ ./-]?)\d{4}\1\d{4}\1\d{1,7}(?![\w-])")
_IBAN_LIKE = re.compile(r"[A-Z](?<![A-Za-z0-9].)[A-Z][ ]?\d(?:[ .-]?[A-Z0-9]){13,32}")
_LENGTHS = (
    "NO15 BE16 DK18 FI18 NL18 SI19 AT20 BA20 EE20 LT20 LU20 CH21 HR21 LI21 LV21 BG22 DE22 GB22 IE22 RS22 AE23 IL23 CZ24 ES24"
    " SE24 SK24 RO24 PT25 IS26 TR26 FR27 GR27 IT27 CY28 HU28 PL28 MT31"
)
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}
_TITLES = ("Herr", "Frau", "Mr", "Ms")
_TITLED = re.compile(
    r"(?<!\w)(?:Herrn?|Frau|Mrs?\.?|Ms\.?)[ ]"
    r"(?:(?:Dr|Prof|Dipl|Mag|Ing|Kfm|Univ|Priv|Doz|med|dent|vet|phil|jur|iur|rer|nat|pol|oec|theol|habil|mult|[he]\.[ ]?c)"
    r"[.-]{1,2}[ ]?|(?:Dr|Prof|Ing)[ ]){0,7}"
    r"([A-ZÄÖÜ][a-zäöüß]{2,24}(?:-[A-ZÄÖÜ][a-zäöüß]{2,24})?)"
)
_MOBILE = re.compile(r"[+0](?<![\w.,/-].)(?:(?<=\+)49|(?<=0)049|(?<=0))[ /(-]{0,2}1[567]\d(?:[ /-]?\d){7,9}(?!\w)")
_OFFICES = "Doktor Doctor Professor Präsident Ministerin Minister Bundeskanzlerin Kunde Kundin Nachbarin Nachbar"
_COMMON = frozenset(_OFFICES.split()) | HONORIFICS | NO_NAMES - WORD_SURNAMES
"""Behind a title these are no names: Herr Kollege, Frau Dipl.-Ing."""
_DEGREES = frozenset("Prof Dipl Mag Ing Univ Priv Doz Kfm Inf Phys".split())  # noqa: SIM905


def is_reserved(domain: str) -> bool:
    """Whether nobody can have an address there (RFC 2606)."""
    return _RESERVED.search(domain) is not None


def leftovers(text: str) -> Counter[str]:
    """Personal items that are still there, by kind. Says nothing of where, and never what."""
    found: Counter[str] = Counter()
    seen = text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if "@" in seen:
        found["EMAIL"] += sum(not is_reserved(match.group(1)) for match in _MAIL.finditer(seen))
    if _AT.search(seen):
        found["EMAIL"] += sum(1 for _ in _OBFUSCATED.finditer(seen))
    if _DIGIT.search(seen):
        _numbers(seen, found)
    if any_in(seen, _TITLES):
        known = _invented() | _COMMON | _DEGREES
        found["PERSON"] += sum(match.group(1) not in known for match in _TITLED.finditer(seen))
    return +found


def _numbers(seen: str, found: Counter[str]) -> None:
    for match in _IBAN_LIKE.finditer(seen):
        compact = re.sub(r"[ .-]", "", match.group())
        length = _IBAN_LENGTHS.get(compact[:2], len(compact))
        if len(compact) >= length and _mod_97(compact[:length]) == 1:
            found["IBAN"] += 1
    # An invented account may hold the digits of a card by chance.
    for match in _RUN.finditer(_IBAN_LIKE.sub(" ", seen)) if _RUN.search(seen) else ():
        digits = re.sub(r"\D", "", match.group())
        if 13 <= len(digits) <= 19 and digits[0] in "3456" and len(set(digits)) > 1 and _luhn(digits):
            found["CREDIT_CARD"] += 1
    found["PHONE"] += sum(1 for _ in _MOBILE.finditer(seen))


def _mod_97(compact: str) -> int:
    """Remainder of an account number as ISO 13616 counts it; 1 is right."""
    moved = compact[4:] + compact[:4]
    if not moved.isalnum() or not moved.isascii():
        return 0
    return int("".join(str(int(character, 36)) for character in moved)) % 97


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(number - 9 if number > 9 else number for number in doubled)) % 10 == 0


@cache
def _invented() -> frozenset[str]:
    """Every name that a surrogate may have, in whole and in parts."""
    names = {name for language in surnames().values() for name in language} | set(given_names())
    return frozenset(names | {part for name in names for part in re.split(r"[-' ]", name)})
