"""Examples without personal data: consistent, never real, looked at again, and closed where something is left."""

from __future__ import annotations

import re
from typing import Any

import pytest
from stdnum import iban, luhn
from stdnum.de import idnr
from stdnum.us import ssn

from finetune_api.errors import DataError, UserError
from finetune_api.v1alpha1.anonymize import Anonymize, DeclaredPattern
from finetune_trainer.data.anonymize import Anonymizer, leftovers
from finetune_trainer.data.anonymize.findings import BORDER
from finetune_trainer.data.inputs.formats import Example, Message

KEY = {"ANONYMIZE_KEY": "a key for these tests only"}
LETTER = (
    "Sehr geehrte Frau Wrobel,\nmein Name ist Anna Schmidt. IBAN DE89 3704 0044 0532 0130 00, Karte 4111 1111 1111 1111,"
    " Steuer-ID 86 095 742 719, SSN 536-90-4399, Telefon 030 1234567, anna.schmidt@firma-nord.de, Gartenstraße 12a,"
    " 10115 Berlin, geb. 07.06.1949, 84.12.33.7.\nMit freundlichen Grüßen\nAnna Schmidt"
)


def an_anonymizer(strategy: str = "surrogate", key: dict[str, str] | None = None, **more: Any) -> Anonymizer:
    return Anonymizer(Anonymize(strategy=strategy, **more), KEY if key is None else key)  # type: ignore[arg-type]


def of(text: str, anonymizer: Anonymizer | None = None) -> str:
    result = (anonymizer or an_anonymizer())(Example(text=text), place="rows.jsonl line 1").text
    assert result is not None
    return result


@pytest.mark.parametrize("strategy", ["surrogate", "mask", "redact", "hash"])
def test_nothing_personal_is_left_whatever_takes_its_place(strategy: str) -> None:
    anonymizer = an_anonymizer(strategy)
    result = of(LETTER, anonymizer)
    for item in (
        "Wrobel",
        "Schmidt",
        "3704",
        "4111",
        "742 719",
        "4399",
        "1234567",
        "firma-nord",
        "Gartenstr",
        "Berlin",
        "1949",
        "84.12",
    ):
        if not (strategy == "surrogate" and item == "1949"):  # a year may come out again by chance
            assert item not in result
    assert not anonymizer.count.left
    assert anonymizer.count.found["PERSON"] == 3


def test_the_same_person_is_the_same_invented_person_everywhere() -> None:
    anonymizer = an_anonymizer()
    one = of("Mein Name ist Anna Schmidt.", anonymizer)
    other = of("Sehr geehrte Frau Schmidt, danke.", anonymizer)
    full = one.removeprefix("Mein Name ist ").removesuffix(".")
    assert other == f"Sehr geehrte Frau {full.split()[-1]}, danke."
    assert of("Mein Name ist Anna Schmidt.", an_anonymizer()) == one
    assert of("Mein Name ist Anna Schmidt.", an_anonymizer(key={"ANONYMIZE_KEY": "another key of sixteen"})) != one


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("SEHR GEEHRTER HERR KRAUSE,", r"SEHR GEEHRTER HERR [A-ZÄÖÜß-]+,"),
        ("Name: WEBER, HANS-JÜRGEN", r"Name: [A-ZÄÖÜ-]+, [A-ZÄÖÜ-]+"),
        ("Musterfirma, Unterer Graben 3, 8400 Winterthur", r"Musterfirma, \w+ \d+, 00\d\d \w+"),
        ("Postfach 12 34, CH-8400 Winterthur", r"Postfach 00\d{3}, CH-00\d\d \w+"),
        ("AHV 756.9217.0769.85", r"AHV 000\.\d{4}\.\d{4}\.\d\d"),
        ("NINO AB 12 34 56 C", r"NINO QQ \d\d \d\d \d\d C"),
    ],
)
def test_what_is_invented_has_the_form_of_what_it_replaces(text: str, like: str) -> None:
    assert re.fullmatch(like, of(text)), of(text)


def test_the_same_name_in_capitals_is_the_same_person() -> None:
    anonymizer = an_anonymizer()
    quiet = of("Sehr geehrter Herr Krause,", anonymizer).split()[-1]
    assert of("SEHR GEEHRTER HERR KRAUSE,", anonymizer).split()[-1] == quiet.upper()


def test_without_a_key_nobody_can_repeat_it() -> None:
    letters = {of(LETTER, an_anonymizer(key={})) for _ in range(3)}
    assert len(letters) == 3


def test_who_is_introduced_in_the_question_is_known_in_the_answer() -> None:
    example = Example(
        messages=(Message("user", "Mein Name ist Zdenka Wrobel."), Message("assistant", "Gern, Wrobel ist notiert."))
    )
    result = an_anonymizer("mask")(example, place="x")
    assert [message.content for message in result.messages] == ["Mein Name ist [PERSON].", "Gern, [PERSON] ist notiert."]
    assert [message.role for message in result.messages] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Wie kündige ich? Viele Grüße", "Sonnige Antwort,\n\nbitte schreiben Sie uns."),
        ("Wie kündige ich? Mit freundlichen Grüßen", "Kündigen\nkönnen Sie jederzeit."),
        ("Mein Geburtsdatum", "12.03.1985"),
        ("Mein Name:", "Sonnig Wetterleuchten"),
        ("Herrn", "Sonnig Wetterleuchten\n12 Tage"),
    ],
)
def test_no_cue_reaches_into_the_next_text(question: str, answer: str) -> None:
    anonymizer = an_anonymizer("mask")
    result = anonymizer(Example(messages=(Message("user", question), Message("assistant", answer))), place="x")
    assert [message.content for message in result.messages] == [question, answer]


