"""What a document asks and answers itself becomes prompts and answers; what asks nothing is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import stages
from finetune_operator.brain.stages import Stage
from finetune_trainer.data.inputs.questions import asks, questions_of

MANUAL = """# Handbuch

Dieses Handbuch gilt für alle Geräte.

## 1. Wie setze ich das Gerät zurück?

Taste zehn Sekunden halten.

### Danach

Neu anmelden.

## How to clean the filter

Rinse it with water.

## Häufige Fragen

Hier steht das Wichtigste.

**Kann ich den Filter waschen?**

Ja.

Mit klarem Wasser.

Q: Is it loud?
A: No.

## Impressum

Nordlicht GmbH
"""
EXPECTED = [
    ("Wie setze ich das Gerät zurück?", "Taste zehn Sekunden halten.\n\nDanach\n\nNeu anmelden."),
    ("How to clean the filter", "Rinse it with water."),
    ("Kann ich den Filter waschen?", "Ja.\n\nMit klarem Wasser."),
    ("Is it loud?", "No."),
]


@pytest.mark.parametrize(
    ("heading", "is_one"),
    [
        ("Wie oft muss gewartet werden?", True),
        ("2.3 How do I reset my password", True),
        ("Welcher Tarif passt", True),
        ("Wartung", False),
        ("Wie", False),
        ("Howard Street", False),
        ("Wer­tung", False),
        ("Was ist " + "x" * 400, False),
    ],
)
def test_a_heading_asks_by_its_mark_or_by_how_it_begins(heading: str, is_one: bool) -> None:
    assert asks(heading) is is_one


def test_a_name_with_an_initial_is_no_marked_question() -> None:
    (found,) = questions_of([(["Team"], "F. Schmidt leitet die Abteilung.\n\nA. Meier hilft.")])
    assert found.question == ""


def test_a_question_without_an_answer_is_none() -> None:
    found = list(questions_of([(["FAQ"], "Ist es laut?"), (["Rest"], "x")]))
    assert [one.question for one in found] == ["", ""]


def test_a_manual_becomes_questions_and_answers(causal_lm: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/manual.md").write_text(MANUAL, encoding="utf-8")
    dataset = {"name": "manual", "uri": f"file://{tmp_path}/data", "documents": {"examples": "questions"}}
    raw = stages.manifest("none", [dataset], tmp_path / "out")  # type: ignore[arg-type]
    raw["spec"]["model"]["uri"] = "file:///nowhere"
    config = stages.orders(raw, Stage.PREPARE, tmp_path / "w")
    assert config.prepare is not None
    split = config.prepare.preparation.split.model_copy(update={"validation": 0.0, "test": 0.0})
    preparation = config.prepare.preparation.model_copy(update={"split": split})
    orders = config.prepare.model_copy(update={"preparation": preparation, "write_examples": str(tmp_path / "all.jsonl")})
    without = config.model.model_copy(update={"uri": "none"})

    end = stages.run_here(config.model_copy(update={"model": without, "prepare": orders}), tmp_path / "prepare")

    assert end.code == 0, end.log
    rows = map(json.loads, (tmp_path / "all.jsonl").read_text().splitlines())
    assert [(row["messages"][0]["content"], row["messages"][1]["content"]) for row in rows] == EXPECTED
    report = json.loads((tmp_path / "w/reports/data.json").read_text())
    assert report["datasets"][0]["dropped"] == {"the section of the document asks nothing": 2}
