"""Items that their form tells, and check digits confirm: addresses of the net, accounts, cards, numbers of offices, telephones.

Every pattern is linear: repetitions are bounded and no two of them in a row can share characters. Where a number has check
digits they decide, by the library python-stdnum; the same digits with a wrong check are a product's or an order's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from stdnum import iban, luhn
from stdnum.at import vnr as austrian
from stdnum.ch import ssn as swiss
from stdnum.de import idnr
from stdnum.de import vat as german_vat
from stdnum.eu import vat as european_vat
from stdnum.us import ssn

from finetune_trainer.data.anonymize.districts import GERMAN_DISTRICTS
from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.normal_forms import AT, AT_IN_WORDS, DOT_IN_WORDS
from finetune_trainer.data.anonymize.signs import stretches

_DOT = rf"(?:\.|{DOT_IN_WORDS})"
EMAIL = re.compile(
    rf"(?<![\w.+-])\w[\w.+'’-]{{0,63}}{AT}[\w-]{{1,63}}"
    rf"(?:(?:{_DOT}[\w-]{{2,63}}){{0,3}}{_DOT}[^\W\d_][\w-]{{1,62}}|(?<=\d)(?:\.\d{{1,3}}){{3}}(?!\.?\w))",
    re.IGNORECASE,
)
"""The last part of a host begins with a letter, or all four are numbers: lodash@4.17.21 is a package."""
_AT = re.compile(AT_IN_WORDS, re.IGNORECASE)
IBAN = re.compile(
    r"[A-Za-z](?<![A-Za-z0-9].)(?:(?<=[A-Z])[A-Z][ -]?\d{2}(?:[ -]?[A-Z0-9]){11,30}"
    r"|(?<=[a-z])[a-z]\d{2}(?:[a-z0-9]{11,30}|(?:[ -]?\d){11,28}))(?![A-Za-z0-9])"
)
_GAP = r"[ \t\n\u00a0\u202f./_-]"
_ACCOUNT = re.compile(
    r"[A-Za-z](?:(?<![A-Za-z0-9].)|(?<=[Ii][Bb][Aa][Nn].))"
    rf"(?:(?<=[A-Z])[A-Z]{_GAP}?\d{{2}}(?:{_GAP}{{0,2}}[A-Z0-9]){{11,30}}"
    rf"|[A-Za-z]{_GAP}?\d{{2}}(?:[a-z0-9]{{11,30}}|(?:{_GAP}{{0,2}}\d){{11,28}}))(?![A-Za-z0-9])"
)
"""The same in whatever groups people write it; only its check digits make it an account."""
_CARD = re.compile(r"\d(?<![\d.,+-]\d)(?:\d{3}[ -]?(?:\d{4}[ -]?){2}\d{1,7}|(?<=3)[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?![\d-])")
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
_PLATE = re.compile(r"-(?<=[A-ZÄÖÜ]-)[A-Z]{1,2} \d{1,4}[EH]?(?![A-Za-z0-9/]|[.,]\d)")
"""From its hyphen on: what stands before, most texts are full of."""
_NO_PLATE = ("DIN-A ", "DIN-EN ", "EG-VO ", "EU-VO ", "OS-X ")
_UNIT_BEHIND = re.compile(r"[ ]?(?:[%°€$]|(?:[KMGT]i?B|Zoll|inch|EUR|Euro|mm|cm|km|kg|kW|kWh|Watt|Hz|[KMGT]?bit/s)(?!\w))")
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
_NO_USERS = "all|current|edit|index|list|login|logout|me|new|password|profile|register|search|self|settings|sign[_-]?(?:in|up)"
_URL_USER = re.compile(
    r"https?://(?:(?:[\w-]{1,20}\.)?linkedin\.[a-z]{2,3}/in/"
    r"|[^\s/]{1,100}/(?:u/|@|(?:[^\s/]{1,60}/){0,3}?(?:~|(?:users?|profiles?|people)[/=])))"
    rf"(?!(?:{_NO_USERS})(?![\w-]))([\w.~-]{{2,60}})",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"://([\w.%+~-]{1,64}:[^\s@/]{1,64})@")
_WEEKDAY = (
    r"(?i:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag|(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
)
_MONTH = r"(?i:jan|jän|feb|mär|mrz|mar|apr|mai|may|jun|jul|aug|sep|okt|oct|nov|dez|dec)"
_DATE = (
    r"\d{1,2}\s?[./-]\s?\d{1,2}\s?[./-]\s?\d{2,4}|\d{4}([-/.])\d{1,2}\2\d{1,2}"
    rf"|\d{{1,2}}(?:\.|st|nd|rd|th)?[\s-]?(?:of\s)?{_MONTH}[a-zä]{{0,6}}\.?,?[\s-]?\d{{4}}"
    rf"|{_MONTH}[a-z]{{0,6}}\.?\s\d{{1,2}}(?:st|nd|rd|th)?,?\s\d{{4}}"
)
_BIRTH = re.compile(
    r"[gGbBdD*](?:"
    r"(?<=[gG])(?<![a-zäöüß]g)(?i:eb(?:oren|urts-?(?:datum|tag|dat\.?)|\.?[ ]?-?[ ]?dat(?:um|\.)|\.)?)"
    r"(?:\s(?:wurde|bin|ist)\s\w{2,12})?(?:(?:,|\s?/|\s(?:und|u\.|&))[ ]?-?[ ]?(?i:geburts)?-?ort)?"
    r"(?:\s(?:des|der|vom|von)\s\w{2,24}(?:\s[A-ZÄÖÜ]\w{1,24})?)?(?:\s(?:in|zu)\s\w{2,20}(?:[ -]\w{2,20}){0,2})?"
    r"|(?<=[dD])(?i:ate[ _]?of[ _]?birth|\.?o\.?b\.?)(?:\sof\s(?:the\s)?\w{2,20})?"
    r"|(?<=[bB])(?i:orn|irth[ _]?date|irthday(?:\sis)?)(?:\s(?:in|at)\s[A-Z]\w{1,20}(?:[ -][A-Z]\w{1,20}){0,2})?"
    r"|(?<=\*)(?<!\*\*)(?!\*))"
    r"(?:\s?\([^()\n]{1,24}\))?"
    rf"(?:,?\s{{1,2}}(?:am|on|den)(?:\s{_WEEKDAY},?)?|,?\s{_WEEKDAY},?)?(?:,?\s(?:den|the))?"
    r"[\"'’*]{0,3}\s{0,3}[:=|>]?\s{0,3}[\"'*_]{0,3}"
    rf"((?:the\s)?(?:{_DATE}))(?!\d)"
)
_BORN_AFTER = re.compile(
    r"(?<!\d)(\d{1,2}\.\s?\d{1,2}\.\s?(?:\d{4}|\d{2})|\d{1,2}\.\s?[A-Z][a-zä]{2,8}\s\d{4})"
    r"(?:\sin\s\w{2,20}(?:[ -]\w{2,20}){0,2})?\sgeboren"
)
_LINE_BEGINS = re.compile(r"(?:\A|\n)[ \t>]{0,8}\Z")
_BORN_SOMEWHERE = re.compile(r",?\s(?:in|zu)\s[A-ZÄÖÜ]|[,;]?\s?†")
_VERSION_CUE = re.compile(
    r"(?i:version|versions?-?nr\.?|versionsnummer|release|firmware|build|ver\.|revision|rev\.|treiber|driver|patch|oid|abschnitte?"
    r"|(?:unter)?kapitel|ziffer|abs\.|section|sec\.|chapter|clause|anhang|anlage|appendix|annex|(?<![^\W_])v)[\s:=]{0,3}\Z"
)
"""What stands before four numbers that are no address."""
_NET_CUE = re.compile(r"(?i:\bip|adress|address|host|server|dns|gateway|ping|client|login|route)[^\n]{0,24}\Z")
_PORT = re.compile(r"[:/]\d")
_HEADING = re.compile(r"[.)]?[ \t]{1,3}[A-ZÄÖÜ][a-zäöüß]")
_PENSION_FACTORS = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)

SIX_DIGITS = re.compile(r"\d(?:[ \u00a0\u202f()/._+-]{0,3}\d){5}")
"""In every account, card and number of an office."""
_BEFORE, _BEHIND = 80, 100
"""Characters of such a number, with what introduces it, before its first six digits and behind them."""

_LENGTHS = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22
GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IS26 IT27 IQ23 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19
MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22
VG24 XK20
"""
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}
"""Characters of an account, by its country (ISO 13616)."""


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
    return list(stretches(text, (found.span() for found in SIX_DIGITS.finditer(text)), before=_BEFORE, after=_BEHIND))


