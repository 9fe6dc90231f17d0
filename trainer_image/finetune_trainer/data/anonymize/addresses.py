"""Postal addresses: a street with its number, and a postal code with its town.

A street is known by its ending or by the word before its name, which also begin ordinary sentences (Im Winter 1944): there the
place in the sentence decides. A postal code of five digits is a number before a noun as well (12345 Kunden): there a known
town decides, or what stands before. Whatever stands between a beginning of a line and a town with its code is an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.signs import stretches
from finetune_trainer.data.anonymize.words import ARTICLES, NO_STREETS, UNITS, towns

_CAPITAL = r"[A-ZÄÖÜ][A-Za-zäöüßÄÖÜ'’.-]{1,30}"
_PART = r"[A-ZÄÖÜ][A-Za-zäöüßÄÖÜ'’.]{0,30}"
"""A word before a hyphen: with one in it there were thousands of ways to read A-A-A-A."""
_STREET_ENDS = "straße|strasse|str\\.|weg|allee|gasse|platz|ring|damm|ufer|chaussee|stieg|pfad|steig|twiete|wall"
_STREET_WORDS = "Straße|Strasse|Str\\.|Weg|Allee|Gasse|Platz|Ring|Damm|Ufer|Chaussee|Steig"
_ENDS = tuple(end.replace("\\", "") for end in _STREET_ENDS.split("|"))
_LONGEST_END = 12
_DIGITS = re.compile(r"\d+")
_HOUSE = re.compile(r"\d(?<= \d)")
_CODE = re.compile(r"\d{4}")
_STREET_OF = re.compile(r"(?:Straße|Strasse|Platz|Allee|Weg) (?:des|der|vom|zum|am) ")
_NUMBER = r"[ ]?\d{1,4}(?:[ ]?[a-hA-H](?!\w))?(?:[ ]?[-/][ ]?\d{1,4}[a-h]?){0,3}(?!\w)"
_GERMAN_STREET = re.compile(
    rf"(?<!\w)(?:(?:{_CAPITAL}[ ]){{0,3}}[A-ZÄÖÜ][A-Za-zäöüßÄÖÜ.-]{{0,30}}(?:{_STREET_ENDS})"
    rf"|(?:{_PART}[ -]){{1,4}}(?:{_STREET_WORDS})"
    rf"|(?:Straße|Strasse|Platz|Allee|Weg)[ ](?:des|der|vom|zum|am)[ ](?:\d{{1,2}}\.[ ])?{_CAPITAL}(?:[ ]{_CAPITAL})?){_NUMBER}"
)
_STREET_AT = re.compile(
    rf"(?<!\w)(?:Am|An der|An den|An dem|Im|In der|In den|Auf der|Auf dem|Auf den|Zum|Zur|Unter den|Hinter der|Vor dem|Beim"
    rf"|Bei der)"
    rf"[ ]{_CAPITAL}(?:[ ]{_CAPITAL})?[ ]\d{{1,3}}(?:[ ]?[a-hA-H](?!\w))?(?:[ ]?[-/][ ]?\d{{1,3}}[a-h]?)?(?!\w)"
)
_IN_A_SENTENCE = re.compile(r"(?:[a-zäöüß,:(][ ]|\()\Z")
_TOWN_FOLLOWS = re.compile(r"(?:,[ ]?|[ ]in[ ]|\n)(?:[A-Z]{1,2}-)?\d{4,5}[ ][A-ZÄÖÜ]")
_YEAR = re.compile(r"(?:19|20)\d\d")
_WAYS = (
    r"(?:Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|Boulevard|Blvd\.?|Lane|Ln\.?|Drive|Dr\.?|Court|Ct\.?|Place|Pl\.?|Square|Sq\.?"
    r"|Way"
    r"|Terrace|Close|Crescent|Gardens|Mews|Row|Parkway|Pkwy\.?|Circle|Hill|Grove|Walk|Highway|Hwy\.?|Quay|Broadway)"
)
_SIDE = r"(?:NE|NW|SE|SW|N|S|E|W|North|South|East|West)"
_ENGLISH_STREET = re.compile(
    rf"\d(?<!\w\d)\d{{0,4}}[A-Za-z]?[ ](?:{_SIDE}\.?[ ])?(?:(?:{_CAPITAL}|\d{{1,3}}(?:st|nd|rd|th))[ ]){{1,3}}{_WAYS}(?![\w])"
    rf"(?:[ ]{_SIDE}(?!\w))?"
    r"(?:,?[ ](?:Apt\.?|Apartment|Suite|Ste\.?|Unit|Flat|Floor|\#)[ ]?\w{1,6})?"
)
_POST_BOX = re.compile(r"(?<!\w)(?:P\.?[ ]?O\.?[ ]?Box|Postfach)[ ]\d{1,3}(?:[ ]?\d{1,3}){0,2}(?!\w)")
_FURTHER = r"(?:[ ](?:am|an der|a\.|im|in|ob der|bei|vor der)[ ]" + _CAPITAL + r")?(?:[ ]\([A-Z][a-z]{2,20}\))?"
_GERMAN_TOWN = re.compile(rf"(?<![\w-])((?:D|DE|A|AT|CH|FL|L)-[ ]?)?(\d{{4,5}})[ ]((?:Bad |St\. |Sankt )?{_CAPITAL}){_FURTHER}")
_BEFORE_TOWN = re.compile(
    r"(?:^[ \t>|*-]{0,8}|\d[ ]?[a-hA-H]?[ ]?[,|/–-]?[ \n]{1,2}|(?i:plz|ort|wohnort|anschrift|adresse)[ :]{1,4}"
    r"|(?i:wohn\w{0,6}|zieh\w{0,3}|zog\w{0,2}|gezogen)(?:[ ]\w{1,12}){0,3}[ ](?:in|nach|aus)[ ])\Z",
    re.MULTILINE,
)
_WHOLE_ADDRESS = re.compile(
    rf"(?<!\w)(?:{_CAPITAL}[ ]){{1,4}}\d{{1,3}}(?:[ ]?[a-hA-H](?!\w))?(?:[ ]?[-/][ ]?\d{{1,3}}){{0,3}}(?:,[ ]?|\n|[ ]in[ ])\Z"
)
_WHOLE_LONGEST = 80
_AMERICAN_TOWN = re.compile(rf"(?<!\w){_CAPITAL}(?:[ ]{_CAPITAL}){{0,2}},[ ][A-Z]{{2}}[ ]\d{{5}}(?:-\d{{4}})?(?!\d)")
_BRITISH_TOWN = re.compile(rf"(?<!\w)(?:{_CAPITAL}(?:[ ]{_CAPITAL}){{0,2}},?[ ])?[A-Z]{{1,2}}\d[A-Z\d]?[ ]\d[A-Z]{{2}}(?!\w)")
_FORMS = (
    (_ENGLISH_STREET, re.compile(r"\d(?<!\w\d)\d{0,4}[A-Za-z]? [A-Z0-9]"), 0, 180),
    (_POST_BOX, re.compile(r"(?:Box|Postfach) \d"), 8, 20),
    (_AMERICAN_TOWN, re.compile(r"\d{5}(?<=[A-Z]{2} \d{5})"), 120, 10),
    (_BRITISH_TOWN, re.compile(r"\d(?<= \d)[A-Z]{2}(?!\w)"), 120, 0),
)
"""What else has a form, what stands in each, and how far it reaches before that and behind it."""
_LOOSE = ".-'’"
"""At the end of a town's name it belongs to the sentence."""


