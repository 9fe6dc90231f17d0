"""Telephone numbers that nobody has, in the form of those that were found.

Bundesnetzagentur, Ofcom and NANPA keep numbers for films. Where a country keeps none, the number begins with zeros behind its
code, as no number there does. A number is chosen by its digits without the country's code and the zero before the area, so
030 1234567 and +49 (30) 123-45-67 become the same one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_DIGIT = re.compile(r"\d")
_GERMAN_AREAS = {"30": "3023125", "40": "4066969", "69": "6990009", "89": "8999998", "221": "2214710"}
_MOBILE = re.compile(r"1[567]")
_SWISS = re.compile(r"0\d{2}[ /.-]\d{3}[ .-]\d{2}[ .-]\d{2}")
_REGIONS = {"de": ("DE", "AT", "CH", "GB"), "en": ("GB", "DE", "AT", "CH")}
_CODES = {"DE": 49, "AT": 43, "CH": 41, "GB": 44}
_FILLED = "000"


def phone(item: str, number_of: Callable[[str], int], *, language: str) -> str:
    """Another number in the same form.

    Args:
        item: a telephone number.
        number_of: a large number that only the key and the text given to it decide.
        language: of the text: it tells whose a number without a country's code is.
    """
    digits = "".join(_DIGIT.findall(item))
    code, kept = _before_the_area(item, digits, language)
    own = digits[kept:]
    number = number_of(own)
    new = iter(_numbers_of(code, own, number))
    place = -1

    def other(digit: re.Match[str]) -> str:
        nonlocal place
        place += 1
        return digit.group() if place < kept else next(new)

    return _DIGIT.sub(other, item) + "".join(new)


def own_digits(item: str, *, language: str) -> str:
    """The digits of a number without those of its country and the zero before its area."""
    digits = "".join(_DIGIT.findall(item))
    return digits[_before_the_area(item, digits, language)[1] :]


def _before_the_area(item: str, digits: str, language: str) -> tuple[int, int]:
    """The country's code, and how many digits stay: those of the code, of the way abroad and of the zero before the area."""
    sign = item.lstrip(" (")
    abroad = 0 if sign.startswith("+") else 3 if digits.startswith("011") else 2 if digits.startswith("00") else None
    if abroad is not None:
        code = _country(digits[abroad:])
        kept = abroad + len(str(code))
        return code, kept + (digits[kept : kept + 1] == "0" and code != 39)
    if digits.startswith("0"):
        return _of_a_region(item, language), 1
    return 1, int(len(digits) == 11 and digits.startswith("1"))


def _country(digits: str) -> int:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    return next((int(digits[:n]) for n in (1, 2, 3) if digits[:n] and int(digits[:n]) in COUNTRY_CODE_TO_REGION_CODE), 49)


def _of_a_region(item: str, language: str) -> int:
    """The code of the country in which a number that begins with a zero is valid."""
    from phonenumbers import NumberParseException, is_valid_number, parse

    swiss = ("CH",) if _SWISS.fullmatch(item.strip()) else ()
    for region in (*swiss, *_REGIONS[language]):
        try:
            if is_valid_number(parse(item, region)):
                return _CODES[region]
        except NumberParseException:
            continue
    return _CODES[_REGIONS[language][0]]


def _numbers_of(code: int, own: str, number: int) -> str:
    """As many digits as the own ones, or a few more where a number for films has more."""
    match code:
        case 1:
            begin, least = f"{200 + number // 100 % 700}55501", 10
        case 44:
            begin, least = ("7700900" if own.startswith("7") else "2079460"), 10
        case 49:
            begin, least = _german(own, number), 8
        case _:
            begin, least = _FILLED, 4
    wanted = max(len(own), least) - len(begin)
    return begin + f"{number // 70000:039d}"[-wanted:]


def _german(own: str, number: int) -> str:
    if _MOBILE.match(own):
        return _GERMAN_AREAS["221"]
    known = next((area for area in _GERMAN_AREAS if own.startswith(area)), None)
    areas = [prefix for area, prefix in _GERMAN_AREAS.items() if area != known and len(area) <= 2]
    return areas[number % len(areas)]
