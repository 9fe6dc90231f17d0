"""Labelled texts for measuring anonymisation: letters, tickets, contracts and reports in German and English, each item known.

Made by a program from a seed, so nothing of anybody is in them. Half is held out: its names are in no list that the detectors
use (tests/finetune_trainer/data/anonymize/test_corpus.py), and its sentences (anonymize_sentences.py) are worded otherwise than
those that the detectors were written by. Among the items stand things that only look like them: accounts and cards with wrong
check digits, versions, product numbers, dates of deliveries, nouns with capitals. Still it is our own corpus: who wrote the
detectors wrote it too, and real letters have more ways to say things than anybody who makes them up.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from anonymize_sentences import CLOSINGS, NOTHING, OPENINGS, SENTENCES, WRITTEN_BY


@dataclass(frozen=True, slots=True)
class Document:
    """A text with what is personal in it."""

    text: str
    items: tuple[tuple[str, int, int], ...]
    """Kind, begin and end of each."""
    language: str
    genre: str
    held_out: bool


_KNOWN = {
    "de": (["Anna", "Klaus", "Sabine", "Thomas", "Petra", "Uwe"], ["Schmidt", "Wagner", "Hoffmann", "Krause", "Lehmann"]),
    "en": (["Mary", "James", "Linda", "Robert", "Susan", "David"], ["Miller", "Johnson", "Walker", "Cooper", "Bailey"]),
}
_GIVEN_DE = """
Ansgarde Wiborada Swanhild Quirin Walpurga Wunibald Ayşegül Zbyszko Gerhilde Ruprecht Guntbert Emirhan Eginolf Svantje Yuna
Nurcihan
"""
_GIVEN_EN = """
Ethelwyn Thelonius Perpetua Lysander Siobhán Peregrine Ozioma Priyanka Osgyth Ambrosine Ifunanya Tarquin Yusra Hyacintha
Corisande Anoushka
"""
_FAMILIES_DE = """
Wrobelski, Quastenberg, Oellerking, Zmijewska-Pohl, Öztürkoğlu, Kniephoff, Nguyen-Bauer, Dräxlmaier, Szczepańska, Zielkebach,
Thüringsen, Brzozowski, Aßhauer, Ní-Dhomhnaill, Kärcher-Öhm, Yılmazer, von Thurnhöfel, van der Meulen, zu Reventlow, de Witt
"""
_FAMILIES_EN = """
Fernsby, Vanterpool, Abernathy-Cole, McGillivray, O'Shaughnessy, Featherstonehaugh, Mukhopadhyaya, Quist, Ponsonby-Smythe,
Tolliver, Obiageli, D'Amboise, Llewellyn-Pryce, Szymanowski, Thistlethwaite, Bhraonáin, van den Heuvel, de la Cruz, St.
Clairmont
"""
HELD_OUT = {
    "de": (_GIVEN_DE.split(), [" ".join(name.split()) for name in _FAMILIES_DE.split(",")]),
    "en": (_GIVEN_EN.split(), [" ".join(name.split()) for name in _FAMILIES_EN.split(",")]),
}
"""Given and family names that are in no list of the detectors'."""
_STREETS = {
    "de": ["Lindenstraße 12", "Am Mühlbach 4a", "Kirchweg 7", "Karl-Marx-Allee 101", "Hauptstr. 33", "Schillerplatz 2"],
    "de held out": [
        "Ostwall 88 b",
        "Bürgermeister-Hahn-Straße 1-3",
        "An der Alten Mühle 5",
        "Große Elbstr. 212",
        "Unter den Ulmen 19",
        "Rosenstieg 6/7",
    ],
    "en held out": [
        "9 Penhallow Crescent",
        "4410 Northwest 23rd Avenue",
        "77 Upper Thames Mews",
        "1 Old Quarry Road, Flat 3",
        "600 E Lake Blvd",
        "12a St Brendan's Terrace",
    ],
    "en": [
        "14 Maple Street",
        "221 Kings Road",
        "8 Orchard Lane",
        "1600 Harbor Boulevard",
        "37B Victoria Terrace",
        "5 Elm Court",
    ],
}
TOWNS = {
    "de": ["10115 Berlin", "80331 München", "50667 Köln", "04109 Leipzig", "D-20095 Hamburg", "60311 Frankfurt am Main"],
    "de held out": [
        "24376 Kappeln",
        "79286 Glottertal",
        "D-01796 Pirna",
        "CH-8400 Winterthur",
        "A-4810 Gmunden",
        "17207 Röbel",
    ],
    "en held out": [
        "Poughkeepsie, NY 12601",
        "Walla Walla, WA 99362",
        "Aberystwyth SY23 2AX",
        "Leeds LS1 4DY",
        "Boise, ID 83702-1234",
    ],
    "en": ["Springfield, IL 62704", "Austin, TX 78701", "London NW1 6XE", "Manchester M1 1AE", "Portland, OR 97201"],
}


