"""The first pass: every detector, over the texts in which it could find anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from finetune_trainer.data.anonymize import addresses, names, numbers, tables
from finetune_trainer.data.anonymize.findings import Finding, without_overlaps
from finetune_trainer.data.anonymize.phones import phones

_REGIONS = {"de": ("DE", "AT", "CH"), "en": ("US", "GB")}
_DIGIT = re.compile(r"\d")
_SEVEN_DIGITS = re.compile(r"\d(?:[ ()/.+-]{0,3}\d){6}")
_CAPITAL = re.compile(r"[A-ZÄÖÜ]")
_BLANKS = "\u00a0\u2007\u2009\u202f"
"""No-break, as wide as a digit, thin, thin without a break: web pages and word processors write names and numbers with them."""


def with_plain_blanks(text: str) -> str:
    """The text with ordinary blanks instead, at the same places: no pattern has to know the others."""
    if not text.isascii():
        for blank in _BLANKS:
            text = text.replace(blank, " ")
    return text


class FirstPass:
    """Finds personal items.

    Args:
        entities: kinds that are looked for.
        languages: de, en or both.
        declared: patterns of the manifest, by the kind under which they are counted.
    """

    def __init__(self, entities: Sequence[str], languages: Sequence[str], declared: Mapping[str, str]) -> None:
        self._wanted = frozenset(entities)
        self._regions = tuple(region for language in languages for region in _REGIONS[language])
        self._declared = {kind: re.compile(pattern) for kind, pattern in declared.items()}

    def __call__(self, text: str, further: Sequence[Finding] = ()) -> list[Finding]:
        """What is found, without overlaps, in the order of the text.

        Args:
            further: what other detectors found in it.
        """
        text = with_plain_blanks(text)
        found: list[Finding] = [
            Finding(kind, match.start(), match.end(), 4)
            for kind, pattern in self._declared.items()
            for match in pattern.finditer(text)
            if match.end() > match.start()
        ]
        found += numbers.emails(text)
        found += numbers.urls(text)
        if ":" in text or "-" in text or ("." in text and _DIGIT.search(text)):
            found += numbers.nets(text)
        if _DIGIT.search(text):
            found += numbers.births(text)
            found += tables.births_in_columns(text)
            found += numbers.plates(text)
            found += addresses.addresses(text)
            if numbers.SIX_DIGITS.search(text):
                found += numbers.accounts(text)
                found += numbers.cards(text)
                found += numbers.offices(text)
                if _SEVEN_DIGITS.search(text):
                    found += phones(text, self._regions)
        if _CAPITAL.search(text):
            found += names.people(text)
            if "ORGANIZATION" in self._wanted:
                found += names.organisations(text)
        found += further
        if people := {text[one.begin : one.end] for one in further if one.kind == "PERSON"}:
            found += names.mentioned_again(text, people)
        declared = self._declared
        return without_overlaps(one for one in found if one.kind in self._wanted or one.kind in declared)
