"""Names of classes and fields in reports: as they are, or numbered and covered where they are somebody's data."""

from __future__ import annotations

from finetune_trainer.data.correction.names_shown import class_told, names_shown

ADDRESS, ACCOUNT, PERSON = "k.siebenhuener@firma.de", "DE89370400440532013000", "Kirsten Siebenhüner"


def test_names_of_classes_are_shown() -> None:
    names = ["billing", "Rückgabe & Umtausch", "card_arrival", "2nd Level", "Berlin", "-1", "17", "Siemens AG", "Sci/Tech"]
    assert names_shown(names, "class") == {name: name for name in names}


def test_a_class_that_is_somebody_is_covered_behind_its_number_and_the_others_stay() -> None:
    sentence = "Bitte rufen Sie sie morgen gegen zehn zurück"
    assert names_shown([ACCOUNT, PERSON, "billing", "frank@firma.de", ADDRESS, sentence, "z" * 5_000_000], "class") == {
        ACCOUNT: "class 1: [IBAN]",
        PERSON: "class 2: [PERSON]",
        "billing": "billing",
        "frank@firma.de": "class 4: [EMAIL]",
        ADDRESS: "class 5: [EMAIL]",
        sentence: "class 6: Xxxxx xxxxx Xxx xxx xxxxxx xxxxx xxxx xxxxxx",
        "z" * 5_000_000: f"class 7: {'x' * 60}…",
    }


def test_where_one_name_of_a_field_is_a_value_the_line_with_the_names_is_missing_and_none_is_shown() -> None:
    assert list(names_shown([PERSON, "Musterstadt", "Drucker"], "field").values()) == [
        "field 1: [PERSON]",
        "field 2: Xxxxxxxxxxx",
        "field 3: Xxxxxxx",
    ]
    assert list(names_shown(["First Name", "Custom field (Request Type)"], "field")) == [
        "First Name",
        "Custom field (Request Type)",
    ]


def test_what_was_covered_before_stays_as_it_is_and_nothing_passes_for_it() -> None:
    once = list(names_shown([ADDRESS, "billing", "Bitte rufen Sie sie morgen [EMAIL] gegen zehn zurück, 17"], "class").values())
    assert list(names_shown([*once[1:], once[0]], "class").values()) == [*once[1:], once[0]]

    assert names_shown([f"class 3: {ADDRESS}"], "class") == {f"class 3: {ADDRESS}": "class 1: xxxxx 0: [EMAIL]"}


def test_a_message_names_a_class_but_nobody() -> None:
    assert class_told("billing") == '"billing"'
    assert class_told(PERSON) == class_told(ADDRESS) == "that looks like somebody's data and is not shown here"