_MONTHS = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]
_ENGLISH_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def iban(chance: random.Random, *, right: bool = True) -> str:
    """A German account in groups; its check digits are right or wrong."""
    account = f"{chance.randrange(10**8):08d}{chance.randrange(10**10):010d}"
    check = 98 - int(f"{account}131400") % 97
    number = f"DE{check if right else check % 96 + 3:02d}{account}"
    return " ".join(number[i : i + 4] for i in range(0, 22, 4)) if chance.random() < 0.6 else number


def card(chance: random.Random, *, right: bool = True) -> str:
    """Sixteen digits of a payment card."""
    digits = [int(d) for d in f"4{chance.randrange(10**14):014d}"]
    total = sum(digits[1::2]) + sum(d * 2 - 9 if d > 4 else d * 2 for d in digits[0::2])
    last = (-total + (0 if right else 5)) % 10
    number = "".join(map(str, digits)) + str(last)
    return " ".join(number[i : i + 4] for i in range(0, 16, 4)) if chance.random() < 0.6 else number


def tax_id(chance: random.Random) -> str:
    """A German identification number: ten digits of which one stands twice, and the check of ISO 7064."""
    digits = chance.sample(range(10), 9)
    digits.insert(chance.randrange(1, 9), digits[chance.randrange(9)])
    if digits[0] == 0:
        digits[0], other = next((d, i) for i, d in enumerate(digits) if d)
        digits[other] = 0
    product = 10
    for digit in digits:
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    number = "".join(map(str, digits)) + str((11 - product) % 10)
    return f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}" if chance.random() < 0.5 else number


def _ssn(chance: random.Random) -> str:
    return f"{chance.randrange(100, 665):03d}-{chance.randrange(1, 99):02d}-{chance.randrange(1, 9999):04d}"


