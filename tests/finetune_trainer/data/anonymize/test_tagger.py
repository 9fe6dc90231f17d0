"""A model for token classification as a detector: found at the right characters, however long the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune_api.contract.trainer_config import DetectorInput
from finetune_api.errors import UserError
from finetune_api.v1alpha1.anonymize import Anonymize
from finetune_trainer.data.anonymize import Anonymizer, Placed
from finetune_trainer.data.anonymize.detectors import kind_of
from finetune_trainer.data.anonymize.tagger import Tagger
from finetune_trainer.data.inputs.formats import Example, Message
from tiny import TAGS, tiny_tagger

FIELD = "spec.preparation.anonymize.detectors[0]"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_tagger(tmp_path_factory.mktemp("tagger") / "model")


def orders(**more: Any) -> DetectorInput:
    return DetectorInput(field=FIELD, uri="pvc://models/tagger", **more)


def found(tagger: Tagger, *texts: str) -> list[list[tuple[str, str]]]:
    findings = tagger(texts, ["de"] * len(texts))
    return [sorted((one.kind, text[one.begin : one.end]) for one in ones) for text, ones in zip(texts, findings, strict=True)]


def test_names_and_places_are_found_at_their_characters(model: Path) -> None:
    tagger = Tagger(orders(), model)
    assert found(tagger, "😀 Mein Name ist Zorblax, é!", "", "in Xanadu und Xanadu", "  \n ", "hat und ist") == [
        [("PERSON", "Zorblax")],
        [],
        [("ADDRESS", "Xanadu"), ("ADDRESS", "Xanadu")],
        [],
        [],
    ]


def test_a_word_of_which_a_part_is_tagged_is_taken_whole(model: Path) -> None:
    tagger = Tagger(orders(), model)
    assert found(tagger, "Quinby wohnt in Xanaduhausen, Quindale-Zorblax hat (Quin).") == [
        [
            ("ADDRESS", "Xanaduhausen"),
            ("PERSON", "Quin"),
            ("PERSON", "Quinby"),
            ("PERSON", "Quindale"),
            ("PERSON", "Quindale-Zorblax"),
        ]
    ]


def test_words_that_begin_a_name_are_not_joined_to_the_one_before(model: Path) -> None:
    assert found(Tagger(orders(), model), "Zorblax Zorblax und Zor blax") == [
        [("PERSON", "Zor"), ("PERSON", "Zorblax"), ("PERSON", "Zorblax")]
    ]


def test_a_long_text_is_read_in_windows_that_lose_nothing_and_count_nothing_twice(model: Path) -> None:
    texts = ["und " * before + "Zorblax wohnt in Xanadu und " * 30 for before in range(40)]
    assert found(Tagger(orders(), model), *texts) == [[("ADDRESS", "Xanadu")] * 30 + [("PERSON", "Zorblax")] * 30] * 40


def test_what_stands_beside_a_text_changes_nothing(model: Path) -> None:
    tagger = Tagger(orders(), model)
    texts = ["Zorblax hat", "und " * 100 + "Quinby", "in Xanadu"]
    assert found(tagger, *texts) == [found(tagger, text)[0] for text in texts]


def test_labels_of_the_manifest_say_what_is_used(model: Path) -> None:
    tagger = Tagger(orders(labels={"LOC": "ORGANIZATION"}), model)
    assert found(tagger, "Zorblax wohnt in Xanadu") == [[("ORGANIZATION", "Xanadu")]]


@pytest.mark.parametrize(
    ("labels", "tags", "said"),
    [
        ({"PERS": "PERSON"}, TAGS, "has no label PERS; it has LOC, ORG, PER"),
        (None, [f"LABEL_{number}" for number in range(7)], "has no label that is known here; it has LABEL_0, LABEL_1"),
    ],
)
def test_labels_that_the_model_does_not_have_are_refused(
    labels: dict[str, str] | None, tags: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        Tagger(orders(labels=labels), tiny_tagger(tmp_path / "model", tags=tags))
    assert said in caught.value.message
    assert caught.value.field == f"{FIELD}.labels"


def test_a_model_without_a_head_for_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no model for token classification: it lacks classifier") as caught:
        Tagger(orders(), tiny_tagger(tmp_path / "model", head=False))
    assert caught.value.field == f"{FIELD}.uri"


def test_only_what_is_sure_enough_is_believed(model: Path) -> None:
    assert found(Tagger(orders(min_score=1.0), model), "Zorblax und") == [[]]
    assert found(Tagger(orders(min_score=0.9), model), "Zorblax und") == [[("PERSON", "Zorblax")]]
    (everything,) = found(Tagger(orders(min_score=1e-9), model), "Zorblax und")
    assert "und" in [item for _, item in everything]


def test_what_a_model_finds_is_replaced_and_found_again_where_it_did_not_look(model: Path) -> None:
    settings = Anonymize(strategy="mask")
    placed = Placed(orders(labels={"PER": "PERSON"}), model)
    anonymizer = Anonymizer(settings, {}, [placed])
    examples = [
        Example(messages=(Message("user", "Zorblax wohnt in Xanadu"), Message("assistant", "Danke, Zorblax."))),
        Example(text="quinby hat 10115 Berlin"),
    ]
    first, second = anonymizer.all(examples, ["a", "b"])
    assert [message.content for message in first.messages] == ["[PERSON] wohnt in Xanadu", "Danke, [PERSON]."]
    assert second.text == "[PERSON] hat [ADDRESS]"
    assert anonymizer.count.found == {"PERSON": 3, "ADDRESS": 1}


def test_organisations_are_used_only_where_they_are_asked_for(model: Path) -> None:
    placed = Placed(orders(labels={"LOC": "ORGANIZATION"}), model)
    without = Anonymizer(Anonymize(strategy="mask"), {}, [placed])
    asked = Anonymizer(Anonymize(strategy="mask", entities=("ORGANIZATION",)), {}, [placed])
    example = Example(text="in Xanadu")
    assert without(example, place="a").text == "in Xanadu"
    assert asked(example, place="a").text == "in [ORGANIZATION]"


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("B-PER", "PERSON"),
        ("I-LOC", "ADDRESS"),
        ("S-ORG", "ORGANIZATION"),
        ("b_per", "PERSON"),
        ("PERSON", "PERSON"),
        ("EMAIL_ADDRESS", "EMAIL"),
        ("E_MAIL", "EMAIL"),
        ("US_SSN", "SOCIAL_SECURITY"),
        ("O", None),
        ("MISC", None),
        ("DATE_TIME", None),
        ("LABEL_1", None),
    ],
)
def test_usual_labels_are_understood(label: str, kind: str | None) -> None:
    assert kind_of(label, None) == kind
