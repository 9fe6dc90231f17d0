"""Letters and words of names in all European languages, as parts of patterns."""

from __future__ import annotations

_LATIN = [chr(code) for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)) if chr(code).isalpha()]
UPPER = "A-Z" + "".join(letter for letter in _LATIN if letter.isupper())
LOWER = "a-z" + "".join(letter for letter in _LATIN if letter.islower())

_FRONT = r"(?:O['’]|[Dd]['’]|Mc|Mac)?"
WORD = rf"[{UPPER}][{LOWER}'’]{{1,24}}"
"""A word with one capital, at its beginning."""
_MIXED = rf"{_FRONT}{WORD}(?:-(?:{_FRONT}{WORD}|[{LOWER}]{{2,8}}(?!\w))){{0,2}}"
CAPITALS = rf"[{UPPER}]{{2,25}}(?:[-'’][{UPPER}]{{2,25}}){{0,2}}"
"""A word in capitals alone."""
NAME_WORD = rf"(?:{_MIXED}|{CAPITALS}|[{UPPER}]\.)"
PARTICLE = (
    r"(?:(?:von|vom|zu|zur|van|de|der|den|ter|ten|al|el|bin|ibn|di|da|dos|du|del|della|la|le|af|av)"
    r"(?: (?:und zu|der|den|dem|la|los))?"
    r"|Ní|Nic|Mac|St\.)"
)
NAME = rf"(?:{PARTICLE}[ ]){{0,2}}{NAME_WORD}(?:[ ](?:{PARTICLE}[ ]){{0,2}}{NAME_WORD}){{0,3}}"
"""Up to four words that may be a name together."""


def plain_case(word: str) -> str:
    """A word in capitals as it stands in lists: WEBER-KLEIN is Weber-Klein."""
    return word.title() if word.isupper() and len(word) > 2 else word
