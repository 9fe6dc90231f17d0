"""What has a form: user names in web addresses, nets, plates, accounts, dates of birth; and what only has the same form."""

from __future__ import annotations

import pytest

from finetune_api.v1alpha1.anonymize import ENTITIES
from finetune_trainer.data.anonymize import leftovers
from finetune_trainer.data.anonymize.detect import FirstPass
from finetune_trainer.data.anonymize.districts import AMERICAN_STATES, BRITISH_AREAS, GERMAN_DISTRICTS
from finetune_trainer.data.anonymize.surrogates import Replacement

FIND = FirstPass([kind for kind in ENTITIES if kind != "ORGANIZATION"], ("de", "en"), {})


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.begin : one.end]) for one in FIND(text)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://www.linkedin.com/in/kirsten-siebenhuener-1a2b/", "kirsten-siebenhuener-1a2b"),
        ("https://de.linkedin.com/in/kirsten.s", "kirsten.s"),
        ("https://forum.firma.de/users/annaschm", "annaschm"),
        ("https://git.firma.de/user/annaschm/repo", "annaschm"),
        ("https://firma.de/app/profile=annaschm", "annaschm"),
        ("https://old.reddit.com/u/annaschm", "annaschm"),
        ("https://www.uni-nord.de/~annaschm/index.html", "annaschm"),
        ("https://social.firma.de/@annaschm", "annaschm"),
        ("https://anna.weber:geheim123@git.firma.de/repo.git", "anna.weber:geheim123"),
        ("postgres://anna:geheim@db.firma.de:5432/kunden", "anna:geheim"),
    ],
)
def test_users_in_web_addresses_are_found(text: str, name: str) -> None:
    assert found(text) == [("URL", name)]


@pytest.mark.parametrize(
    "text",
    [
        "https://www.firma.de/info und https://www.firma.de/unternehmen",
        "https://docs.python.org/3/using/index.html",
        "https://firma.de/user-guide/intro, https://firma.de/usr/local, https://firma.de/in-stock",
        "https://firma.de/about/us https://firma.de/support/index.html",
        "https://archive.example.org/debian/pool/main/u/util-linux/",
        "https://api.firma.de/users/list https://api.firma.de/users/search?q=1",
        "https://maps.firma.de/maps/@48.137,11.575,15z",
    ],
)
def test_words_that_begin_like_users_are_none(text: str) -> None:
    assert found(text) == []


def test_what_takes_the_place_of_a_password_is_no_address_for_the_second_pass() -> None:
    user = Replacement("surrogate", b"a key for these tests only")("URL", "anna.weber:geheim123", language="de")
    assert not leftovers(f"https://{user}@git.firma.de/repo.git")


@pytest.mark.parametrize(
    ("text", "kind", "item"),
    [
        ("Der Zugriff kam von 10.0.19.1 heute", "IP_ADDRESS", "10.0.19.1"),
        ("DNS: 8.8.4.4", "IP_ADDRESS", "8.8.4.4"),
        ("1.2.3.4:8080 antwortet nicht", "IP_ADDRESS", "1.2.3.4"),
        ("HH-AB 1234.", "LICENSE_PLATE", "HH-AB 1234"),
        ("DIN-AB 12", "LICENSE_PLATE", "DIN-AB 12"),
        ("GÖ-A 5E", "LICENSE_PLATE", "GÖ-A 5E"),
        ("anna@217.89.81.34", "EMAIL", "anna@217.89.81.34"),
        ("an info@xn--mller-kva.xn--p1ai bitte", "EMAIL", "info@xn--mller-kva.xn--p1ai"),
        ("Mobil +4915112345678", "PHONE", "+4915112345678"),
    ],
)
def test_items_with_a_form_are_found(text: str, kind: str, item: str) -> None:
    assert found(text) == [(kind, item)]


