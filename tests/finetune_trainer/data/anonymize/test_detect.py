"""What is found and, as important, what is not: numbers with wrong check digits, versions, dates, products."""

from __future__ import annotations

import pytest

from finetune_api.v1alpha1.anonymize import ENTITIES
from finetune_trainer.data.anonymize.detect import FirstPass

FIND = FirstPass([kind for kind in ENTITIES if kind != "ORGANIZATION"], ("de", "en"), {})


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.begin : one.end]) for one in FIND(text)]


@pytest.mark.parametrize(
    ("text", "kind", "item"),
    [
        ("Schreiben Sie an erika.mustermann@firma-nord.de bitte.", "EMAIL", "erika.mustermann@firma-nord.de"),
        ("write to jo (at) firma (dot) de please", "EMAIL", "jo (at) firma (dot) de"),
        ("IBAN: DE89 3704 0044 0532 0130 00, BIC folgt", "IBAN", "DE89 3704 0044 0532 0130 00"),
        ("GB82WEST12345698765432 is the account", "IBAN", "GB82WEST12345698765432"),
        ("Karte 4111 1111 1111 1111 gültig", "CREDIT_CARD", "4111 1111 1111 1111"),
        ("card 5500-0000-0000-0004 expired", "CREDIT_CARD", "5500-0000-0000-0004"),
        ("Steuer-ID 86 095 742 719", "TAX_ID", "86 095 742 719"),
        ("Steuernummer: 181/815/08155", "TAX_ID", "181/815/08155"),
        ("RV-Nummer 65 170839 J 003", "SOCIAL_SECURITY", "65 170839 J 003"),
        ("gesetzlich versichert, A123456780", "SOCIAL_SECURITY", "A123456780"),
        ("KVNR: A 123 456 789", "SOCIAL_SECURITY", "A 123 456 789"),
        ("SSN 536-90-4399 on file", "SOCIAL_SECURITY", "536-90-4399"),
        ("USt-IdNr. DE136695976", "VAT_ID", "DE136695976"),
        ("Kennzeichen: HH-AB 1234", "LICENSE_PLATE", "HH-AB 1234"),
        ("from 84.12.33.7 today", "IP_ADDRESS", "84.12.33.7"),
        ("address 2003:e8:2f1a:4b00:1c2d:3e4f:5a6b:7c8d is blocked", "IP_ADDRESS", "2003:e8:2f1a:4b00:1c2d:3e4f:5a6b:7c8d"),
        ("MAC 00:1A:2b:3C:4d:5E", "MAC_ADDRESS", "00:1A:2b:3C:4d:5E"),
        ("see https://forum.firma.de/users/annaschm", "URL", "annaschm"),
        ("Rufen Sie 030 1234567 an", "PHONE", "030 1234567"),
        ("mobil +49 171 2345678", "PHONE", "+49 171 2345678"),
        ("call (212) 555-2368 now", "PHONE", "(212) 555-2368"),
        ("wohnt in der Gartenstraße 12a", "ADDRESS", "Gartenstraße 12a"),
        ("in 10115 Berlin.", "ADDRESS", "10115 Berlin"),
        ("lives at 221 Baker Street", "ADDRESS", "221 Baker Street"),
        ("Springfield, IL 62704", "ADDRESS", "Springfield, IL 62704"),
        ("geb. 07.06.1949 in Köln", "DATE_OF_BIRTH", "07.06.1949"),
        ("born on March 3, 1980", "DATE_OF_BIRTH", "March 3, 1980"),
        ("Sehr geehrte Frau Dr. Kniephoff-Sahl,", "PERSON", "Kniephoff-Sahl"),
        ("mein Name ist Zdenka Wrobel", "PERSON", "Zdenka Wrobel"),
        ("Mit freundlichen Grüßen\nQuirin Aßmann", "PERSON", "Quirin Aßmann"),
        ("Kind regards,\nOonagh McTavish", "PERSON", "Oonagh McTavish"),
        ("Patient: Thorvald Eik", "PERSON", "Thorvald Eik"),
        ("Dear Ms. O'Hanlon,", "PERSON", "O'Hanlon"),
        ("das hat Anna Schmidt bestellt", "PERSON", "Anna Schmidt"),
    ],
)
def test_items_are_found_whole(text: str, kind: str, item: str) -> None:
    assert found(text) == [(kind, item)]


@pytest.mark.parametrize(
    "text",
    [
        "IBAN DE89 3704 0044 0532 0130 01",  # check digits
        "Bestellnummer 4111 1111 1111 1112",
        "Steuer-ID 86 095 742 710",
        "Typ A123456789 der Pumpe",
        "Version 10.2.3.4 ist da",
        "Artikel 4711-0815, Charge 20230117-44",
        "am 07.06.1949 gegründet",
        "12345 Stück auf Lager",
        "The quick brown fox jumps over the lazy dog.",
        "Der Drucker und die Anleitung liegen im Lager bei der Montage.",
        "ISO 9001:2015, DIN EN 60601-1",
        "1 000 000 Euro und 25.000,00 EUR",
        "def f(x): return x @ y",
        "Dear Sir or Madam, dear Team,",
    ],
)
def test_what_only_looks_like_an_item_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_who_was_introduced_is_found_again_without_a_cue() -> None:
    text = "Sehr geehrte Frau Wrobel, ich habe notiert, dass Wrobel umzieht. Wrobels Vertrag endet."
    assert [item for _, item in found(text)] == ["Wrobel", "Wrobel", "Wrobel"]


def test_telephones_are_found_behind_any_number_of_other_numbers() -> None:
    text = "\n".join(f"{number}  17.4  2.25" for number in range(3_000)) + "\nRückruf 0171 2345678"
    assert found(text) == [("PHONE", "0171 2345678")]


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("Nachname | Vorname | Geburtsdatum\nHrdlicka | Bogumil | 12.03.1985", ["12.03.1985"]),
        ("Name;Geb.-Datum;Ort\nHrdlicka, Bogumil;3.1.85;Ulm\nWeber, Anna;;Ulm\nX, Y;1970-02-01;Ulm", ["3.1.85", "1970-02-01"]),
        ("| Kunde | Date of birth |\n|---|---|\n| 4711 | 3 March 1980 |", ["3 March 1980"]),
        ("Datum;Name;Geburtsort\n12.03.1985;Hrdlicka;Ulm", []),
        ("Name;Geburtsdatum\nEnde.\n12.03.1985;Hrdlicka", []),
    ],
)
def test_dates_below_a_heading_of_births_are_found(text: str, dates: list[str]) -> None:
    assert [item for kind, item in found(text) if kind == "DATE_OF_BIRTH"] == dates


def test_declared_patterns_come_before_all_others() -> None:
    find = FirstPass(["PHONE"], ("de",), {"CUSTOMER_NUMBER": r"030 \d{7}"})
    assert [one.kind for one in find("Kunde 030 1234567")] == ["CUSTOMER_NUMBER"]
