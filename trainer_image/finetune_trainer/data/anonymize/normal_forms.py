"""One form for all ways to write an item: else Müller and Mueller, or an account with and without blanks, would become two.

Surrogates and hashes are chosen by this form; what is invented is then laid out as the item was found.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

_FOLDED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_NO_WORD = re.compile(r"[\W_]+")
_BLANKS = re.compile(r"\s+")
AT_IN_WORDS = r"[(\[{](?:at|ät)[)\]}]"
DOT_IN_WORDS = r"\s?[(\[](?:dot|punkt)[)\]]\s?"
AT = rf"\s?(?:@|{AT_IN_WORDS})\s?"
"""How people write what stands in an address of mail, in small letters."""
_AT, _DOT = re.compile(AT), re.compile(DOT_IN_WORDS)
_COUNTRY = re.compile(r"\A(?:de|d|at|a|ch|fl|l)-\s?(?=\d)")
_HOUSE_NUMBER = re.compile(r"\b(?:haus)?nr\.?\s?(?=\d)")
_GERMAN_STREET = re.compile(r"(?:strasse|str\.?)(?=[\s-]*(?:\d|\Z))")
_WAYS = {
    "street": "st",
    "avenue": "ave",
    "road": "rd",
    "boulevard": "blvd",
    "lane": "ln",
    "drive": "dr",
    "court": "ct",
    "place": "pl",
    "square": "sq",
    "parkway": "pkwy",
    "highway": "hwy",
}
_WAY = re.compile(rf"\b(?:{'|'.join(_WAYS)})\b")
_COMPACT = frozenset(("IBAN", "CREDIT_CARD", "TAX_ID", "SOCIAL_SECURITY", "VAT_ID", "LICENSE_PLATE", "MAC_ADDRESS"))


def normal(kind: str, item: str) -> str:
    """The same text for all ways to write an item of a kind. Telephones and dates have modules of their own for that."""
    text = _BLANKS.sub(" ", unicodedata.normalize("NFKC", item)).strip().casefold()
    if kind in _COMPACT:
        return _NO_WORD.sub("", text)
    match kind:
        case "PERSON":
            return folded(text)
        case "EMAIL":
            return _AT.sub("@", _DOT.sub(".", text)).replace(" ", "")
        case "IP_ADDRESS":
            return _address_of_net(text)
        case "ADDRESS":
            return _postal(text)
        case _:
            return text


def folded(text: str) -> str:
    """In small letters, with ae for ä, and ss for ß."""
    return unicodedata.normalize("NFC", text).casefold().translate(_FOLDED)


def _postal(text: str) -> str:
    text = _HOUSE_NUMBER.sub("", _COUNTRY.sub("", folded(text)))
    text = _WAY.sub(lambda way: _WAYS[way.group()], _GERMAN_STREET.sub("str", text))
    return _NO_WORD.sub("", text)


def _address_of_net(text: str) -> str:
    try:
        return ipaddress.ip_address(text).exploded
    except ValueError:
        return text
