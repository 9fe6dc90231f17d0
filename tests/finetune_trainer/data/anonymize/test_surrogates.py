"""The same person, number and street become the same invented ones however they are written, in the form they stood in."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.eu import vat

from finetune_trainer.data.anonymize.invented_dates import birth
from finetune_trainer.data.anonymize.normal_forms import folded
from finetune_trainer.data.anonymize.numbers import pension_number_is_valid
from finetune_trainer.data.anonymize.second import leftovers
from finetune_trainer.data.anonymize.surrogates import Replacement

KEY = b"a key for these tests only"
OF = Replacement("surrogate", KEY)
HASH = Replacement("hash", KEY)
SAME = [
    ("PERSON", ["Müller", "Mueller", "MÜLLER", "Müllers", "Mu\u0308ller"]),
    ("IBAN", ["DE89 3704 0044 0532 0130 00", "DE89370400440532013000", "de89-3704-0044-0532-0130-00"]),
    ("CREDIT_CARD", ["4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111"]),
    ("TAX_ID", ["86 095 742 719", "86095742719"]),
    ("SOCIAL_SECURITY", ["65 170839 J 003", "65170839J003"]),
    ("PHONE", ["+49 171 2345678", "0171 23 45 678", "0049 (0)171/2345678", "(0171) 2345678"]),
    ("PHONE", ["+43 664 1234567", "0043 664 / 123 45 67", "+43 (0)664 1234567"]),
    ("PHONE", ["+41 44 668 18 00", "044 668 18 00"]),
    ("PHONE", ["(212) 736-5000", "212.736.5000", "+1 212 736 5000", "1-212-736-5000"]),
    ("EMAIL", ["a.weber@firma.de", "A.Weber@Firma.de", "a.weber(at)firma.de", "a.weber [at] firma [dot] de"]),
    (
        "ADDRESS",
        ["Hauptstraße 12", "Hauptstr. 12", "Hauptstrasse 12", "HAUPTSTRASSE 12", "Haupt-Str. 12", "Hauptstraße Nr. 12"],
    ),
    ("ADDRESS", ["12 High Street", "12 High St.", "12 high street"]),
    ("MAC_ADDRESS", ["00:1A:2b:3C:4d:5E", "00-1a-2b-3c-4d-5e"]),
    ("IP_ADDRESS", ["2003:e8::1", "2003:00e8:0:0:0:0:0:1"]),
]


def bare(kind: str, item: str) -> str:
    """What is invented, without what is the writer's alone: the country's code, zeros before the area, signs."""
    text = re.sub(r"[\W_]", "", folded(item))
    return re.sub(r"^(?:0049|49|0043|43|0041|41|1(?=\d{10}))?", "", text).lstrip("0") if kind == "PHONE" else text


@pytest.mark.parametrize(("kind", "ways"), SAME)
@pytest.mark.parametrize("language", ["de", "en"])
def test_however_an_item_is_written_it_becomes_the_same_one(kind: str, ways: list[str], language: str) -> None:
    assert len({bare(kind, OF(kind, way, language=language)) for way in ways}) == 1, [
        OF(kind, way, language=language) for way in ways
    ]
    assert len({HASH(kind, way, language=language) for way in ways}) == 1


@pytest.mark.parametrize(
    "name", ["Weber", "Anna", "Thomas", "Hardin", "Wrobel", "Frank", "Anna Weber", "Weber, Anna", "James Miller"]
)
def test_a_name_becomes_the_same_name_in_texts_of_any_language(name: str) -> None:
    assert OF("PERSON", name, language="de") == OF("PERSON", name, language="en")


def test_a_name_keeps_its_parts_and_its_owner() -> None:
    first, last = OF("PERSON", "Anna Weber", language="de").split()
    assert OF("PERSON", "Weber, Anna", language="en") == f"{last}, {first}"
    assert OF("PERSON", "Weber", language="en") == last
    assert OF("PERSON", "Mary Weber's", language="en").split()[-1] == f"{last}'s"
    assert not leftovers(f"Frau {last} und Ms {last}'s car")


@pytest.mark.parametrize(
    ("item", "like"),
    [
        ("+43 (0)676 123 45 67", r"\+43 \(0\)000 \d{3} \d\d \d\d"),
        ("+41 44 668 18 00", r"\+41 00 0\d\d \d\d \d\d"),
        ("+48 22 123 45 67", r"\+48 00 0\d\d \d\d \d\d"),
        ("044 668 18 00", r"000 0\d\d \d\d \d\d"),
        ("(030) 1234567", r"\(0(?:69|40|89)\) \d{7}"),
        ("0171/2345678", r"0221/4710\d{3}"),
        ("0049 30 123-45-67", r"0049 (?:69|40|89) \d{3}-\d\d-\d\d"),
        ("+44 (0)20 7946 0018", r"\+44 \(0\)20 7946 0\d{3}"),
        ("+1 (646) 867-5309 ext. 44", r"\+1 \(\d{3}\) 555-01\d\d ext\. \d\d"),
        ("212.867.5309", r"\d{3}\.555\.01\d\d"),
    ],
)
def test_a_telephone_keeps_its_country_and_its_signs(item: str, like: str) -> None:
    assert re.fullmatch(like, OF("PHONE", item, language="de")), OF("PHONE", item, language="de")


@pytest.mark.parametrize("number", range(60))
def test_no_invented_telephone_is_one_that_somebody_has(number: int) -> None:
    replacement = Replacement("surrogate", f"key number {number:06d}".encode())
    for item in ("+49 171 2345678", "030 1234567", "0 53 21 / 12 34 56"):
        invented = phonenumbers.parse(replacement("PHONE", item, language="de"), "DE")
        assert str(invented.national_number).startswith(("3023125", "4066969", "6990009", "8999998", "2214710"))
    for item in ("+43 664 1234567", "+41 79 123 45 67", "+48 22 123 45 67", "+33 1 42 68 53 00", "+39 06 1234567"):
        assert not phonenumbers.is_valid_number(phonenumbers.parse(replacement("PHONE", item, language="de"), None))
    assert not leftovers(replacement("PHONE", "0171 2345678", language="de"))


FORMS = {
    "de": ["%d.%m.%Y", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%y", "%d-%m-%Y", "%d. %m. %Y"],
    "en": ["%m/%d/%Y", "%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d-%b-%Y", "%d%b%Y"],
}


@given(day=st.dates(date(1931, 1, 1), date(2027, 12, 31)), language=st.sampled_from(["de", "en"]), data=st.data())
def test_a_date_of_birth_becomes_another_day_within_two_years_in_the_same_form(
    day: date, language: str, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(FORMS[language]))
    invented = OF("DATE_OF_BIRTH", day.strftime(form), language=language)
    other = datetime.strptime(invented, form).replace(tzinfo=UTC).date()
    if "%y" in form:
        other = min((other.replace(year=other.year + more) for more in (-100, 0, 100)), key=lambda one: abs(one - day))
    assert timedelta(0) < abs(other - day) <= timedelta(days=730)


@pytest.mark.parametrize(("number", "day"), [(0, "13.03.1983"), (729, "11.03.1985"), (730, "13.03.1985"), (1459, "12.03.1987")])
def test_no_number_leaves_a_day_as_it_is(number: int, day: str) -> None:
    assert birth("12.03.1985", lambda _: number, language="de") == day


@pytest.mark.parametrize(
    ("ways", "language"),
    [
        (["12.03.1985", "1985-03-12", "12.3.85", "12. März 1985", "12.MÄRZ 1985", "12 March 1985", "March 12th, 1985"], "de"),
        (["03/12/1985", "1985-03-12", "12.03.1985", "12-Mar-1985"], "en"),
    ],
)
def test_a_day_is_the_same_in_all_forms(ways: list[str], language: str) -> None:
    assert len({HASH("DATE_OF_BIRTH", way, language=language) for way in ways}) == 1


@pytest.mark.parametrize(
    ("item", "like"),
    [
        ("12. März 1985", r"\d{1,2}\. [A-Z][a-zä]+ 198\d"),
        ("12.MÄRZ 1985", r"\d{1,2}\.[A-ZÄ]+ 198\d"),
        ("the 3rd of May 1971", r"the \d{1,2}(?:st|nd|rd|th) of [A-Z][a-z]+ 19[67]\d"),
        ("3.4.1987", r"[1-9]\d?\.[1-9]\d?\.198\d"),
        ("03.04.87", r"\d\d\.\d\d\.8\d"),
        ("31.02.1980", r"\d\d\.\d\d\.19\d\d"),
        ("99.99.1980", r"\d\d\.\d\d\.19\d\d"),
        ("12.12.12", r"\d\d\.\d\d\.1[0-4]"),
    ],
)
def test_a_date_keeps_its_form_even_if_it_is_no_day(item: str, like: str) -> None:
    invented = OF("DATE_OF_BIRTH", item, language="de")
    assert re.fullmatch(like, invented), invented
    assert invented != item


@pytest.mark.parametrize("item", ["", "im Mai", "1985", "0000-00-00", "01.01.0001", "31.12.9999", "1.2", "1/2/3/4", "²/²/1985"])
def test_what_is_no_date_is_replaced_all_the_same(item: str) -> None:
    assert OF("DATE_OF_BIRTH", item, language="de") != item or not any(map(str.isdigit, item))


@pytest.mark.parametrize("number", range(40))
def test_pension_and_vat_numbers_fail_their_checks(number: int) -> None:
    replacement = Replacement("surrogate", f"key number {number:06d}".encode())
    pension = replacement("SOCIAL_SECURITY", "65 170839 J 003", language="de")
    assert pension.startswith("00 0")
    assert pension_number_is_valid("65 170839 J 003")
    for item in ("DE136695976", "ATU13585627", "NL4495445B01"):
        assert not vat.is_valid(replacement("VAT_ID", item, language="de"))


@pytest.mark.parametrize(
    ("item", "like"),
    [
        ("86925", r"00\d{3}"),
        ("8001", r"00\d\d"),
        ("D-86925 Fuchstal", r"D-00\d{3} \w+"),
        ("10021-3100", r"00\d{3}-0000"),
        ("Fuchstal", r"[A-Z]\w+"),
    ],
)
def test_codes_and_towns_stand_alone_as_they_did(item: str, like: str) -> None:
    assert re.fullmatch(like, OF("ADDRESS", item, language="de"))


def test_a_town_is_the_same_with_and_without_its_code() -> None:
    code, town = OF("ADDRESS", "86925 Fuchstal", language="de").split()
    assert (OF("ADDRESS", "86925", language="de"), OF("ADDRESS", "Fuchstal", language="de")) == (code, town)


def test_an_account_keeps_its_groups_whatever_they_are() -> None:
    invented = OF("IBAN", "DE 89 370 400 440 532 013 000", language="de")
    assert re.fullmatch(r"DE 0[01](?: \d{3}){6}", invented), invented
