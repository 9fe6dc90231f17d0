"""As many megabytes of an invented help desk's conversations as wanted, German and English, the same on every run.

Nobody's data: sentences are put together from parts written here, people are made up by faker from a seed. In a third of the
rows stand names, addresses, numbers and accounts; one row in twenty is an exact copy of an earlier one; some are untidy.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from faker import Faker

_PEOPLE = 4_000
_PERSONAL, _COPY, _UNTIDY = 0.33, 0.05, 0.1

_WORDS = {
    "de": {
        "thing": "die Heizung|der Zähler|das Portal|die Rechnung|der Vertrag|die Anlage|das Passwort|der Drucker|die Lieferung",
        "does": "reagiert nicht mehr|zeigt einen Fehler|wurde doppelt geliefert|ist seit gestern gesperrt|fehlt noch immer",
        "when": "seit Montag|nach dem letzten Update|seit dem Umzug|immer am Abend|seit der Wartung im Frühjahr",
        "step": "den Stecker ziehen|die Einstellungen öffnen|den Antrag neu stellen|das Formular hochladen|zehn Minuten warten",
    },
    "en": {
        "thing": "the heating|the meter|the portal|the invoice|the contract|the device|the password|the printer|the order",
        "does": "no longer responds|shows an error|was delivered twice|has been locked since yesterday|is still missing",
        "when": "since Monday|after the last update|since we moved|every evening|since the service in spring",
        "step": "pull the plug|open the settings|apply again|upload the form|wait for ten minutes",
    },
}
_ASKED = {
    "de": (
        "Guten Tag, {thing} {does}, und zwar {when}.",
        "Die Vorgangsnummer ist {number}.",
        "Ich habe schon versucht, {step} zu lassen, ohne Erfolg.",
        "Im Anhang steht der Wert {number}, erwartet hatte ich {other}.",
        "Können Sie mir sagen, wie lange das noch dauert?",
        "Beim letzten Mal half es, dass wir {step} konnten.",
    ),
    "en": (
        "Hello, {thing} {does}, and that {when}.",
        "The reference is {number}.",
        "I have already tried to {step}, without success.",
        "The attachment says {number} where I expected {other}.",
        "Can you tell me how much longer this will take?",
        "Last time it helped to {step}.",
    ),
}
_ANSWERED = {
    "de": (
        "Vielen Dank für Ihre Nachricht zum Vorgang {number}.",
        "Bitte lassen Sie uns zuerst {step}; danach prüfen wir {thing} noch einmal.",
        "Der Wert {other} ist richtig, {number} stammt aus der alten Abrechnung.",
        "Sollte es dabei bleiben, melden Sie sich mit dem Stichwort {number}.",
        "Ein Techniker kommt in den nächsten Tagen vorbei.",
    ),
    "en": (
        "Thank you for your message about case {number}.",
        "Please {step} first; after that we will check {thing} again.",
        "The value {other} is right, {number} comes from the old statement.",
        "If nothing changes, get in touch again and mention {number}.",
        "An engineer will come by within the next few days.",
    ),
}
_SIGNED = {
    "de": "\n\nMit freundlichen Grüßen\n{name}\n{address}\nTel. {phone}\n{email}",
    "en": "\n\nKind regards,\n{name}\n{address}\nTel. {phone}\n{email}",
}
_ACCOUNT = {"de": " Meine IBAN ist {iban}.", "en": " My IBAN is {iban}."}


def write_rows(path: Path, megabytes: int, *, seed: int = 17) -> int:
    """Write JSON lines of so many MB (10**6 bytes); returns their number."""
    chance = random.Random(seed)
    words = {language: {name: said.split("|") for name, said in table.items()} for language, table in _WORDS.items()}
    people = {language: _people(language) for language in words}
    written, count = 0, 0
    earlier: list[str] = []
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * 10**6:
            if earlier and chance.random() < _COPY:
                line = chance.choice(earlier)
            else:
                line = _row(chance, words, people)
                if len(earlier) < 10_000:
                    earlier.append(line)
                elif chance.random() < 0.01:
                    earlier[chance.randrange(len(earlier))] = line
            file.write(line)
            written += len(line.encode())
            count += 1
    return count


def _row(chance: random.Random, words: dict[str, dict[str, list[str]]], people: dict[str, list[dict[str, str]]]) -> str:
    language = "de" if chance.random() < 0.6 else "en"

    def text(sentences: tuple[str, ...], count: int) -> str:
        said = " ".join(chance.choice(sentences) for _ in range(count))
        picked = {name: chance.choice(table) for name, table in words[language].items()}
        return said.format(**picked, number=chance.randrange(1_000, 999_999), other=chance.randrange(10, 999))

    asked, answered = text(_ASKED[language], chance.choice((2, 3, 5, 9))), text(_ANSWERED[language], chance.choice((2, 3, 6)))
    if chance.random() < _PERSONAL:
        person = chance.choice(people[language])
        asked += (_ACCOUNT[language] if chance.random() < 0.3 else "").format(**person) + _SIGNED[language].format(**person)
    if chance.random() < _UNTIDY:
        asked = "  " + asked.replace(". ", ".  \r\n\r\n\r\n") + " \t"
    return json.dumps({"prompt": asked, "completion": answered, "case": chance.randrange(10**6)}, ensure_ascii=False) + "\n"


def _people(language: str) -> list[dict[str, str]]:
    fake = Faker("de_DE" if language == "de" else "en_GB")
    fake.seed_instance(4711)
    kinds = {"name": fake.name, "address": fake.address, "phone": fake.phone_number, "email": fake.email, "iban": fake.iban}
    return [{name: made() for name, made in kinds.items()} for _ in range(_PEOPLE)]