def addresses(text: str) -> Iterator[Finding]:
    """Streets with numbers, and towns with postal codes, each as a finding of its own."""
    for match in _around(_GERMAN_STREET, text, _street_signs(text), before=180, after=60):
        if _is_named(match.group()):
            yield _found(match.start(), match.group())
    for match in _around(_STREET_AT, text, (sign.span() for sign in _HOUSE.finditer(text)), before=90, after=30):
        if _is_street(text, match):
            yield _found(match.start(), match.group())
    for pattern, sign, before, after in _FORMS:
        for match in _around(pattern, text, (found.span() for found in sign.finditer(text)), before=before, after=after):
            yield _found(match.start(), match.group())
    for match in _around(_GERMAN_TOWN, text, (code.span() for code in _CODE.finditer(text)), before=10, after=140):
        yield from _town(text, match)


def _around(
    pattern: re.Pattern[str], text: str, signs: Iterable[tuple[int, int]], *, before: int, after: int
) -> Iterator[re.Match[str]]:
    """Matches of a pattern, of which each holds a sign."""
    for begin, end in stretches(text, signs, before=before, after=after):
        yield from pattern.finditer(text, begin, end)


def _street_signs(text: str) -> Iterator[tuple[int, int]]:
    """Numbers behind what ends the name of a street, and streets that are called after something."""
    signs = [found.span() for found in _STREET_OF.finditer(text)]
    for found in _DIGITS.finditer(text):
        if text[max(0, found.start() - _LONGEST_END) : found.start()].rstrip(" ").lower().endswith(_ENDS):
            signs.append(found.span())
    return iter(sorted(signs))


def _found(begin: int, item: str) -> Finding:
    return Finding("ADDRESS", begin, begin + len(item.rstrip(_LOOSE)), 1)


def _is_named(street: str) -> bool:
    """Whether it is more than an article and a noun before a number, or before a year: Der Weg 3, Neuer Platz 2024."""
    words = street.split()
    return words[0] not in ARTICLES and "irewall" not in street and _YEAR.fullmatch(words[-1]) is None


def _is_street(text: str, match: re.Match[str]) -> bool:
    """In the middle of a sentence a capital before a name tells (wir wohnen Am Bach 4); elsewhere the town or the line does."""
    if NO_STREETS.intersection(match.group().split()):
        return False
    line_begins = match.start() == 0 or text[match.start() - 1] == "\n"
    line_ends = match.end() == len(text) or text[match.end()] in "\r\n"
    return (
        _IN_A_SENTENCE.search(text, max(0, match.start() - 2), match.start()) is not None
        or (line_begins and line_ends)
        or _TOWN_FOLLOWS.match(text, match.end()) is not None
    )


def _town(text: str, match: re.Match[str]) -> Iterator[Finding]:
    """A postal code with its town, and the street before it whatever its name."""
    country, code, name = match.groups()
    if name in UNITS or name.rstrip(_LOOSE) in UNITS:
        return
    begin = match.start()
    earliest = max(0, begin - _WHOLE_LONGEST)
    line = max(earliest, text.rfind("\n", earliest, max(0, begin - 1)) + 1)
    street = _WHOLE_ADDRESS.search(text, line, begin)
    is_year = len(code) == 4 and code[:2] in ("19", "20")
    if street is not None and (not is_year or country) and not NO_STREETS.intersection(street.group().split()):
        yield _found(street.start(), street.group().rstrip(", \n").removesuffix(" in"))
    else:
        street = None
    introduced = _BEFORE_TOWN.search(text, max(0, begin - 60), begin) is not None
    if len(code) == 5:
        is_town = bool(country) or name.rstrip(_LOOSE) in towns() or introduced
    else:
        is_town = bool(country) or street is not None or (not is_year and introduced and name.rstrip(_LOOSE) in towns())
    if is_town:
        yield _found(begin, match.group())
