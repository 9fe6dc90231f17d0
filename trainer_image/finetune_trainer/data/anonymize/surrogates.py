"""What takes the place of a personal item.

A surrogate is chosen by a keyed hash of the item (HMAC-SHA-256), so the same person gets the same invented name everywhere in
the dataset, on every machine and in every run with the same key, and no table of who became whom exists that could be lost.
Nothing invented can be real: telephone numbers come from the ranges that Bundesnetzagentur, Ofcom and NANPA keep for films,
addresses of the net from those for documentation (RFC 2606, 5737, 3849), postal codes from those that nobody has, and every
number with check digits gets wrong ones.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import date, timedelta
from functools import cache

from stdnum import iban

from finetune_trainer.data.anonymize.known_names import known_given, known_surnames
from finetune_trainer.data.anonymize.letters import plain_case
from finetune_trainer.data.anonymize.numbers import insured_number_is_valid
from finetune_trainer.data.anonymize.words import given_names, surnames

_MAIL_HOSTS = ("example.com", "example.org", "example.net")
_STREETS = {
    "de": (
        "Musterweg",
        "Beispielallee",
        "Probestraße",
        "Vorlagenweg",
        "Mustergasse",
        "Beispielring",
        "Probeplatz",
        "Modellweg",
    ),
    "en": ("Sample Street", "Example Road", "Specimen Lane", "Pattern Avenue", "Model Drive", "Trial Court"),
}
_TOWNS = {
    "de": ("Musterstadt", "Beispielheim", "Probstedt", "Vorlagen", "Modellingen", "Musterhausen"),
    "en": ("Sampleton", "Exampleville", "Specimen Falls", "Patternbury", "Modelham"),
}
_COMPANIES = ("Muster", "Beispiel", "Nordlicht", "Sample", "Example", "Pattern", "Specimen")
_DIGIT = re.compile(r"\d")
_FILM_PHONES = {"30": "23125", "40": "66969", "69": "90009", "221": "4710", "89": "99998"}


class Replacement:
    """Writes what takes the place of an item.

    Args:
        strategy: surrogate, mask, redact or hash.
        key: of the keyed hash, at least 16 bytes.
    """

    def __init__(self, strategy: str, key: bytes) -> None:
        self._strategy, self._key = strategy, key

    def __call__(self, kind: str, item: str, *, language: str) -> str:
        """The replacement.

        Args:
            kind: of the item.
            item: as it stands in the text.
            language: de or en: of the text, so that an invented name belongs there.
        """
        match self._strategy:
            case "mask":
                return f"[{kind}]"
            case "redact":
                return ""
            case "hash":
                return f"[{kind}:{self._number(kind, item) % 16**10:010x}]"
            case _:
                return self._surrogate(kind, item, language)

    def _surrogate(self, kind: str, item: str, language: str) -> str:
        match kind:
            case "PERSON":
                return self._person(item, language)
            case "EMAIL":
                return self._mail(item, language)
            case "PHONE":
                return self._phone(item)
            case "ADDRESS":
                return self._address(item, language)
            case "DATE_OF_BIRTH":
                return self._birth(item)
            case "IP_ADDRESS":
                number = self._number(kind, item)
                return f"2001:db8::{number % 65536:x}" if ":" in item else f"203.0.113.{1 + number % 254}"
            case "MAC_ADDRESS":
                digits = f"{self._number(kind, item) % 16**8:08x}"
                sep = item[2]
                return sep.join(["02", "00", *(digits[i : i + 2] for i in range(0, 8, 2))])
            case "URL":
                return f"user{self._number(kind, item) % 100000:05d}"
            case "ORGANIZATION":
                form = item.rsplit(" ", 1)[-1]
                return f"{_COMPANIES[self._number(kind, item) % len(_COMPANIES)]} {form}"
            case _:
                return self._digits(kind, item)

    def _number(self, kind: str, item: str) -> int:
        """A large number that only the key and the item decide."""
        text = f"{kind}\x00{' '.join(item.split()).casefold()}".encode()
        return int.from_bytes(hmac.new(self._key, text, hashlib.sha256).digest()[:16], "big")

    def _person(self, item: str, language: str) -> str:
        """Word by word: so a surname alone becomes the surname of the whole invented name."""
        words = item.split(" ")
        return " ".join(self._name(word, language, is_last=place == len(words) - 1) for place, word in enumerate(words))

    def _name(self, word: str, language: str, *, is_last: bool) -> str:
        bare = word.rstrip(",;")
        if bare != word:  # Weber, Hans
            return self._name(bare, language, is_last=True) + word[len(bare) :]
        if word.isupper() and len(word) > 2:
            return self._name(plain_case(word), language, is_last=is_last).upper()
        if word.islower():  # von, de
            return word
        number = self._number("PERSON", word)
        given = word.split("-")[0]
        gender = given_names().get(given) or ("x" if given in known_given() - known_surnames() else None)
        if len(word) == 2 and word.endswith("."):
            return f"{chr(ord('A') + number % 26)}."
        if (gender and not is_last) or (gender and word not in _surnames_of(language)):
            choices = _given_of(language, gender)
        else:
            choices = surnames()[language]
        chosen = choices[number % len(choices)]
        return chosen if chosen != word else choices[(number + 1) % len(choices)]

    def _mail(self, item: str, language: str) -> str:
        number = self._number("EMAIL", re.sub(r"\s", "", item))
        given = _given_of(language, "x")
        first, last = given[number % len(given)], surnames()[language][number // 7919 % len(surnames()[language])]
        local = re.sub(r"[^a-z]", "", _plain(first)) + "." + re.sub(r"[^a-z]", "", _plain(last))
        return f"{local}{number % 90 + 10}@{_MAIL_HOSTS[number // 3 % 3]}"

    def _phone(self, item: str) -> str:
        number = self._number("PHONE", re.sub(r"\D", "", item))
        if item.lstrip().startswith(("+49", "0049", "0")) and not item.lstrip().startswith("001"):
            area, prefix = list(_FILM_PHONES.items())[number % len(_FILM_PHONES)]
            lead = "+49 " if item.startswith("+") else "0049 " if item.startswith("00") else "0"
            return f"{lead}{area} {prefix}{number // 7 % 1000:03d}"
        if item.lstrip().startswith(("+44", "0044")):
            return f"+44 20 7946 0{number % 1000:03d}"
        lead = "+1 " if item.lstrip().startswith(("+1", "001", "1")) else ""
        return f"{lead}({200 + number // 100 % 700}) 555-01{number % 100:02d}"

    def _address(self, item: str, language: str) -> str:
        number = self._number("ADDRESS", item)
        town = _TOWNS[language][number // 1000 % len(_TOWNS[language])]
        if not _DIGIT.search(item):
            return town
        if re.match(r"(?:[A-Z]{1,2}-[ ]?)?\d{5} ", item):
            return f"00{number % 1000:03d} {_TOWNS['de'][number // 1000 % len(_TOWNS['de'])]}"
        if re.match(r"(?:[A-Z]{1,2}-[ ]?)?\d{4} ", item):
            return f"00{number % 100:02d} {_TOWNS['de'][number // 1000 % len(_TOWNS['de'])]}"
        if item.startswith(("P", "p")) and (box := re.match(r"(?i:postfach|p\.?[ ]?o\.?[ ]?box)", item)):
            return f"{box.group()} 00{number % 1000:03d}"
        if re.search(r"\d{5}(?:-\d{4})?$", item) or re.search(r"\d[A-Z]{2}$", item):
            return f"{_TOWNS['en'][number % len(_TOWNS['en'])]}, ZZ 00{number // 1000 % 1000:03d}"
        if item[:1].isdigit():
            return f"{1 + number % 199} {_STREETS['en'][number // 199 % len(_STREETS['en'])]}"
        return f"{_STREETS['de'][number % len(_STREETS['de'])]} {1 + number // 100 % 199}"

    def _birth(self, item: str) -> str:
        """Another day within two years, in the same form."""
        number = self._number("DATE_OF_BIRTH", item)
        shifted = date(2000, 1, 1) + timedelta(days=number % 365)
        parts = _DIGIT_RUNS.findall(item)
        year = next((part for part in parts if len(part) == 4), parts[-1])
        other = f"{int(year) + number // 365 % 5 - 2:0{len(year)}d}"[-len(year) :]
        days = iter((f"{shifted.day:02d}", f"{shifted.month:02d}"))
        return _DIGIT_RUNS.sub(lambda run: other if run.group() == year else next(days, "01"), item)

    def _digits(self, kind: str, item: str) -> str:
        """The same shape with other digits; where there is a check they fail it: 000 begins no SSN."""
        number = self._number(kind, item)
        stream = f"{number:039d}"[::-1]
        digits = iter(stream)
        found = _DIGIT.sub(lambda _: next(digits, "7"), item)
        match kind:
            case "IBAN":
                # 00 is never given out, yet counts like 97 in the check.
                invented = found[:2] + "00" + found[4:]
                return found[:2] + "01" + found[4:] if iban.is_valid(invented) else invented
            case "CREDIT_CARD":
                return "9999" + found[4:]  # no issuer begins so
            case "SOCIAL_SECURITY" if item[:3].isdigit():
                return "000" + found[3:]
            case "SOCIAL_SECURITY" if item[:1].isalpha() and len(re.findall(r"\d", item)) == 9:
                wrong = (int(found[-1]) + 1) % 10
                return found[:-1] + str(wrong) if insured_number_is_valid(found) else found
            case "SOCIAL_SECURITY" if item[:2].isalpha():
                return "QQ" + found[2:]  # kept for examples
            case "SOCIAL_SECURITY":
                return found
            case "TAX_ID":
                return "0" + found[1:]  # no identification number begins so
            case "VAT_ID":
                return re.sub(r"\d", "0", found, count=1)
            case "LICENSE_PLATE":
                return re.sub(r"^[A-ZÄÖÜ]{1,3}", "XX", found)
            case _:
                return found


_DIGIT_RUNS = re.compile(r"\d+")


@cache
def _given_of(language: str, gender: str) -> tuple[str, ...]:
    """Given names to invent from; x: any gender."""
    from faker.providers.person.de_DE import Provider as German
    from faker.providers.person.en_US import Provider as American

    lists = German if language == "de" else American
    female, male = set(lists.first_names_female), set(lists.first_names_male)
    names = {"f": female - male, "m": male - female}.get(gender, female | male)
    return tuple(sorted(name for name in names if name.isalpha()))


@cache
def _surnames_of(language: str) -> frozenset[str]:
    return frozenset(surnames()[language])


def _plain(name: str) -> str:
    table = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
    return name.lower().translate(table)
