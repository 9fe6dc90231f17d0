"""Postal addresses: a street with its number, and a postal code with its town.

A street is known by its ending or by the word before its name, which also begin ordinary sentences (Im Winter 1944): there the
place in the sentence decides. A postal code of five digits is a number before a noun as well (12345 Kunden): there a known
town decides, or what stands before. Whatever stands between a beginning of a line and a town with its code is an address.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from finetune_trainer.data.anonymize.districts import AMERICAN_STATES, BRITISH_AREAS
from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.no_streets import (
    COUNTED,
    COUNTED_BY_THOUSANDS,
    COUNTS_BEFORE,
    NO_WAY,
    NO_WAYS,
    PREPOSITIONS,
    is_no_street,
)
from finetune_trainer.data.anonymize.signs import any_in, stretches
from finetune_trainer.data.anonymize.words import ARTICLES, NO_STREETS, UNITS, towns

_CAPITAL = r"[A-ZÄÖÜ][A-Za-zÀ-ÿ'’.-]{1,30}"
_PART = r"[A-ZÄÖÜ][A-Za-zÀ-ÿ'’.]{0,30}"
"""A word before a hyphen: with one in it there were thousands of ways to read A-A-A-A."""
_STREET_ENDS = "straße|strasse|str\\.|weg|allee|gasse|platz|ring|damm|ufer|chaussee|stieg|pfad|steig|twiete|wall"
_STREET_WORDS = "Straße|Strasse|Str\\.|Weg|Allee|Gasse|Platz|Ring|Damm|Ufer|Chaussee|Steig"
_ENDS = tuple(end.replace("\\", "") for end in _STREET_ENDS.split("|"))
_LONGEST_END = 12
_HOUSE_NUMBER = re.compile(r"[ ](?:haus)?nr\.?[ ]?\Z")
_DIGITS = re.compile(r"\d+")
_HOUSE = re.compile(r"\d(?<= \d)")
_CODE = re.compile(r"\d{4}")
_STREET_OF = re.compile(r"(?:Straße|Strasse|Platz|Allee|Weg) (?:des|der|vom|zum|am) ")
_NUMBER = r"(?P<house>[ ]?(?:(?:Haus)?[Nn]r\.?[ ]?)?\d{1,4}(?:[ ]?[a-hA-H](?!\w))?(?:[ ]?[-/][ ]?\d{1,4}[a-h]?){0,3}(?!\w))"
_GERMAN_STREET = re.compile(
    rf"(?<!\w)(?:(?:{_CAPITAL}[ ]){{0,3}}[A-ZÄÖÜ][A-Za-zÀ-ÿ.-]{{0,30}}(?:{_STREET_ENDS})"
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
_LINE_BEGINS = re.compile(r"^[ \t>|*-]{0,8}\Z", re.MULTILINE)
_CUE_BEFORE_TOWN = re.compile(
    r"(?:(?i:plz|ort|wohnort|anschrift|adresse)[ :=\"']{1,6}"
    r"|(?i:wohn\w{0,6}|zieh\w{0,3}|zog\w{0,2}|gezogen|leb\w{0,3}|gemeldet)(?:[ ]\w{1,12}){0,3}[ ](?:in|nach|aus)[ ])\Z",
)
_FROM = re.compile(r"(?<!\w)aus[ ]\Z")
_HOUSE_BEFORE = re.compile(
    r"(?:[^\W\d_]|\.)[ ]\d{1,4}(?:[ ]?[a-hA-H])?(?:[ ]?[-/][ ]?\d{1,4}[a-h]?){0,3}[ ]?[,|/–-]?(?:[ ]{1,2}|[ ]?\n[ \t>|]{0,4})\Z"
)
_BOX_BEFORE = re.compile(r"Postfach[ \d]{2,16}[,|/–-]?[ \n]{1,2}\Z")
_ROW = re.compile(r"(?:\A|\n)[ \t>|*-]{0,8}\d{3,}[^\n]{0,80}\n\Z")
"""A line that begins with a number, before one that does too: of a table."""
_WHOLE_ADDRESS = re.compile(
    rf"(?<!\w)(?<!\d[ ])(?:{_CAPITAL}[ ]){{1,4}}\d{{1,3}}(?:[ ]?[a-hA-H](?!\w))?(?:[ ]?[-/][ ]?\d{{1,3}}){{0,3}}"
    r"(?:,[ ]?|\n|[ ]in[ ])\Z"
)
_WHOLE_LONGEST = 80
_AMERICAN_TOWN = re.compile(rf"(?<!\w){_CAPITAL}(?:[ ]{_CAPITAL}){{0,2}},[ ](?P<state>[A-Z]{{2}})[ ]\d{{5}}(?:-\d{{4}})?(?!\d)")
_BRITISH_TOWN = re.compile(
    rf"(?<!\w)(?:{_CAPITAL}(?:[ ]{_CAPITAL}){{0,2}},?[ ])?(?P<area>[A-Z]{{1,2}})\d[A-Z\d]?[ ](?!\d[KMGT]B)"
    r"\d[ABD-HJLNP-UW-Z]{2}(?!\w)"
)
_FIELD = r"(?<![\w-])(?i:{})[\"']?[ ]{{0,2}}[:=][ \t]{{0,3}}[\"']?"
_STREET_FIELD = re.compile(
    _FIELD.format(r"stra(?:ß|ss)e|street(?:[ _]?address)?|(?:wohn|liefer|rechnungs|post)?(?:anschrift|adresse)")
    + rf"((?:{_CAPITAL}[ ]){{1,4}}\d{{1,4}}(?:[ ]?[a-hA-H])?(?:[ ]?[-/][ ]?\d{{1,4}}[a-h]?){{0,3}})(?!\w|[.,:]\d)"
)
_CODE_FIELD = re.compile(
    _FIELD.format(r"plz|postleitzahl|zip(?:[ _-]?code)?|post(?:al)?[ _-]?code")
    + r"((?:[A-Z]{1,2}-)?\d{4,5}(?:-\d{4})?)(?![\w.])"
)
_TOWN_FIELD = re.compile(_FIELD.format(r"ort|wohnort|stadt|city|town|gemeinde") + rf"({_CAPITAL}(?:[ ]{_CAPITAL}){{0,2}})")
_OF_STREETS = ("traße", "trasse", "treet", "nschrift", "dresse")
_SEPARATOR = 8
"""Characters from a colon to the digits of a code."""
_FIELDS_APART = 80
"""Characters between a field for the code and one for its town."""
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
        if _is_named(text, match):
            yield _found(match.start(), match.group())
    for match in _around(_STREET_AT, text, (sign.span() for sign in _HOUSE.finditer(text)), before=90, after=30):
        if _is_street(text, match):
            yield _found(match.start(), match.group())
    for pattern, sign, before, after in _FORMS:
        for match in _around(pattern, text, (found.span() for found in sign.finditer(text)), before=before, after=after):
            if _is_there(text, match):
                yield _found(match.start(), match.group())
    codes = [code.span() for code in _CODE.finditer(text)]
    for match in _around(_GERMAN_TOWN, text, codes, before=10, after=140):
        yield from _town(text, match)
    if ":" in text or "=" in text:
        yield from _fields(text, codes)


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
        before = text[max(0, found.start() - _LONGEST_END) : found.start()].rstrip(" ").lower()
        if before.endswith(("nr", "nr.")):
            before = _HOUSE_NUMBER.sub("", text[max(0, found.start() - 2 * _LONGEST_END) : found.start()].lower())
        if before.endswith(_ENDS):
            signs.append(found.span())
    return iter(sorted(signs))


def _found(begin: int, item: str) -> Finding:
    return Finding("ADDRESS", begin, begin + len(item.rstrip(_LOOSE)), 1)


def _is_named(text: str, match: re.Match[str]) -> bool:
    """Whether it is a street: no place of another kind (Steckplatz 2), no article and noun (Der Weg 3), nothing that is counted
    (24 km) and no year (Neuer Platz 2024)."""
    name, house = text[match.start() : match.start("house")], match["house"].strip()
    words = name.split()
    if words[0] in ARTICLES or (len(words) == 2 and words[0] in PREPOSITIONS) or is_no_street(words[-1]):
        return False
    return _YEAR.fullmatch(house) is None and COUNTED.match(text, match.end()) is None


def _is_there(text: str, match: re.Match[str]) -> bool:
    """Whether what has the form of an English street or town can be one: areas and states that exist, nothing counted."""
    if match.re is _BRITISH_TOWN:
        return match["area"] in BRITISH_AREAS
    if match.re is _AMERICAN_TOWN:
        return match["state"] in AMERICAN_STATES
    if match.re is _ENGLISH_STREET:
        return (
            NO_WAY.isdisjoint(match.group().split())
            and NO_WAYS.search(match.group()) is None
            and COUNTS_BEFORE.search(text, max(0, match.start() - 12), match.start()) is None
        )
    return True


def _fields(text: str, numbers: Sequence[tuple[int, int]]) -> Iterator[Finding]:
    """What stands behind the names of fields: Straße: Lindenhof 4, "plz": "86925", "ort": "Fuchstal"."""
    if any_in(text, _OF_STREETS):
        for match in _STREET_FIELD.finditer(text):
            if NO_STREETS.isdisjoint(match[1].split()):
                yield _found(match.start(1), match[1])
    behind = [span for span in numbers if any_in(text[max(0, span[0] - _SEPARATOR) : span[0]], ":=")]
    codes = list(_around(_CODE_FIELD, text, behind, before=36, after=12))
    for code in codes:
        yield _found(code.start(1), code[1])
    for town in _TOWN_FIELD.finditer(text) if codes else ():
        near = bisect_left(codes, town.start() - _FIELDS_APART, key=re.Match.start)
        if near < len(codes) and codes[near].start() - town.end() <= _FIELDS_APART:
            yield _found(town.start(1), town[1])


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
    if name.rstrip(_LOOSE) in UNITS or name.rstrip(_LOOSE) in COUNTED_BY_THOUSANDS:
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
    is_known = name.rstrip(_LOOSE) in towns()
    if len(code) == 5:
        is_town = bool(country) or is_known or street is not None or _is_introduced(text, begin, code)
    else:
        is_town = bool(country) or street is not None
        if not is_town and not is_year and is_known:
            is_town = _LINE_BEGINS.search(text, max(0, begin - 9), begin) is not None or _is_introduced(text, begin, code)
    if is_town:
        yield _found(begin, match.group())


def _is_introduced(text: str, begin: int, code: str) -> bool:
    """Whether what stands before a code says that it is one of a town: the number of a house, a field, wohnt in."""
    earliest = max(0, begin - 60)
    if _CUE_BEFORE_TOWN.search(text, earliest, begin) or _BOX_BEFORE.search(text, earliest, begin):
        return True
    if _FROM.search(text, earliest, begin):
        return not code.endswith("00")
    return _HOUSE_BEFORE.search(text, earliest, begin) is not None and _ROW.search(text, max(0, begin - 100), begin) is None