def test_a_text_that_holds_the_border_stays_one_text() -> None:
    texts = (f"Frau Wrobel{BORDER}Anna Schmidt\x1e", f"{BORDER}")
    result = an_anonymizer("mask")(Example(messages=tuple(Message("user", text) for text in texts)), place="x")
    assert [message.content for message in result.messages] == ["Frau [PERSON]\n \n[PERSON]\x1e", "\n \n"]


@pytest.mark.parametrize("blank", ["\u00a0", "\u2007", "\u2009", "\u202f"])
def test_no_break_and_thin_blanks_hide_nothing(blank: str) -> None:
    text = "Anna Weber, Rosenstraße 5, 50667 Köln, Herr Tschöpe, DE89 3704 0044 0532 0130 00, Tel. 089 1234567."
    anonymizer = an_anonymizer("mask")
    result = of(text.replace(" ", blank), anonymizer)
    assert result.replace(blank, " ") == "[PERSON], [ADDRESS], [ADDRESS], Herr [PERSON], [IBAN], Tel. [PHONE]."
    assert not anonymizer.count.left
    invented = an_anonymizer()
    assert of(text.replace(" ", blank), invented).replace(blank, " ") == of(text, invented)
    assert not invented.count.left


@pytest.mark.parametrize("number", range(40))
def test_no_invented_number_could_be_real(number: int) -> None:
    anonymizer = an_anonymizer(key={"ANONYMIZE_KEY": f"key number {number:06d}"})
    for text, is_valid in (
        ("DE89 3704 0044 0532 0130 00", iban.is_valid),
        ("4111 1111 1111 1111", lambda digits: digits[0] in "3456" and luhn.is_valid(digits)),
        ("86 095 742 719", idnr.is_valid),
        ("536-90-4399", ssn.is_valid),
    ):
        assert not is_valid(of(text, anonymizer))
    assert not anonymizer.count.left


def test_what_the_second_pass_finds_fails_the_run_by_kind_and_place_and_never_by_value() -> None:
    anonymizer = an_anonymizer(entities=("PHONE",))  # as if the first pass were blind for everything else
    anonymizer(Example(text="alles gut"), place="rows.jsonl line 1")
    anonymizer(Example(text="an erika.mustermann@firma-nord.de"), place="rows.jsonl line 2")
    with pytest.raises(DataError) as caught:
        anonymizer.count.raise_if_more_is_left_than(0.0)
    told = str(caught.value)
    assert "1 of 2 examples (50.00%; at most 0.00% is allowed): EMAIL 1. rows.jsonl line 2" in told
    assert "erika" not in told
    assert "firma-nord" not in told


def test_a_rate_that_is_allowed_is_reported_and_passes() -> None:
    anonymizer = an_anonymizer(entities=("PHONE",))
    anonymizer(Example(text="alles gut"), place="1")
    anonymizer(Example(text="an erika.mustermann@firma-nord.de"), place="2")
    anonymizer.count.raise_if_more_is_left_than(0.6)
    assert anonymizer.count.residual_rate == 0.5


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("erika\u200b.mustermann@firma-nord.de", "EMAIL"),
        ("erika [at] firma-nord", "EMAIL"),
        ("DE89.3704.0044.0532.0130.00", "IBAN"),
        ("4111.1111.1111.1111", "CREDIT_CARD"),
        ("Herr Xyzqwert ruft an", "PERSON"),
        ("0171-2345678", "PHONE"),
    ],
)
def test_the_second_pass_sees_what_is_disguised(text: str, kind: str) -> None:
    assert leftovers(text)[kind] == 1


@pytest.mark.parametrize(
    "text",
    [
        "Sehr geehrte Frau Dipl.-Ing. Tschöpe, sehr geehrter Herr Dr.-Ing. Hrdlicka, Herr Dr. med. Wrobel",
        "Sehr geehrter Herr Kollege, sehr geehrter Herr Präsident, sehr geehrte Frau Kollegin Tschöpe",
        "Herrn Rechtsanwalt Dr. Hrdlicka und Herr Freund",
    ],
)
def test_a_title_before_a_name_that_was_replaced_is_nothing_left(text: str) -> None:
    anonymizer = an_anonymizer()
    of(text, anonymizer)
    assert not anonymizer.count.left


@pytest.mark.parametrize("text", ["Frau Dipl.-Ing. Xyzqwert", "Herr Dr. med. dent. Xyzqwert", "Frau Prof. Dr. h.c. Xyzqwert"])
def test_a_name_behind_degrees_is_still_seen(text: str) -> None:
    assert leftovers(text)["PERSON"] == 1
    assert not leftovers("Das sagte der Herr bitte. Danach kam nichts.")


def test_a_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(UserError, match="shorter than 16 bytes") as caught:
        an_anonymizer(key={"ANONYMIZE_KEY": "short"})
    assert caught.value.field == "spec.preparation.anonymize.secretName"


def test_a_declared_pattern_that_is_none_names_its_field() -> None:
    with pytest.raises(UserError) as caught:
        an_anonymizer(patterns=(DeclaredPattern(name="NUMBER", pattern="[z-a]"),))
    assert caught.value.field == "spec.preparation.anonymize.patterns[0].pattern"
