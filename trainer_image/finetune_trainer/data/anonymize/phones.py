"""Telephone numbers, by the library that knows every numbering plan, where digits look as if somebody would dial them.

The library takes a millisecond for a line of digits and finds valid numbers in many that are none: dates, decimals, parts
of accounts. So it is only asked about digits that begin or are introduced as numbers to dial are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.numbers import IBAN
from finetune_trainer.data.anonymize.signs import stretches

_DATE = re.compile(r"\d(?<!\d\d)(?:\d?[./-]\s?\d{1,2}[./-]\s?\d{2,4}|\d{3}-\d{2}-\d{2})(?!\d)")
_COUNTED = re.compile(
    r"(?i:kostenstelle|cost cent(?:re|er)|project|projekt|artikel|bestell|auftrag|rechnung|serie|charge|zimmer|raum|sku"
    r"|order|invoice|part|serial|ticket|case|batch|model|modell"
    r"|aktenzeichen|az\.|konto|vorgang|kundennummer|zähler|version|isbn|ean|iso|din)"
    r"[\w-]{0,16}\.?[ ]?(?:nr\.?|nummer|number|no\.?|id|#)?[ ]?:?[ ]{0,2}\Z"
)
"""What stands before numbers that are none of telephones."""
_DECIMAL = re.compile(r"[+-]?(?:0\.\d+|\d+\.\d{1,3})")
_SWISS = re.compile(r"(?<!\d)0\d{2}[ /.-]?\d{3}[ .-]?\d{2}[ .-]?\d{2}(?!\d)")
_PHONE_CUE = re.compile(r"(?i:tel|fon|phone|mobil|handy|cell|fax|call|anruf|ruf|erreich|reach|dial|hotline|whatsapp|sms)")
_AMERICAN = re.compile(r"(?:1[-. ])?[2-9]\d{2}[-. ][2-9]\d{2}[-. ]\d{4}")
_BETWEEN_DIGITS = (
    r"[-x\u2010-\u2015\u2212\u30FC\uFF0D-\uFF0F \u00A0\u00AD\u200B\u2060\u3000()\uFF08\uFF09\uFF3B\uFF3D.\[\]/~"
    r"\u2053\u223C\uFF5E]"
)
"""What the library takes for punctuation of a telephone number; at most four in a row."""
_MANY_DIGITS = re.compile(rf"\d(?:{_BETWEEN_DIGITS}{{0,4}}\d){{4,}}")
_DIALLED = re.compile(rf"[+(]|(?<!\d)0|\d{{20}}|{_AMERICAN.pattern}")
"""How a number begins that looks dialled; after twenty digits the library begins another number."""
_FRACTION = re.compile(r"(?:0|[1-9]\d{0,2})\.\d+")
_LEAD, _EXTENSION, _CUE_BEFORE = 12, 64, 36
"""Characters before the first digit, behind the last, and before the first that may hold a cue."""


def phones(text: str, regions: tuple[str, ...]) -> Iterator[Finding]:
    """Telephone numbers, by Google's metadata; what is a date or part of an account is none."""
    seen: set[int] = set()
    others: list[tuple[int, int]] | None = None
    for stretch in stretches(text, _runs_to_dial(text), before=_LEAD, after=_EXTENSION):
        for begin, end in _dialled(text, *stretch, regions):
            if begin in seen:
                continue
            if others is None:
                others = [found.span() for pattern in (_DATE, IBAN) for found in pattern.finditer(text)]
            if not any(first < end and begin < behind for first, behind in others):
                seen.add(begin)
                yield Finding("PHONE", begin, end, 1)


def _runs_to_dial(text: str) -> Iterator[tuple[int, int]]:
    """Digits of which some could be found by the library and look dialled: it needs a millisecond for twenty others."""
    for run in _MANY_DIGITS.finditer(text):
        begin, end = run.span()
        if _FRACTION.fullmatch(text, begin, end) and text[max(0, begin - 1) : begin] != "+":
            continue
        if _DIALLED.search(text, max(0, begin - _LEAD), end) or _PHONE_CUE.search(text, max(0, begin - _CUE_BEFORE), end):
            yield begin, end


def _dialled(text: str, begin: int, end: int, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Begin and end of the telephone numbers in a part of a text, perhaps some of them twice."""
    from phonenumbers import Leniency, PhoneNumberMatcher

    part = text[begin:end]
    tries = 2 * len(part)  # as many as there can be: a library's fixed number would end the search in long tables
    for region in regions:
        if region == "CH" and not _SWISS.search(part):  # with +41 the others find them, too
            continue
        for match in PhoneNumberMatcher(part, region, leniency=Leniency.VALID, max_tries=tries):
            first, behind = begin + match.start, begin + match.end
            if _looks_dialled(match.raw_string, text[max(0, first - 40) : first]):
                yield first, behind


def _looks_dialled(raw: str, before: str) -> bool:
    """Whether a valid number is written as people write telephone numbers, or a cue stands before it."""
    if _COUNTED.search(before) or _DECIMAL.fullmatch(raw) or "  " in raw:  # of two columns
        return False
    return (
        raw.startswith(("+", "00", "(", "0"))
        or _AMERICAN.fullmatch(raw) is not None
        or _PHONE_CUE.search(before[-24:]) is not None
    )