def _within(pattern: re.Pattern[str], text: str, parts: Sequence[tuple[int, int]]) -> Iterator[re.Match[str]]:
    for begin, end in parts:
        yield from pattern.finditer(text, begin, end)


def accounts(text: str) -> Iterator[Finding]:
    """IBANs whose check digits are right, in groups of any kind. What follows the last character is no part of it."""
    for begin, end in numbered(text):
        place = begin
        while found := _ACCOUNT.search(text, place, end):
            behind = _end_of_account(found.group())
            if behind:
                yield Finding("IBAN", found.start(), found.start() + behind, 3)
            place = found.start() + (behind or 2)  # what looked like one may hide the beginning of one


def _end_of_account(text: str) -> int:
    """Where the account ends that a text begins with; 0 if it is none."""
    length = _IBAN_LENGTHS.get(text[:2].upper(), 0)
    places = [place for place, character in enumerate(text) if character.isalnum()]
    if not 0 < length <= len(places):
        return 0
    behind = places[length - 1] + 1
    if behind < len(text) and text[behind].isalnum():
        return 0
    return behind if iban.is_valid("".join(text[place] for place in places[:length])) else 0


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
    """IP and MAC addresses. A version or a chapter of four numbers is none."""
    for found in _IPV4.finditer(text) if _DOTS.search(text) else ():
        if _is_ip(found.group()) and not _counts(text, found):
            yield Finding("IP_ADDRESS", found.start(), found.end(), 2)
    for found in _MAC.finditer(text) if _PAIRS.search(text) else ():
        yield Finding("MAC_ADDRESS", found.start(), found.end(), 3)
    for found in _IPV6.finditer(text) if _COLONS.search(text) else ():
        if _is_ip(found.group()):
            yield Finding("IP_ADDRESS", found.start(), found.end(), 2)