@pytest.mark.parametrize(
    "text",
    [
        "Version: 10.0.19.1 ist installiert",
        "Firmware-Version: 1.2.3.4, Treiber 31.0.15.3",
        "Siehe Abschnitt 4.2.1.3 und Kapitel 3.1.2.14",
        "See chapter 3.2.1.4; OID 1.3.6.1",
        "6.2.4.13. Die Konfiguration von Postfix\nText",
        "Ein USB-C 3.2 Kabel und PCI-E 4.0 Slot, HDMI-A 2",
        "LED-TV 55 Zoll, Papier DIN-A 4, BD-R 25 GB, CD-R 700 MB",
        "nach DIN-EN 1090 geprüft, EU-VO 2016/679",
        "USB-C 3, PCI-E 4 und der KV-SS 25",
        "M-AB 12 GB, K-A 3,5 kg",
        "npm install lodash@4.17.21 und react@18.20.10, torch@2.11",
        "multi-user.target @47.820s",
        "** 12.03.1985 ** und **12.03.1985**",
        "* 12.03.2024 Besprechung\n* 13.03.2024 Abnahme",
    ],
)
def test_numbers_that_only_have_the_form_are_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Geb.-Dat.: 12.03.1985", "12.03.1985"),
        ("Geburtsdatum (TT.MM.JJJJ): 12.03.1985", "12.03.1985"),
        ("Geburtsdatum und -ort: 12.03.1985, Köln", "12.03.1985"),
        ("Geburtsdatum des Versicherten: 12.03.1985", "12.03.1985"),
        ("Geburtsdatum: **12.03.1985**", "12.03.1985"),
        ("geboren in Köln am 12.03.1985", "12.03.1985"),
        ("geboren am Dienstag, den 12.03.1985", "12.03.1985"),
        ("geb. 12. Jänner 1985", "12. Jänner 1985"),
        ("geboren am 12.März 1985", "12.März 1985"),
        ("wurde am 12.03.85 geboren", "12.03.85"),
        ("* 12. Februar 1985 in Bern", "12. Februar 1985"),
        ("born in Leeds on 12 March 1985", "12 March 1985"),
        ("born on Tuesday, March 12th, 1985", "March 12th, 1985"),
        ("born 12-Mar-1985", "12-Mar-1985"),
        ("DOB = 12/03/1985", "12/03/1985"),
        ("DOB: 1985/03/12", "1985/03/12"),
        ("dob=1985-03-12&lang=de", "1985-03-12"),
        ('{"geburtsdatum": "1985-03-12"}', "1985-03-12"),
        ('{"date_of_birth":"1985-03-12"}', "1985-03-12"),
        ("<geburtsdatum>1985-03-12</geburtsdatum>", "1985-03-12"),
    ],
)
def test_dates_of_birth_are_found_however_they_are_introduced(text: str, day: str) -> None:
    assert ("DATE_OF_BIRTH", day) in found(text)


@pytest.mark.parametrize("text", ["Das ergeb 12.03.1985", "Wir geben 12.03.1985 an", "reborn, 12 March 1985 was cold"])
def test_dates_of_other_things_are_no_dates_of_birth(text: str) -> None:
    assert not [kind for kind, _ in found(text) if kind == "DATE_OF_BIRTH"]


@pytest.mark.parametrize(
    "account",
    [
        "DE89 3704 0044 0532 0130 00",
        "DE89  3704  0044  0532  0130  00",
        "DE89.3704.0044.0532.0130.00",
        "DE89/3704/0044/0532/0130/00",
        "DE89_3704_0044_0532_0130_00",
        "DE89-3704-0044-0532-0130-00",
        "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000",
        "DE89 3704 0044\n0532 0130 00",
        "De89 3704 0044 0532 0130 00",
        "de89370400440532013000",
        "DE 89 370 400 440 532 013 000",
        "GB82 WEST 1234 5698 7654 32",
    ],
)
def test_accounts_are_found_in_any_groups(account: str) -> None:
    assert found(f"Bitte auf {account} überweisen.") == [("IBAN", account)]


def test_an_account_is_found_behind_its_name_and_behind_another() -> None:
    german, austrian = "DE89370400440532013000", "AT61 1904 3002 3457 3201"
    assert found(f"IBAN{german}") == [("IBAN", german)]
    assert found(f"{austrian} {german} BIC COBADEFFXXX") == [("IBAN", austrian), ("IBAN", german)]
    assert found(f"{german}7") == []


def test_districts_areas_and_states_are_codes_in_capitals() -> None:
    assert (len(GERMAN_DISTRICTS), len(BRITISH_AREAS), len(AMERICAN_STATES)) == (727, 125, 59)
    for codes, longest in ((GERMAN_DISTRICTS, 3), (BRITISH_AREAS, 2), (AMERICAN_STATES, 2)):
        assert all(code.isupper() and 1 <= len(code) <= longest for code in codes)
    assert {"B", "HH", "KI", "FDS", "GÖ", "WÜM"} <= GERMAN_DISTRICTS
    assert not {"USB", "LED", "PCI", "BD", "CD"} & GERMAN_DISTRICTS
