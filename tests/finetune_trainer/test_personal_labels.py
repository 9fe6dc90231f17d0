"""Labels that are people: refused where personal data is replaced; where not, told of and shown in no report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_operator.brain.stages import Stage
from rows import write_jsonl

PEOPLE = ("k.siebenhuener@firma-nord.de", "Kirsten Siebenhüner", "billing")

Making = Callable[..., dict[str, Any]]


@pytest.fixture
def job(encoder: Path, tmp_path: Path) -> Making:
    """A job that learns who takes which ticket."""

    def make(labels: Sequence[str] = PEOPLE, **preparation: Any) -> dict[str, Any]:
        rows = [{"text": f"printer {n} error {k}", "assignee": label} for n in range(20) for k, label in enumerate(labels)]
        data = write_jsonl(tmp_path / "tickets.jsonl", rows)
        dataset = {"name": "tickets", "uri": f"file://{data}", "fields": {"label": "assignee"}}
        return stages.manifest(
            encoder,
            [dataset],
            tmp_path / "out",
            task="classification",
            preparation=preparation,
            training={"batchSize": 16, "maxSteps": 2, "precision": "fp32"},
            resources={"nodes": 1},
            method={"type": "full"},
        )

    return make


def shows(text: str) -> list[str]:
    """What of the people stands in a text."""
    return [part for part in ("siebenh", "kirsten", "firma-nord") if part in text.casefold()]


@pytest.mark.parametrize("strategy", ["surrogate", "mask", "redact", "hash"])
def test_where_personal_data_is_replaced_a_label_that_holds_some_ends_the_run(
    strategy: str, job: Making, tmp_path: Path
) -> None:
    end = stages.prepare(job(anonymize={"strategy": strategy}), tmp_path / "w")

    assert end.code == 65, end.log
    assert end.result is not None
    error = end.result.error
    assert error is not None
    assert error.field == "spec.datasets[0].fields.label"
    assert error.message.startswith(
        'dataset "tickets": 2 of 3 labels in the field "assignee" hold personal data (EMAIL 1, PERSON 1), and labels are not'
    )
    assert error.hint is not None
    assert "Give the classes names that lead to nobody" in error.hint
    assert "preparation.anonymize.entities" in error.hint
    assert not shows(f"{end.log} {error.message} {error.hint}")
    assert not (tmp_path / "w/data").exists()
    assert not (tmp_path / "w/reports/data.json").exists()


def test_each_dataset_is_told_with_its_own_labels(job: Making, tmp_path: Path) -> None:
    raw = job(anonymize={"strategy": "mask"})
    exam = write_jsonl(tmp_path / "exam.jsonl", [{"text": f"exam {n}", "label": PEOPLE[0]} for n in range(3)])
    raw["spec"]["datasets"].append({"name": "exam", "uri": f"file://{exam}", "role": "test"})

    end = stages.prepare(raw, tmp_path / "w")

    assert end.code == 65, end.log
    assert 'dataset "tickets": 2 of 3 labels in the field "assignee"' in end.log
    assert 'dataset "exam": 1 of 1 labels in the field "label" hold personal data (EMAIL 1)' in end.log


def test_labels_that_name_no_person_and_kinds_that_are_not_looked_for_are_taken(job: Making, tmp_path: Path) -> None:
    plain = stages.prepare(job(["billing", "Team Nord", "17"], anonymize={"strategy": "surrogate"}), tmp_path / "one")
    assert plain.code == 0, plain.log

    said = {"strategy": "surrogate", "entities": ["IBAN"]}
    narrow = stages.prepare(job(["Frank", "Angela"], anonymize=said), tmp_path / "other")  # machines, say
    assert narrow.code == 0, narrow.log


def test_declared_patterns_count_in_labels_too(job: Making, tmp_path: Path) -> None:
    said = {"strategy": "mask", "patterns": [{"name": "PERSONNEL_NUMBER", "pattern": r"P\d{4}"}]}
    end = stages.prepare(job(["P1234", "P4711", "billing"], anonymize=said), tmp_path / "w")
    assert end.code == 65
    assert "2 of 3 labels" in end.log
    assert "(PERSONNEL_NUMBER 2)" in end.log


def test_where_nobody_asked_the_report_warns_and_only_the_model_says_who(job: Making, tmp_path: Path) -> None:
    raw, workspace = job(), tmp_path / "w"
    log = ""
    for stage in (Stage.PREPARE, Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH):
        if stage == Stage.PREPARE:
            end = stages.prepare(raw, workspace)
        else:
            run = stages.train_here if stage == Stage.TRAIN else stages.run_here
            end = run(stages.orders(raw, stage, workspace), workspace / f"{stage}-1")
        assert end.code == 0, end.log
        log += end.log

    report = json.loads((workspace / "reports/data.json").read_text(encoding="utf-8"))
    warning = next(one for one in report["warnings"] if "labels" in one)
    assert warning.startswith(
        'Of the dataset "tickets", 2 of 3 labels in the field "assignee" seem to hold personal data (EMAIL 1, PERSON 1)'
    )
    assert "published with it" in warning
    assert list(report["labels"]) == ["class 1: [PERSON]", "billing", "class 3: [EMAIL]"]
    evaluation = json.loads((workspace / "reports/evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["sets"][0]["labels"] == list(report["labels"])
    read = [
        path for path in [*workspace.glob("reports/*"), *tmp_path.glob("out/*")] if path.suffix in (".json", ".html", ".md")
    ]
    assert {path.name for path in read} >= {"data.json", "data.html", "report.html", "evaluation.json", "README.md"}
    # What the model answers must be told with the model; the card says that it is.
    assert [path.name for path in read if shows(path.read_text(encoding="utf-8"))] == ["config.json"]
    assert "published with it" in (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert not shows(log)


def test_a_label_of_the_exam_alone_is_named_unless_it_is_somebody(job: Making, tmp_path: Path) -> None:
    raw = job(["billing", "printing"])
    exam = write_jsonl(tmp_path / "exam.jsonl", [{"text": "exam", "label": PEOPLE[1]}])
    raw["spec"]["datasets"].append({"name": "exam", "uri": f"file://{exam}", "role": "test"})

    end = stages.prepare(raw, tmp_path / "w")

    assert end.code == 65
    assert "the label that looks like somebody's data and is not shown here stands in the data of role test" in end.log
    assert not shows(end.log)
