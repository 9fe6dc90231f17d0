"""Strings that are made to be slow to look at, and how the time of each detector grows with them.

`detectors()` are the parts of which the first pass is made, and the second pass; `HOSTILE` are pieces that are repeated. Used
by `benchmarks/anonymize.py --hostile` and by tests/finetune_trainer/data/anonymize/test_hostile.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from finetune_api.v1alpha1.anonymize import ENTITIES
from finetune_trainer.data.anonymize import addresses, leftovers, names, numbers, tables
from finetune_trainer.data.anonymize.detect import FirstPass
from finetune_trainer.data.anonymize.phones import phones

HOSTILE = {
    "digits": "1234567890",
    "one digit": "7",
    "digits and blanks": "0 ",
    "digits and dots": "1.",
    "zeros in brackets": "(0",
    "accounts begun": "DE89 ",
    "accounts": "DE89 3704 0044 0532 0130 0",
    "cards": "4111 1111 1111 1112 ",
    "telephones": "0171 1234567 ",
    "dates": "01.02.1980 geboren ",
    "at signs": "@",
    "addresses begun": "a@",
    "addresses cut": "a.b@c.",
    "angle brackets": "A <a",
    "senders": "Anna Schmidt <a@b> ",
    "brackets nested": "((((",
    "brackets at": "[at] ",
    "dots": ".",
    "dots and hyphens": ".-",
    "colons": "1:",
    "capital words": "Anna ",
    "capital letters": "A",
    "capitals and hyphens": "A-",
    "capitals joined": "Ab-",
    "initials": "A. ",
    "particles": "von der ",
    "titles": "Frau ",
    "titles with names": "Frau Wrobel, ",
    "shouting": "HERR KRAUSE ",
    "greetings": "Hallo Anna, ",
    "closings": "Gruß\n",
    "closings and names": "Mit freundlichen Grüßen\nAnna Schmidt\n",
    "titles and nouns": "Herrn Wrobel Auskunft ",
    "titles above lines": "Herrn\nAnna Wrobel\n",
    "degrees": "Frau Dr. h.c. ",
    "labels": "Name: Anna ",
    "labels of nobody": "Name: Xyzqw ",
    "keys": '"name": "Xyzqw", ',
    "tags": "<name>Anna ",
    "headers": "An: Wrobel, Anna; ",
    "header lines": "An: Wrobel, Anna; Krause, X\n",
    "roles": "der Zeuge Anna ",
    "births": "geb. ",
    "births somewhere": "geboren in Aa ",
    "streets": "Straße ",
    "streets and numbers": "Am Bach 4 ",
    "numbers and ways": "12 Long Hill ",
    "towns": "12345 Berlin ",
    "codes": "1234 A",
    "fields": "plz: 86925, ort: Aa ",
    "web addresses": "://a/",
    "web paths": "https://a/b/c/",
    "passwords": "://a:b",
    "tables": "Name|Mail\nAnna|a\n",
    "table headings": "Name|Mail\n",
    "cells": "Name|",
    "births in tables": "Geburtsdatum|Ort\n01.02.1980|X\n",
    "no-break blanks": "Anna\u00a0Wrobel\u202f",
    "names of names": "Anna Schmidt Wrobel Krause ",
    "companies": "A & ",
    "blanks": " ",
    "line ends": "\n",
    "invisible": "a\u200b",
    "marks over letters": "a\u0301",
    "versions": "version 1.2.3.4 ",
    "plates": "Kennzeichen A-B ",
}
"""What is repeated, by what it is."""

_REGIONS = ("DE", "AT", "CH", "US", "GB")


def detectors() -> dict[str, Callable[[str], Iterable[object]]]:
    """Everything that looks at a text."""
    whole = FirstPass(ENTITIES, ("de", "en"), {"CUSTOMER": r"KD-\d{6,8}"})
    return {
        "emails": numbers.emails,
        "urls": numbers.urls,
        "nets": numbers.nets,
        "births": numbers.births,
        "plates": numbers.plates,
        "accounts": numbers.accounts,
        "cards": numbers.cards,
        "offices": numbers.offices,
        "phones": lambda text: phones(text, _REGIONS),
        "addresses": addresses.addresses,
        "people": names.people,
        "organisations": names.organisations,
        "columns": tables.names_in_columns,
        "first pass": whole,
        "second pass": leftovers,
    }


def hostile(piece: str, length: int) -> str:
    """The piece, repeated to so many characters."""
    return (piece * (length // len(piece) + 1))[:length]


def seconds(detector: Callable[[str], Iterable[object]], text: str) -> float:
    """CPU-seconds of looking at a text once."""
    begun = time.process_time()
    for _ in detector(text):
        pass
    return time.process_time() - begun


def growth(lengths: tuple[int, ...], names: Iterable[str] = ()) -> Iterator[tuple[str, str, list[float]]]:
    """For each detector the string that is slowest at the greatest length: detector, string, seconds at each length."""
    wanted = set(names)
    for name, detector in detectors().items():
        if wanted and name not in wanted:
            continue
        seconds(detector, "Anna Schmidt, Tel. 0171 2345678")  # lists and metadata are read when they are first needed
        slowest = max(HOSTILE, key=lambda what: seconds(detector, hostile(HOSTILE[what], lengths[0])))
        yield name, slowest, [min(seconds(detector, hostile(HOSTILE[slowest], n)) for _ in range(2)) for n in lengths]
