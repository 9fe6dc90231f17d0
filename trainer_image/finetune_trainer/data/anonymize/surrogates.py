"""What takes the place of a personal item.

A surrogate is chosen by a keyed hash of the item (HMAC-SHA-256) in its normal form, so the same person gets the same invented
name everywhere in the dataset, however it is written and in whatever language, on every machine and in every run with the same
key, and no table of who became whom exists that could be lost. It is laid out as the item was found.
Nothing invented can be real: telephone numbers come from the ranges that Bundesnetzagentur, Ofcom and NANPA keep for films or
begin with zeros, addresses of the net from those for documentation (RFC 2606, 5737, 3849), postal codes from those that nobody
has, and every number with check digits gets wrong ones.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import cache
from importlib import import_module

from stdnum import iban
from stdnum.de import vat as german_vat
from stdnum.eu import vat as european_vat

from finetune_trainer.data.anonymize.invented_dates import birth, day_of
from finetune_trainer.data.anonymize.invented_phones import own_digits, phone
from finetune_trainer.data.anonymize.known_names import known_given, known_surnames
from finetune_trainer.data.anonymize.letters import plain_case
from finetune_trainer.data.anonymize.normal_forms import folded, normal
from finetune_trainer.data.anonymize.numbers import insured_number_is_valid
from finetune_trainer.data.anonymize.words import given_names, surnames, towns

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
_CODE = re.compile(r"((?:[A-Z]{1,2}-[ ]?)?)(\d{4,5})(-\d{4}\Z)?(?:[ ](.+))?\Z", re.DOTALL)
"""A postal code, with its town or alone."""
_PASSWORD_HIDDEN = ":***"
"""Behind a user name, and no letter before the @: the second pass would see an e-mail address."""
_GERMAN_SPELLING = re.compile(
    r"[aou]e|sch|tz|ck|(?:mann|ke|ow|itz|stein|berg|berger|burg|bach|bauer|hardt|wald|feld|haus|hof|meier|mayer|maier|meyer|eder|inger)\Z"
)
_ENGLISH_OWNER = re.compile(r"['’]s\Z")


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
            language: de or en: of the text. It only tells how to read what is read in two ways: 03/12/1985, a telephone
                number without a country, a place without a number.
        """
        match self._strategy:
            case "mask":
                return f"[{kind}]"
            case "redact":
                return ""
            case "hash":
                return f"[{kind}:{self._hashed(kind, _same(kind, item, language)) % 16**10:010x}]"
            case _:
                return self._surrogate(kind, item, language)

    def _surrogate(self, kind: str, item: str, language: str) -> str:
        match kind:
            case "PERSON":
                return self._person(item)
            case "EMAIL":
                return self._mail(item)
            case "PHONE":
                return phone(item, lambda digits: self._hashed(kind, digits), language=language)
            case "ADDRESS":
                return self._address(item, language)
            case "DATE_OF_BIRTH":
                return birth(item, lambda day: self._hashed(kind, day), language=language)
            case "IP_ADDRESS":
                number = self._number(kind, item)
                return f"2001:db8::{number % 65536:x}" if ":" in item else f"203.0.113.{1 + number % 254}"
            case "MAC_ADDRESS":
                digits = f"{self._number(kind, item) % 16**8:08x}"
                sep = item[2]
                return sep.join(["02", "00", *(digits[i : i + 2] for i in range(0, 8, 2))])
            case "URL":
                name, _, password = item.partition(":")
                return f"user{self._number(kind, name) % 100000:05d}{_PASSWORD_HIDDEN if password else ''}"
            case "ORGANIZATION":
                form = item.rsplit(" ", 1)[-1]
                return f"{_COMPANIES[self._number(kind, item) % len(_COMPANIES)]} {form}"
            case _:
                return self._digits(kind, item)

    def _number(self, kind: str, item: str) -> int:
        """A large number that only the key and the item decide, however the item is written."""
        return self._hashed(kind, normal(kind, item))

    def _hashed(self, kind: str, text: str) -> int:
        message = f"{kind}\x00{text}".encode(errors="surrogatepass")
        return int.from_bytes(hmac.new(self._key, message, hashlib.sha256).digest()[:16], "big")

    def _person(self, item: str) -> str:
        """Word by word: so a surname alone becomes the surname of the whole invented name."""
        words = item.split(" ")
        return " ".join(self._name(word, is_last=place == len(words) - 1) for place, word in enumerate(words))

    def _name(self, word: str, *, is_last: bool) -> str:
        bare = word.rstrip(",;")
        if bare != word:  # Weber, Hans
            return self._name(bare, is_last=True) + word[len(bare) :]
        if word.isupper() and len(word) > 2:
            return self._name(plain_case(word), is_last=is_last).upper()
        if word.islower():  # von, de
            return word
        if owner := _ENGLISH_OWNER.search(word):
            return self._name(word[: owner.start()], is_last=is_last) + owner.group()
        word = _without_genitive(word)
        number = self._number("PERSON", word)
        if len(word) == 2 and word.endswith("."):
            return f"{chr(ord('A') + number % 26)}."
        given = word.split("-")[0]
        gender = given_names().get(given) or ("x" if given in known_given() - known_surnames() else None)
        if gender and not (is_last and _is_surname(word, of=given)):
            choices = _given_of(_countries_of(given), gender)
        else:
            choices = surnames()[_language_of(folded(word))]
        chosen = choices[number % len(choices)]
        return chosen if folded(chosen) != folded(word) else choices[(number + 1) % len(choices)]

    def _mail(self, item: str) -> str:
        number = self._number("EMAIL", item)
        language = "de" if normal("EMAIL", item).endswith((".de", ".at", ".ch")) else "en"
        given = _given_of(language, "x")
        first, last = given[number % len(given)], surnames()[language][number // 7919 % len(surnames()[language])]
        local = re.sub(r"[^a-z]", "", folded(first)) + "." + re.sub(r"[^a-z]", "", folded(last))
        return f"{local}{number % 90 + 10}@{_MAIL_HOSTS[number // 3 % 3]}"

    def _address(self, item: str, language: str) -> str:
        number = self._number("ADDRESS", item)
        if not _DIGIT.search(item):
            return self._town(item, "de" if item in towns() else language)
        if found := _CODE.match(item):
            country, code, more, name = found.groups()
            invented = "00" + f"{self._number('ADDRESS', code) % 1000:03d}"[-(len(code) - 2) :]
            return f"{country}{invented}{'-0000' if more else ''}{' ' + self._town(name, 'de') if name else ''}"
        if item.startswith(("P", "p")) and (box := re.match(r"(?i:postfach|p\.?[ ]?o\.?[ ]?box)", item)):
            return f"{box.group()} 00{number % 1000:03d}"
        if re.search(r"\d{5}(?:-\d{4})?$", item) or re.search(r"\d[A-Z]{2}$", item):
            return f"{_TOWNS['en'][number % len(_TOWNS['en'])]}, ZZ 00{number // 1000 % 1000:03d}"
        if item[:1].isdigit():
            return f"{1 + number % 199} {_STREETS['en'][number // 199 % len(_STREETS['en'])]}"
        return f"{_STREETS['de'][number % len(_STREETS['de'])]} {1 + number // 100 % 199}"

    def _town(self, name: str, language: str) -> str:
        return _TOWNS[language][self._number("ADDRESS", name) // 1000 % len(_TOWNS[language])]

    def _digits(self, kind: str, item: str) -> str:
        """The same shape with other digits; where there is a check they fail it: 000 begins no SSN."""
        stream = f"{self._number(kind, item):039d}"[::-1]
        count = len(_DIGIT.findall(item))
        digits = (stream + "7" * count)[:count]
        match kind:
            case "IBAN":
                # 00 is never given out, yet counts like 97 in the check.
                invented = _laid_out(item, "00" + digits[2:])
                compact = re.sub(r"[\W_]", "", invented).upper()
                return _laid_out(item, "01" + digits[2:]) if iban.is_valid(compact) else invented
            case "CREDIT_CARD":
                return _laid_out(item, "9999" + digits[4:])  # no issuer begins so
            case "SOCIAL_SECURITY" if item[:1].isdigit():
                return _laid_out(item, "000" + digits[3:])
            case "SOCIAL_SECURITY" if item[:1].isalpha() and count == 9:
                found = _laid_out(item, digits)
                return found[:-1] + str((int(found[-1]) + 1) % 10) if insured_number_is_valid(found) else found
            case "SOCIAL_SECURITY" if item[:2].isalpha():
                return "QQ" + _laid_out(item, digits)[2:]  # kept for examples
            case "TAX_ID":
                return _laid_out(item, "0" + digits[1:])  # no identification number begins so
            case "VAT_ID":
                return _laid_out(item, _no_vat_number(item, "0" + digits[1:]))
            case "LICENSE_PLATE":
                return re.sub(r"^[A-ZÄÖÜ]{1,3}", "XX", _laid_out(item, digits))
            case _:
                return _laid_out(item, digits)


def _same(kind: str, item: str, language: str) -> str:
    """The normal form of an item of any kind."""
    match kind:
        case "PERSON":
            return normal(kind, " ".join(map(_without_genitive, item.split())))
        case "PHONE":
            return own_digits(item, language=language)
        case "DATE_OF_BIRTH":
            return day_of(item, language=language)
        case _:
            return normal(kind, item)


def _laid_out(item: str, digits: str) -> str:
    """The item with other digits, as many as it has, between the same letters and signs."""
    following = iter(digits)
    return _DIGIT.sub(lambda _: next(following), item)


def _no_vat_number(item: str, digits: str) -> str:
    """Digits with which the item is no VAT number."""
    for step in (*range(10), *range(1_000, 100_000, 1_000)):  # of some countries the last digits do not count
        tried = digits[0] + f"{int(digits) + step:0{len(digits)}d}"[-len(digits) + 1 :]
        number = _laid_out(item, tried)
        if not (german_vat.is_valid(number) if number.startswith("DE") else european_vat.is_valid(number)):
            return tried
    return digits


def _without_genitive(word: str) -> str:
    """Müllers is Müller, Hans is Hans."""
    base = word[:-1]
    if len(base) < 4 or not word.endswith("s") or word in known_surnames() or word in known_given():
        return word
    return base if base in known_surnames() or base in known_given() else word


def _language_of(surname: str) -> str:
    """The language of a surname: by the lists, else by its spelling. Never by the text it stands in, where it may stand too."""
    if surname in _folded_surnames("de"):
        return "de"
    return "de" if surname not in _folded_surnames("en") and _GERMAN_SPELLING.search(surname) else "en"


def _countries_of(given: str) -> str:
    """In which lists a given name stands: de, en or both; names of other countries become names that stand in both."""
    german, american = given in _all_given("de"), given in _all_given("en")
    return "both" if german == american else "de" if german else "en"


def _is_surname(word: str, *, of: str) -> bool:
    """Whether a given name is a surname, too, where it is used."""
    return folded(word) in _folded_surnames("en" if _countries_of(of) == "en" else "de")


@cache
def _given_lists(language: str) -> tuple[frozenset[str], frozenset[str]]:
    """Female and male given names."""
    from faker.providers.person.de_DE import Provider as German
    from faker.providers.person.en_US import Provider as American

    lists = German if language == "de" else American
    return frozenset(lists.first_names_female), frozenset(lists.first_names_male)


@cache
def _all_given(language: str) -> frozenset[str]:
    female, male = _given_lists(language)
    return female | male


@cache
def _given_of(countries: str, gender: str) -> tuple[str, ...]:
    """Given names to invent from. Countries: de, en, or both for names that stand in the lists of both; gender x: any."""
    female, male = _given_lists("de" if countries == "both" else countries)
    if countries == "both":
        american_female, american_male = _given_lists("en")
        female, male = female & american_female, male & american_male
    names = {"f": female - male, "m": male - female}.get(gender, female | male)
    return tuple(sorted(name for name in names if name.isalpha()))


@cache
def _folded_surnames(language: str) -> frozenset[str]:
    """Surnames of the countries that speak it, more than are invented."""
    locales = ("de_DE", "de_AT", "de_CH") if language == "de" else ("en_US", "en_GB")
    providers = [import_module(f"faker.providers.person.{locale}").Provider for locale in locales]
    return frozenset(folded(name) for provider in providers for name in provider.last_names)