def _counts(text: str, found: re.Match[str]) -> bool:
    """Whether four numbers count versions or chapters: by what stands before, by a heading, or by four digits alone."""
    begin = found.start()
    if _VERSION_CUE.search(text, max(0, begin - 24), begin):
        return True
    numbers = [int(part) for part in found.group().split(".")]
    if max(numbers) >= 30 or (numbers[0] == 10 and max(numbers) >= 10):
        return False
    if _NET_CUE.search(text, max(0, begin - 36), begin) or _PORT.match(text, found.end()):
        return False
    if max(numbers) < 10:
        return True
    begins_line = _LINE_BEGINS.search(text, max(0, begin - 9), begin) is not None
    return (begins_line or text[found.end() : found.end() + 1] == ".") and _HEADING.match(text, found.end()) is not None


def urls(text: str) -> Iterator[Finding]:
    """User names in web addresses, and passwords behind them."""
    if "://" in text:
        for found in _URL_USER.finditer(text):
            yield Finding("URL", found.start(1), found.end(1), 2)
        for found in _URL_PASSWORD.finditer(text):
            yield Finding("URL", found.start(1), found.end(1), 4)  # password and host look like an e-mail address


def plates(text: str) -> Iterator[Finding]:
    """German licence plates, written M-AB 1234 with a district that exists, or after a cue."""
    small = text.lower()
    if any(cue in small for cue in _PLATE_CUES):
        for found in _PLATE_CUE.finditer(text):
            yield Finding("LICENSE_PLATE", found.start(1), found.end(1), 1)
    for found in _PLATE.finditer(text):
        before = _PLATE_BEGIN.search(text, max(0, found.start() - 3), found.start())
        if (
            before
            and before.group() in GERMAN_DISTRICTS
            and not text.startswith(_NO_PLATE, before.start())
            and not _UNIT_BEHIND.match(text, found.end())
        ):
            yield Finding("LICENSE_PLATE", before.start(), found.end(), 1)


def births(text: str) -> Iterator[Finding]:
    """Dates that a cue calls dates of birth."""
    for found in _BIRTH.finditer(text):
        if text[found.start()] != "*" or _is_born(text, found):
            yield Finding("DATE_OF_BIRTH", found.start(1), found.end(1), 2)
    if "geboren" in text:
        for found in _BORN_AFTER.finditer(text):
            yield Finding("DATE_OF_BIRTH", found.start(1), found.end(1), 2)


def _is_born(text: str, found: re.Match[str]) -> bool:
    """Whether an asterisk says born, and neither begins an item of a list nor makes a date bold."""
    begin, end = found.span()
    if text.startswith("*", end):
        return False
    begins_item = text[begin + 1] == " " and _LINE_BEGINS.search(text, max(0, begin - 9), begin) is not None
    return not begins_item or _BORN_SOMEWHERE.match(text, end) is not None


def _is_ip(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or str(address).startswith("255."))
