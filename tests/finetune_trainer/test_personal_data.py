"""Personal data that was put among real help texts is nowhere afterwards: not in tokens, workspace, logs, reports or model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stages
from finetune_operator.brain.stages import Stage
from real_texts import paragraphs
from rows import write_jsonl

TEXTS, ITEMS = 10_000, 500
_SURNAMES = "Wrobelski Quastenberg Zmijewska Oellerking Thorwaldsen Fernsby Okonkwo Abernathy Lindqvist Marchetti"
_GIVEN = "Ottokar Friedlinde Zdenka Quirin Oonagh Thelonius Perpetua Ignatius Walburga Eberhard"
SURNAMES, GIVEN = _SURNAMES.split(), _GIVEN.split()


def iban(number: int) -> str:
    account = f"37040044{number:010d}"
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02d}{account}"


def item(number: int) -> tuple[str, str]:
    """A sentence with a personal item, and the item as nobody may find it again."""
    given, surname = (
        GIVEN[number // 10 % 10],
        f"{SURNAMES[number % 10][:-1]}{'aeiou'[number // 100]}{SURNAMES[number % 10][-1]}",
    )
    match number % 5:
        case 0:
            return f"Please write to {given.lower()}.{surname.lower()}{number}@firma-nord.de.", f"{surname.lower()}{number}@"
        case 1:
            return f"Die IBAN lautet {iban(number)}.", iban(number)
        case 2:
            return f"Rückruf unter 0171 {2000000 + number * 7}.", f"0171 {2000000 + number * 7}"
        case 3:
            return f"Sehr geehrte Frau {given} {surname},", f"{given} {surname}"
        case _:
            return f"My name is {given} {surname}.", f"{given} {surname}"


@pytest.fixture(scope="module")
def items() -> list[tuple[str, str]]:
    return [item(number) for number in range(ITEMS)]


@pytest.fixture(scope="module")
def place(causal_lm: Path, items: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with workspace and publication of a job whose data held the items, each in a text of its own."""
    folder = tmp_path_factory.mktemp("personal")
    texts = paragraphs(TEXTS)
    assert len(texts) == TEXTS
    rows = []
    for number, text in enumerate(texts):
        said = f"{items[number // 20][0]} {text}" if number % 20 == 0 else text
        half = number % 2 == 0
        rows.append({"prompt": said if half else text[:60], "completion": text if half else said, "page": f"p{number // 5}"})
    raw = stages.manifest(
        causal_lm,
        [{"name": "help", "uri": f"file://{write_jsonl(folder.parent / 'help.jsonl', rows)}"}],
        folder / "out",
        preparation={
            "anonymize": {"strategy": "surrogate"},
            "split": {"groupBy": "page", "validation": 0.01, "test": 0.01},
            "maxLength": 128,
            "overlong": "drop",
        },
        training={"batchSize": 8, "maxSteps": 4, "precision": "fp32"},
        evaluation={"generation": {"examples": 4, "maxNewTokens": 8}, "samples": 4},
        resources={"nodes": 1, "gpusPerNode": 0},
    )
    workspace = folder / "workspace"
    end = stages.prepare(raw, workspace)
    assert end.code == 0, end.log
    (folder / "prepare.log").write_text(end.log)
    for stage in (Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH):
        run = stages.train_here if stage == Stage.TRAIN else stages.run_here
        end = run(stages.orders(raw, stage, workspace), workspace / f"{stage}-1")
        assert end.code == 0, end.log
        (folder / f"{stage}.log").write_text(end.log)
    return folder


def test_no_item_is_found_in_any_file_of_the_job(place: Path, items: list[tuple[str, str]]) -> None:
    files = [path for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any("published" in str(path) or "out" in path.parts for path in files)
    needles = [needle.encode() for _, needle in items]
    for path in files:
        content = path.read_bytes()
        assert not [needle for needle in needles if needle in content], path


def test_no_item_is_found_in_the_decoded_tokens(place: Path, items: list[tuple[str, str]], causal_lm: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(causal_lm)
    files = sorted((place / "workspace/data").glob("*/tokens.bin"))
    texts = "\n".join(tokenizer.decode(np.fromfile(tokens, dtype=np.uint32)) for tokens in files)
    assert len(texts) > 500_000
    assert not [needle for _, needle in items if needle in texts]


def test_the_report_counts_what_was_replaced_and_what_a_second_look_found(place: Path) -> None:
    report: dict[str, Any] = json.loads((place / "workspace/reports/data.json").read_text())
    found = report["summary"]["redactions"]
    assert found["EMAIL"] >= 100
    assert found["IBAN"] == 100
    assert found["PHONE"] >= 100
    assert found["PERSON"] >= 200
    assert report["summary"]["residualRate"] == 0
    assert report["personal"]["residual"]["examples"] == TEXTS
    assert report["anonymization"].startswith("surrogate: ")
