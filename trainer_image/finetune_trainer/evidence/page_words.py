"""Numbers, names and texts as people read them on the page.

A report page is read by people who decide on it, so a number has as many digits as it carries meaning, and a text of the
data can do nothing but be read: no control character, no direction mark that reorders its surroundings, no half character.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from finetune_api.uris import file_path

NOTHING = "–"
"""Where there is no value."""
NARROW = "\u202f"
"""The space between a number and its sign, which breaks no line."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_NO_TEXT = re.compile("[\x80-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LOGIN = re.compile(r"(?<=://)[^/@\s]*@")


def printable(value: Any) -> Any:
    """The same value, with texts that are safe to show anywhere and with None for numbers that are no numbers.

    Control characters become their pictures (U+2400 and on), marks that turn the direction of writing become their names,
    what is no character becomes U+FFFD: a reader sees that something was there, and it has no effect.
    """
    match value:
        case str():
            return _printable_text(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_printable_text(str(key)): printable(one) for key, one in value.items()}
        case list() | tuple():
            return [printable(one) for one in value]
        case _:
            return value


def _printable_text(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub(lambda found: "\u2421" if found[0] == "\x7f" else chr(0x2400 + ord(found[0])), text)
    text = _DIRECTIONS.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)
    return _NO_TEXT.sub("\ufffd", text)


def number(value: float | int | None, *, digits: int = 4) -> str:
    """A number on its own: thousands separated, so many significant digits, no trailing zeros."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if isinstance(value, int) or abs(value) >= 10 ** (digits - 1):
        return _minus(f"{value:,.0f}" if abs(value) < 1e15 else _scientific(value, digits))
    if value and abs(value) < 1e-4:
        return _minus(_scientific(value, digits))
    return _minus(f"{value:.{_decimals(value, digits)}f}".rstrip("0").rstrip(".") if value else "0")


def common_decimals(values: list[float], difference: float | None) -> int:
    """Decimals for numbers that stand in one row: four digits of the largest, two of the difference, at most six."""
    largest = max((abs(value) for value in values), default=0.0)
    wanted = _decimals(largest, 4) if largest else 0
    if difference:
        wanted = max(wanted, _decimals(difference, 2))
    return min(wanted, 6)


def fixed(value: float | None, decimals: int) -> str:
    """A number with so many decimals."""
    return NOTHING if value is None else _minus(f"{value:,.{decimals}f}")


def signed(value: float | None, decimals: int) -> str:
    """A difference: always with its sign, but zero has none."""
    if value is None:
        return NOTHING
    text = f"{value:+,.{decimals}f}"
    return _minus(text) if text.strip("+-0.,") else text[1:]


def share(part: float, whole: float) -> str:
    """A share as a percentage; a few of many never become 0 %, nor almost all 100 %."""
    if not whole:
        return NOTHING
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        said = "< 0.1"
    elif 99.9 < percent < 100:
        said = "> 99.9"
    else:
        said = f"{percent:.1f}" if 0 < percent < 100 else f"{percent:.0f}"
    return f"{said}{NARROW}%"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 example, 3,624 examples."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """A time in its two largest units."""
    if seconds < 60:
        return f"{number(seconds, digits=2)} s"
    minutes, hours = round(seconds / 60), seconds / 3600
    return f"{minutes} min" if hours < 1 else f"{minutes // 60} h {minutes % 60} min"


def shown(value: Any) -> str:
    """Any single value of a report or plan."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return number(value)
        case list() | tuple():
            return ", ".join(map(shown, value))
        case _:
            return str(value)


def sentence(text: str) -> str:
    """A text that begins with a capital and ends with a full stop."""
    text = text.strip()
    return text and text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def model_name(uri: str) -> str:
    """A model as readers know it: a path of somebody's machine means nothing to them but its last part."""
    uri = source(uri)
    path = file_path(uri)
    return Path(path).name if path is not None else uri.removeprefix("hf://")


def source(uri: str) -> str:
    """A URI without query and without a login."""
    return _LOGIN.sub("", uri.split("?")[0])


def shortened(text: str, at_most: int) -> str:
    """The beginning of a name that is too long for its place."""
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def _decimals(value: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0


def _scientific(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def _minus(text: str) -> str:
    """The minus sign, which is as wide as a plus, instead of a hyphen."""
    return text.replace("-", "\u2212")
