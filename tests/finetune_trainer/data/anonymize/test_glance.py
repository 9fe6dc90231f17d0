"""Who asked for no anonymisation is told what the first rows seem to hold; nothing is changed, and no value is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_operator.brain.stages import Stage
from finetune_trainer.data.anonymize.glance import Glance, rows_to_glance_at
from finetune_trainer.data.inputs.formats import Example
from rows import chats, write_jsonl


def test_examples_are_counted_by_kind_and_addresses_kept_for_examples_are_none() -> None:
    seen = Glance(("de", "en"))(
        [
            Example(text="Sehr geehrte Frau Wrobel, IBAN DE89 3704 0044 0532 0130 00 und DE89370400440532013000"),
            Example(text="write to erika.mustermann@firma-nord.de"),
            Example(text="write to me@example.org, or see the settings"),
            Example(text="x" * 5_000 + " me@firma-nord.de"),
        ]
    )
    assert (seen.examples, seen.holding) == (4, 2)
    assert seen.kinds == {"PERSON": 1, "IBAN": 1, "EMAIL": 1}


def test_a_glance_is_at_the_beginning_of_files_wherever_a_batch_begins() -> None:
    assert [rows_to_glance_at(0, before) for before in (0, 512, 1_024, 5_000)] == [1_024, 512, 0, 0]
    assert [rows_to_glance_at(number, 0) for number in (1, 63, 64)] == [16, 16, 0]


def prepared(causal_lm: Path, root: Path, sentence: str, anonymize: dict[str, Any]) -> dict[str, Any]:
    rows = chats(1_300)
    for row in rows[10:13] + rows[1_200:]:
        row["completion"] += sentence
    data = write_jsonl(root / "chats.jsonl", rows)
    datasets = [{"name": "tickets", "uri": f"file://{data}"}]
    raw = stages.manifest(causal_lm, datasets, root / "out", preparation={"maxLength": 200, "anonymize": anonymize})
    end = stages.run_here(stages.orders(raw, Stage.PREPARE, root / "workspace"), root / "prepare")
    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.prepared is not None
    report: dict[str, Any] = json.loads((root / "workspace/reports/data.json").read_text())
    assert end.result.prepared.warnings == len(report["warnings"])
    assert "mustermann" not in json.dumps(report)
    return report


def test_the_report_warns_of_what_the_first_thousand_rows_seem_to_hold(causal_lm: Path, tmp_path: Path) -> None:
    report = prepared(causal_lm, tmp_path, " Write to erika.mustermann@firma-nord.de.", {})
    assert report["personal"] == {"glance": {"examples": 1_024, "holding": 3, "kinds": {"EMAIL": 3}}}
    told = "of the first 1,024 examples 3 seem to hold some (e-mail address 3)"
    assert report["anonymization"] == f"none: personal data was not looked for and not changed; {told}"
    assert [one for one in report["warnings"] if one.startswith("Personal data was not looked for, but 3 of the first 1,024")]
    page = (tmp_path / "workspace/reports/data.html").read_text()
    assert told in page


def test_where_nothing_is_seen_nobody_is_warned(causal_lm: Path, tmp_path: Path) -> None:
    report = prepared(causal_lm, tmp_path, " Bye.", {})
    assert report["anonymization"].endswith("of the first 1,024 examples none seems to hold any")
    assert not [one for one in report["warnings"] if "Personal" in one]


@pytest.mark.parametrize("key", [None, "a key of sixteen characters"])
def test_a_key_that_is_named_must_be_there(causal_lm: Path, tmp_path: Path, key: str | None) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(40))
    anonymize = {"strategy": "surrogate", "secretName": "anonymize-key"}
    datasets = [{"name": "tickets", "uri": f"file://{data}"}]
    raw = stages.manifest(causal_lm, datasets, tmp_path / "out", preparation={"maxLength": 200, "anonymize": anonymize})
    environment = {"ANONYMIZE_KEY": key} if key else {}
    end = stages.run_here(stages.orders(raw, Stage.PREPARE, tmp_path / "workspace"), tmp_path / "prepare", **environment)
    assert end.result is not None
    if key:
        assert end.code == 0, end.log
    else:
        assert end.code == 64
        assert end.result.error is not None
        assert end.result.error.message.startswith("the Secret anonymize-key gives no key: ANONYMIZE_KEY is not set")
        assert end.result.error.field == "spec.preparation.anonymize.secretName"
