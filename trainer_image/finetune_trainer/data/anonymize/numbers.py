"""Items that their form tells, and check digits confirm: addresses of the net, accounts, cards, numbers of offices, telephones.

Every pattern is linear: repetitions are bounded and no two of them in a row can share characters. Where a number has check
digits they decide, by the library python-stdnum; the same digits with a wrong check are a product's or an order's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence

from stdnum import iban, luhn
from stdnum.at import vnr as austrian
from stdnum.ch import ssn as swiss
from stdnum.de import idnr
from stdnum.de import vat as german_vat
from stdnum.eu import vat as european_vat
from stdnum.us import ssn

from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.signs import stretches

EMAIL = re.compile(
    r"(?<![\w.+-])\w[\w.+'’-]{0,63}\s?(?:@|[(\[{](?:at|ät)[)\]}])\s?[\w-]{1,63}"
    r"(?:(?:\.|\s?[(\[](?:dot|punkt)[)\]]\s?)[\w-]{2,63}){1,4}",
    re.IGNORECASE,
)
_AT = re.compile(r"[(\[{](?:at|ät)[)\]}]", re.IGNORECASE)
IBAN = re.compile(
    r"[A-Za-z](?<![A-Za-z0-9].)(?:(?<=[A-Z])[A-Z][ -]?\d{2}(?:[ -]?[A-Z0-9]){11,30}"
    r"|(?<=[a-z])[a-z]\d{2}(?:[a-z0-9]{11,30}|(?:[ -]?\d){11,28}))(?![A-Za-z0-9])"
)
_CARD = re.compile(r"\d(?<![\d.,-]\d)(?:\d{3}[ -]?(?:\d{4}[ -]?){2}\d{1,7}|(?<=3)[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?![\d-])")
_TAX_ID = re.compile(r"\d(?<![\d-]\d)\d[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}(?![\d-])")
_TAX_NUMBER = re.compile(
    r"(?i:steuernummer|steuer-nr\.?|st\.?-?nr\.?|tax number)\s{0,3}[:#]?\s{0,3}(\d{2,3}[ /]\d{3,4}[ /]\d{4,5}|\d{10,13})(?!\d)"
)
_PENSION = re.compile(r"\d(?<![A-Za-z0-9]\d)\d[ ]?(?:0[1-9]|[1-7]\d)[01]\d\d{2}[ ]?[A-Z][ ]?\d{2}[ ]?\d(?![A-Za-z0-9])")
_INSURED = re.compile(r"[A-Z](?<![A-Za-z0-9][A-Z])[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}(?![A-Za-z0-9])")
_INSURED_CUE = re.compile(r"(?i:versicherten|kvnr|krankenkasse|egk)[\w-]{0,10}\.?[ ]?(?:nr\.?|nummer)?[ ]?:?[ ]{0,3}\Z")
_AHV = re.compile(r"756(?<![\d.]756)[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}(?![\d-])")
_AUSTRIAN = re.compile(r"(?i:sv-?nr\.?|svnr|sozialversicherungs?-?(?:nummer|nr\.?)|vsnr)[ :.#]{0,4}(\d{4}[ /-]?\d{6})(?!\d)")
_NINO = re.compile(
    r"[A-CEGHJ-PR-TW-Z](?<![A-Za-z0-9][A-Z])[A-CEGHJ-NPR-TW-Z][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D](?![A-Za-z0-9])"
)
_SSN = re.compile(r"\d(?<![\d-]\d)\d{2}[- ]\d{2}[- ]\d{4}(?![\d-])")
_VAT = re.compile(
    r"(?:DE|AT|BE|BG|CY|CZ|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK)(?<![A-Za-z0-9]..)[ ]?[A-Z0-9]{0,2}"
    r"[ ]?\d{2,4}[ ]?\d{2,4}[ ]?\d{0,4}[A-Z]?\d{0,2}(?![A-Za-z0-9])"
)
_PLATE = re.compile(r"-(?<=[A-ZÄÖÜ]-)[A-Z]{1,2} \d{1,4}[EH]?(?![A-Za-z0-9])")
"""From its hyphen on: what stands before, most texts are full of."""
_PLATE_BEGIN = re.compile(r"(?<![A-Za-z0-9-])[A-ZÄÖÜ]{1,3}\Z")
_PLATE_CUE = re.compile(
    r"(?i:kennzeichen|amtl\.? kennz\.?|licen[cs]e plate|number plate|registration number)\W{1,3}(?:\w{1,12}\s){0,2}?"
    r"([A-ZÄÖÜ]{1,3}[ -][A-Z]{1,2}[ -]?\d{1,4}[EH]?)(?![A-Za-z0-9])"
)
_PLATE_CUES = ("kennz", "plate", "registration number")
_IPV4 = re.compile(r"\d(?<![\d.]\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\d.]\d|\d)")
_IPV6 = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{1,4}(?![0-9A-Fa-f:])")
_MAC = re.compile(r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Fa-f:-])")
_DOTS = re.compile(r"\.\d{1,3}\.\d{1,3}\.\d")
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:")
_PAIRS = re.compile(r"[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]")
"""Within an address of version 4, of version 6, of hardware."""
_URL_USER = re.compile(
    r"https?://(?:[\w.-]{1,64}:[^\s@/]{0,64}@|[^\s/]{1,100}/(?:[^\s/]{1,60}/){0,3}?(?:users?|profiles?|in|people|~|u|@))[/=]?"
    r"([\w.~-]{2,60})",
    re.IGNORECASE,
)
_BIRTH = re.compile(
    r"[gGbBdD*](?:(?<=[gG])(?i:eb(?:oren|urtsdatum|urtstag|\.?-?datum|\.)?(?:\s(?:wurde|bin|ist)\s\w{2,12})?(?:\s+am)?)|(?<=\*)"
    r"|(?<=[dD])(?i:ate of birth|\.?o\.?b\.?)|(?<=[bB])(?i:orn(?:\s+on)?|irth ?date|irthday(?:\sis)?(?:\son)?))"
    r"\s{0,3}:?\s{0,3}(\d{1,2}[./-]\s?\d{1,2}[./-]\s?\d{2,4}|\d{4}-\d{2}-\d{2}"
    r"|(?:the\s)?\d{1,2}(?:\.|st|nd|rd|th)?\s(?:of\s)?(?i:jan|feb|mär|mar|apr|mai|may|jun|jul|aug|sep|okt|oct|nov|dez"
    r"|dec)[a-zä]{0,6}\.?,?\s\d{4}"
    r"|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?\s\d{1,2},?\s\d{4})"
)
_BORN_AFTER = re.compile(
    r"(?<!\d)(\d{1,2}\.\s?\d{1,2}\.\s?\d{4}|\d{1,2}\.\s[A-Z][a-zä]{2,8}\s\d{4})(?:\sin\s\w{2,20})?\sgeboren"
)
_VERSION_CUE = re.compile(r"(?i:version|release|firmware|build|ver\.|v)\s{0,2}\Z")
_PENSION_FACTORS = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)

_SIX_DIGITS = re.compile(r"\d(?:[ ()/.+-]{0,3}\d){5}")
"""In every account, card and number of an office."""
_BEFORE, _BEHIND = 80, 100
"""Characters of such a number, with what introduces it, before its first six digits and behind them."""

_COUNTRIES = """
AD AE AL AT AZ BA BE BG BH BR BY CH CR CY CZ DE DK DO EE EG ES FI FO FR GB GE GI GL GR GT HR HU IE IL IS IT IQ JO KW KZ LB LC LI
LT LU LV MC MD ME MK MR MT MU NL NO PK PL PS PT QA RO RS SA SC SE SI SK SM ST SV TL TN TR UA VA VG XK
"""
_IBAN_COUNTRIES = frozenset(_COUNTRIES.split())


def pension_number_is_valid(number: str) -> bool:
    """Whether the check digit of a German pension insurance number is right.

    Source: VKVV section 4, Deutsche Rentenversicherung: the letter counts as its two digits, digit sums of the products.
    """
    compact = number.replace(" ", "")
    letter = f"{ord(compact[8]) - ord('A') + 1:02d}"
    digits = [int(digit) for digit in compact[:8] + letter + compact[9:11]]
    total = sum(sum(map(int, str(digit * factor))) for digit, factor in zip(digits, _PENSION_FACTORS, strict=True))
    return total % 10 == int(compact[11])


def insured_number_is_valid(number: str) -> bool:
    """Whether the check digit of a German health insurance number is right.

    Source: section 290 SGB V, GKV-Spitzenverband: the letter counts as its two digits, factors 1 and 2, digit sums.
    """
    compact = number.replace(" ", "")
    digits = [int(digit) for digit in f"{ord(compact[0]) - ord('A') + 1:02d}{compact[1:9]}"]
    total = sum(sum(map(int, str(digit * (1 + place % 2)))) for place, digit in enumerate(digits))
    return total % 10 == int(compact[9])


def emails(text: str) -> Iterator[Finding]:
    """E-mail addresses, also those written (at) and (dot)."""
    if "@" in text or _AT.search(text):
        for found in EMAIL.finditer(text):
            yield Finding("EMAIL", found.start(), found.end(), 3)


def numbered(text: str) -> list[tuple[int, int]]:
    """Begin and end of the parts of a text that may hold accounts, cards or numbers of offices."""
    return list(stretches(text, (found.span() for found in _SIX_DIGITS.finditer(text)), before=_BEFORE, after=_BEHIND))


def _within(pattern: re.Pattern[str], text: str, parts: Sequence[tuple[int, int]]) -> Iterator[re.Match[str]]:
    for begin, end in parts:
        yield from pattern.finditer(text, begin, end)


def accounts(text: str) -> Iterator[Finding]:
    """IBANs whose check digits are right; what follows an IBAN in capitals is no part of it."""
    for found in _within(IBAN, text, numbered(text)):
        if found.group()[:2].upper() in _IBAN_COUNTRIES and (end := _longest_valid(found.group(), iban.is_valid, least=15)):
            yield Finding("IBAN", found.start(), found.start() + end, 3)


def cards(text: str) -> Iterator[Finding]:
    """Payment cards: a known beginning, the right length, the right check digit (ISO/IEC 7812)."""
    parts = numbered(text)
    accounts_there = [found.span() for found in _within(IBAN, text, parts)]  # right or wrong: the middle of one is no card
    for found in _within(_CARD, text, parts):
        if any(begin < found.end() and found.start() < end for begin, end in accounts_there):
            continue
        digits = re.sub(r"\D", "", found.group())
        if 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and luhn.is_valid(digits):
            yield Finding("CREDIT_CARD", found.start(), found.end(), 3)


def offices(text: str) -> Iterator[Finding]:
    """Numbers of tax offices, pension and social security."""
    parts = numbered(text)
    for found in _within(_TAX_ID, text, parts):
        if idnr.is_valid(found.group()):
            yield Finding("TAX_ID", found.start(), found.end(), 3)
    for found in _within(_TAX_NUMBER, text, parts):
        yield Finding("TAX_ID", found.start(1), found.end(1), 2)
    for found in _within(_PENSION, text, parts):
        if pension_number_is_valid(found.group()):
            yield Finding("SOCIAL_SECURITY", found.start(), found.end(), 3)
    for found in _within(_INSURED, text, parts):
        if insured_number_is_valid(found.group()):
            yield Finding("SOCIAL_SECURITY", found.start(), found.end(), 3)
        elif _INSURED_CUE.search(text, max(0, found.start() - 32), found.start()):
            yield Finding("SOCIAL_SECURITY", found.start(), found.end(), 2)
    for found in _within(_AHV, text, parts):
        if swiss.is_valid(found.group().replace(" ", ".")):
            yield Finding("SOCIAL_SECURITY", found.start(), found.end(), 3)
    for found in _within(_AUSTRIAN, text, parts):
        if austrian.is_valid(re.sub(r"\D", "", found.group(1))):
            yield Finding("SOCIAL_SECURITY", found.start(1), found.end(1), 3)
    for found in _within(_NINO, text, parts):
        yield Finding("SOCIAL_SECURITY", found.start(), found.end(), 2)
    for found in _within(_SSN, text, parts):
        if ssn.is_valid(found.group().replace(" ", "-")):
            yield Finding("SOCIAL_SECURITY", found.start(), found.end(), 3)
    for found in _within(_VAT, text, parts):
        number = found.group()
        if german_vat.is_valid(number) if number.startswith("DE") else european_vat.is_valid(number):
            yield Finding("VAT_ID", found.start(), found.end(), 3)


def nets(text: str) -> Iterator[Finding]:
    """IP and MAC addresses, and user names in web addresses. A version of four numbers is none."""
    for found in _IPV4.finditer(text) if _DOTS.search(text) else ():
        if _is_ip(found.group()) and not _VERSION_CUE.search(text, max(0, found.start() - 16), found.start()):
            yield Finding("IP_ADDRESS", found.start(), found.end(), 2)
    for found in _MAC.finditer(text) if _PAIRS.search(text) else ():
        yield Finding("MAC_ADDRESS", found.start(), found.end(), 3)
    for found in _IPV6.finditer(text) if _COLONS.search(text) else ():
        if _is_ip(found.group()):
            yield Finding("IP_ADDRESS", found.start(), found.end(), 2)


def urls(text: str) -> Iterator[Finding]:
    """User names in web addresses."""
    if "://" in text:
        for found in _URL_USER.finditer(text):
            yield Finding("URL", found.start(1), found.end(1), 2)


def plates(text: str) -> Iterator[Finding]:
    """German licence plates, written M-AB 1234 or after a cue."""
    small = text.lower()
    if any(cue in small for cue in _PLATE_CUES):
        for found in _PLATE_CUE.finditer(text):
            yield Finding("LICENSE_PLATE", found.start(1), found.end(1), 1)
    for found in _PLATE.finditer(text):
        if before := _PLATE_BEGIN.search(text, max(0, found.start() - 3), found.start()):
            yield Finding("LICENSE_PLATE", before.start(), found.end(), 1)


def births(text: str) -> Iterator[Finding]:
    """Dates that a cue calls dates of birth."""
    for found in _BIRTH.finditer(text):
        yield Finding("DATE_OF_BIRTH", found.start(1), found.end(1), 2)
    if "geboren" in text:
        for found in _BORN_AFTER.finditer(text):
            yield Finding("DATE_OF_BIRTH", found.start(1), found.end(1), 2)


def _is_ip(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or str(address).startswith("255."))


def _longest_valid(text: str, is_valid: Callable[[str], bool], *, least: int) -> int:
    """Length of the longest beginning, ending at a group, that is valid; 0 if none is."""
    ends = [len(text), *(match.start() for match in re.finditer(r"[ -]", text))]
    return next((end for end in sorted(ends, reverse=True) if end >= least and is_valid(text[:end])), 0)