def pension(chance: random.Random) -> str:
    """A German pension insurance number: area, birth, letter, serial number and its check digit (VKVV section 4)."""
    day, month, year = chance.randrange(1, 29), chance.randrange(1, 13), chance.randrange(100)
    letter = chance.choice("ABCDEFGHJKLMNPRSTUVWXYZ")
    digits = f"{chance.randrange(10, 90):02d}{day:02d}{month:02d}{year:02d}"
    serial = f"{chance.randrange(100):02d}"
    products = [
        int(d) * f for d, f in zip(f"{digits}{ord(letter) - 64:02d}{serial}", (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)
    ]
    check = sum(sum(map(int, str(product))) for product in products) % 10
    return f"{digits[:2]} {digits[2:]} {letter} {serial}{check}"


def _plate(chance: random.Random) -> str:
    letters = "".join(chance.choices("ABCKX", k=2))
    return f"{chance.choice(('HH', 'M', 'KI', 'FDS'))}-{letters} {chance.randrange(1, 9999)}"


def _ip(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return f"2003:e8:{chance.randrange(4096, 65536):x}:4b00:1c2d:3e4f:5a6b:{chance.randrange(4096, 65536):x}"
    return f"{chance.randrange(11, 99)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


def _held_out_phone(chance: random.Random, language: str) -> str:
    number, few = chance.randrange(10**6, 9 * 10**6), chance.randrange(100, 999)
    if language == "en":
        rest = chance.randrange(1000, 9999)
        return chance.choice(
            (
                f"415.{chance.randrange(230, 299)}.{rest}",
                f"+44 20 7946 {rest}",
                f"0161 496 {rest}",
                f"1-312-{max(few, 231)}-{rest}",
            )
        )
    text = str(number)
    return chance.choice(
        (
            f"0{chance.choice((4321, 7761, 3501))} {number // 10}",
            f"0049 (0)40 {text[:3]} {text[3:]}",
            f"+49-{chance.choice((151, 160, 176))}-{chance.randrange(10**7, 10**8)}",
            f"0{chance.choice((151, 160, 176))} / {text[:2]} {text[2:4]} {text[4:]}0",
            f"+41 79 {few} {text[:2]} {text[2:4]}",
            f"+43 664 {text}",
            f"089-{text[:4]}-{few // 10}",
        )
    )


def _phone(chance: random.Random, language: str) -> str:
    number = chance.randrange(10**6, 9 * 10**6)
    if language == "en":
        area, rest = chance.choice(("212", "415", "312", "617")), chance.randrange(2000, 9999)
        return chance.choice((f"({area}) 555-{rest}", f"+1 {area} 867 {rest}", f"{area}-736-{rest}"))
    return chance.choice((f"0171 {number}", f"030 {number}", f"+49 89 {number}", f"0221/{number}", f"(040) {number}"))


def _mail(chance: random.Random, name: str) -> str:
    local = "".join(c for c in name.lower().replace(" ", ".") if c.isascii() and (c.isalnum() or c == "."))
    return f"{local}{chance.randrange(100)}@{chance.choice(('web-post.de', 'mailhaus.net', 'firma-nord.de'))}"


def _birth(chance: random.Random, language: str, *, held_out: bool) -> str:
    day, month, year = chance.randrange(1, 28), chance.randrange(1, 13), chance.randrange(1935, 2005)
    if held_out and language == "de":
        return chance.choice((f"{day}. {_MONTHS[month - 1]} {year}", f"{day}.{month}.{year}", f"{year}-{month:02d}-{day:02d}"))
    if held_out:
        return chance.choice(
            (
                f"{day} {_ENGLISH_MONTHS[month - 1]} {year}",
                f"{_ENGLISH_MONTHS[month - 1]} {day}, {year}",
                f"{month}/{day}/{year}",
            )
        )
    return f"{day:02d}.{month:02d}.{year}" if language == "de" else f"{month:02d}/{day:02d}/{year}"


def _decoy(chance: random.Random, language: str) -> str:
    german = (
        f"Die Artikelnummer ist {chance.randrange(1000, 9999)}-{chance.randrange(1000, 9999)}.",
        f"Es läuft Version {chance.randrange(1, 20)}.{chance.randrange(10)}.{chance.randrange(10)}.{chance.randrange(10)}.",
        f"Lieferung am {chance.randrange(1, 28):02d}.{chance.randrange(1, 13):02d}.2025 um 14:30 Uhr.",
        f"Der Prüfcode {iban(chance, right=False)} wurde abgelehnt.",
        f"Seriennummer {card(chance, right=False)}.",
        f"Es sind noch {chance.randrange(10000, 99999)} Stück auf Lager.",
        "Bitte das Gerät nach DIN EN 60601-1 prüfen.",
    )
    english = (
        f"The part number is {chance.randrange(1000, 9999)}-{chance.randrange(1000, 9999)}.",
        f"It runs version {chance.randrange(1, 20)}.{chance.randrange(10)}.{chance.randrange(10)}.{chance.randrange(10)}.",
        f"Delivery is due on {chance.randrange(1, 13)}/{chance.randrange(1, 28)}/2025 at 2:30 pm.",
        f"The code {iban(chance, right=False)} was rejected.",
        f"Serial number {card(chance, right=False)}.",
        f"There are {chance.randrange(10000, 99999)} units in stock.",
        "Please test the device according to ISO 9001:2015.",
    )
    return chance.choice(german if language == "de" else english)


_KINDS = {
    "full": "PERSON",
    "given": "PERSON",
    "pension": "SOCIAL_SECURITY",
    "plate": "LICENSE_PLATE",
    "ip": "IP_ADDRESS",
    "family": "PERSON",
    "second": "PERSON",
    "doctor": "PERSON",
    "phone": "PHONE",
    "mail": "EMAIL",
    "iban": "IBAN",
    "card": "CREDIT_CARD",
    "tax": "TAX_ID",
    "ssn": "SOCIAL_SECURITY",
    "birth": "DATE_OF_BIRTH",
    "street": "ADDRESS",
    "town": "ADDRESS",
}
"""What the marks in the templates are; `decoy` is nothing personal."""

_MARK = re.compile(r"\{(\w+)\}")
_GENRES = ("ticket", "letter", "contract", "report")


def _values(chance: random.Random, language: str, *, held_out: bool) -> dict[str, str]:
    given, families = HELD_OUT[language] if held_out else _KNOWN[language]
    family, first = chance.choice(families), chance.choice(given)
    place = f"{language} held out" if held_out else language
    return {
        "full": f"{first} {family}",
        "family": family,
        "given": first,
        "second": f"{chance.choice(given)} {chance.choice(families)}",
        "doctor": chance.choice(families),
        "phone": _held_out_phone(chance, language) if held_out else _phone(chance, language),
        "mail": _mail(chance, f"{first} {family}"),
        "iban": iban(chance),
        "wrong_iban": iban(chance, right=False),
        "card": card(chance),
        "wrong_card": card(chance, right=False),
        "tax": tax_id(chance),
        "pension": pension(chance),
        "ssn": _ssn(chance),
        "birth": _birth(chance, language, held_out=held_out),
        "street": chance.choice(_STREETS[place]),
        "town": chance.choice(TOWNS[place]),
        "plate": _plate(chance),
        "ip": _ip(chance),
        "decoy": _decoy(chance, language),
    }


def _written(template: str, values: Mapping[str, str]) -> tuple[str, list[tuple[str, int, int]]]:
    """The text of a template, and where its items are."""
    text, items, position = "", [], 0
    for mark in _MARK.finditer(template):
        text += template[position : mark.start()]
        value = values[mark[1]]
        if mark[1] in _KINDS:
            items.append((_KINDS[mark[1]], len(text), len(text) + len(value)))
        text += value
        position = mark.end()
    return text + template[position:], items


def _composed(chance: random.Random, language: str) -> Document:
    """A held-out document: an opening, three to seven sentences, a closing, each with values of its own."""
    body = chance.sample(SENTENCES[language], chance.randrange(2, 6)) + chance.sample(NOTHING[language], chance.randrange(1, 3))
    chance.shuffle(body)
    parts = [chance.choice(OPENINGS[language]), *body, chance.choice(CLOSINGS[language])]
    text, items = "", []
    for part in parts:
        written, found = _written(part, _values(chance, language, held_out=True))
        text += "\n" if text else ""
        items += [(kind, len(text) + begin, len(text) + end) for kind, begin, end in found]
        text += written
    return Document(text, tuple(items), language, "composed", held_out=True)


def corpus(count: int = 800, *, seed: int = 17) -> Iterator[Document]:
    """Labelled documents, half of them held out; the same ones for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        genre = _GENRES[number % len(_GENRES)]
        language = "de" if number // len(_GENRES) % 2 == 0 else "en"
        if number // (2 * len(_GENRES)) % 2 == 1:
            yield _composed(chance, language)
        else:
            text, items = _written(WRITTEN_BY[genre, language], _values(chance, language, held_out=False))
            yield Document(text, tuple(items), language, genre, held_out=False)
