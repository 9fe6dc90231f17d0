"""People who do not exist, with everything by which a real person could be found.

Telephone numbers are of the ranges that the German and British regulators keep free for films, e-mail addresses are of domains
reserved for documentation (RFC 2606), bank codes belong to no bank. Check digits are right, so that whoever looks for an IBAN
finds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b
from typing import TypeVar

One = TypeVar("One")

_WOMEN = (
    "Annegret", "Birte", "Carlotta", "Dörte", "Elif", "Friederike", "Gesa", "Hannelore", "Imke", "Jolanda", "Katrin", "Leyla",
    "Mareike", "Nadja", "Ottilie", "Petra", "Rosalie", "Svenja", "Theresa", "Wiebke",
)  # fmt: skip
_MEN = (
    "Arndt", "Bastian", "Cem", "Detlef", "Eckhard", "Folkert", "Gunnar", "Hinnerk", "Ingo", "Jannis", "Kasimir", "Lorenz",
    "Mehmet", "Norbert", "Ole", "Piotr", "Reinhold", "Steffen", "Till", "Volker",
)  # fmt: skip
_FAMILIES = (
    "Ahlers", "Bärwald", "Claußen", "Demirel", "Eickhoff", "Fröhlich", "Göbel", "Hagedorn", "Issing", "Jürgensen", "Kowalczyk",
    "Lütkemeier", "Mönch", "Niehaus", "Osterkamp", "Petersen", "Quandt", "Rüdiger", "Schönfeld", "Thoms", "Uhlenbrock",
    "Vossberg", "Wörner", "Yıldız", "Zacharias",
)  # fmt: skip
_ENGLISH_WOMEN = ("Alice", "Claire", "Esther", "Fiona", "Heather", "Judith", "Moira", "Rowena")
_ENGLISH_MEN = ("Alistair", "Brian", "Derek", "Graham", "Ian", "Keith", "Nigel", "Owen")
_ENGLISH_FAMILIES = (
    "Ashworth",
    "Bickerstaff",
    "Calloway",
    "Dunmore",
    "Ellery",
    "Fothergill",
    "Garside",
    "Holloway",
    "Inskip",
    "Kettle",
)
_STREETS = (
    "Lindenallee", "Am Deich", "Bahnhofstraße", "Kirchweg", "Mühlenstraße", "Goethestraße", "Ulmenweg", "Hafenstraße", "Rosenweg",
    "Schulstraße", "An der Bleiche", "Feldstraße",
)  # fmt: skip
_TOWNS = (
    ("26721", "Emden"), ("48143", "Münster"), ("99084", "Erfurt"), ("24937", "Flensburg"), ("79098", "Freiburg"),
    ("01067", "Dresden"), ("34117", "Kassel"), ("86150", "Augsburg"), ("18055", "Rostock"), ("52062", "Aachen"),
)  # fmt: skip
_GERMAN_NUMBERS = ("030 23125 {:03d}", "040 66969 {:03d}", "069 90009 {:03d}", "089 99998 {:03d}", "0221 4710 {:03d}")
_MOBILE = ("0171 39200{:02d}", "+49 171 39200{:02d}", "0176/040690{:02d}")
_ENGLISH_NUMBERS = ("020 7946 0{:03d}", "0161 496 0{:03d}", "+44 20 7946 0{:03d}")


class Dice:
    """Choices that look like chance and are the same on every machine."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._thrown = 0

    def below(self, bound: int) -> int:
        """A number from 0 to bound - 1."""
        self._thrown += 1
        return int.from_bytes(blake2b(f"{self._seed} {self._thrown}".encode(), digest_size=8).digest(), "big") % bound

    def pick(self, options: Sequence[One]) -> One:
        """One of them."""
        return options[self.below(len(options))]

    def some(self, options: Sequence[One], count: int) -> list[One]:
        """So many different ones, in an order of chance."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented."""

    title: str
    first: str
    family: str
    phone: str
    email: str
    street: str
    place: str
    iban: str
    born: date
    number: str
    """A customer or policy number."""

    @property
    def name(self) -> str:
        """First name and family name."""
        return f"{self.first} {self.family}"


def german(dice: Dice) -> Person:
    """Somebody who lives in Germany."""
    woman = dice.below(2) == 0
    first, family = dice.pick(_WOMEN if woman else _MEN), dice.pick(_FAMILIES)
    code, town = dice.pick(_TOWNS)
    landline = dice.below(3) > 0
    phone = dice.pick(_GERMAN_NUMBERS).format(dice.below(1000)) if landline else dice.pick(_MOBILE).format(dice.below(100))
    return Person(
        title="Frau" if woman else "Herr",
        first=first,
        family=family,
        phone=phone,
        email=f"{_ascii(first)}.{_ascii(family)}@{dice.pick(('example.org', 'example.net', 'post.example'))}",
        street=f"{dice.pick(_STREETS)} {1 + dice.below(120)}{dice.pick(('', '', '', 'a', 'b'))}",
        place=f"{code} {town}",
        iban=iban("DE", f"00000000{dice.below(10**10):010d}"),
        born=date(1938, 1, 1) + timedelta(days=dice.below(25_000)),
        number=f"K-{100_000 + dice.below(900_000)}",
    )


def english(dice: Dice) -> Person:
    """Somebody who lives in Britain."""
    woman = dice.below(2) == 0
    first, family = dice.pick(_ENGLISH_WOMEN if woman else _ENGLISH_MEN), dice.pick(_ENGLISH_FAMILIES)
    return Person(
        title="Ms" if woman else "Mr",
        first=first,
        family=family,
        phone=dice.pick(_ENGLISH_NUMBERS).format(dice.below(1000)),
        email=f"{first.lower()}.{family.lower()}@example.com",
        street=f"{1 + dice.below(180)} {dice.pick(('Chapel Lane', 'Station Road', 'Mill Street', 'Orchard Close', 'Castle Hill'))}",
        place=dice.pick(("Leeds LS1 4AP", "York YO1 7HH", "Bath BA1 1SU", "Norwich NR2 1RF")),
        iban=iban("GB", f"XXXX{dice.below(10**6):06d}{dice.below(10**8):08d}"),
        born=date(1938, 1, 1) + timedelta(days=dice.below(25_000)),
        number=f"C-{100_000 + dice.below(900_000)}",
    )


def iban(country: str, account: str) -> str:
    """An IBAN with right check digits, in groups of four.

    Source: ISO 13616 with ISO 7064, MOD 97-10.
    """
    digits = "".join(str(int(sign, 36)) for sign in f"{account}{country}00")
    whole = f"{country}{98 - int(digits) % 97:02d}{account}"
    return " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))


def _ascii(name: str) -> str:
    plain = name.lower()
    for sign, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("ı", "i")):
        plain = plain.replace(sign, letters)
    return plain
