"""Detectors that a manifest names, through the whole stage: a model on a claim and a service, and a service that is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.trainer_config import Mounts
from finetune_api.contract.workspace import Workspace
from finetune_operator.brain.stages import Stage
from rows import chats, write_jsonl
from servers.presidio import PresidioServer
from tiny import tiny_tagger

SENTENCE = " Zorblax wohnt bei 4711."


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = chats(60)
    for row in rows[::3]:
        row["completion"] += SENTENCE
    return write_jsonl(tmp_path / "chats.jsonl", rows)


def prepared(causal_lm: Path, data: Path, root: Path, detectors: list[dict[str, Any]], **more: Any) -> stages.Ended:
    preparation = {"maxLength": 200, "anonymize": {"strategy": "mask", "detectors": detectors, **more}}
    raw = stages.manifest(causal_lm, [{"name": "tickets", "uri": f"file://{data}"}], root / "out", preparation=preparation)
    orders = stages.orders(raw, Stage.PREPARE, root / "workspace")
    mounts = Mounts(claims={"taggers": str(root / "claim")})
    return stages.run_here(orders.model_copy(update={"mounts": mounts}), root / "prepare")


def test_a_model_on_a_claim_and_a_service_find_what_is_replaced(causal_lm: Path, data: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tiny_tagger(tmp_path / "claim/german")
    with PresidioServer({"4711": "MEDICAL_RECORD"}) as service:
        detectors = [
            {"uri": "pvc://taggers/german"},
            {"uri": service.uri, "labels": {"MEDICAL_RECORD": "SOCIAL_SECURITY"}, "minScore": 0.6},
        ]
        end = prepared(causal_lm, data, tmp_path, detectors)

    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.prepared is not None
    assert end.result.prepared.redactions == {"PERSON": 20, "SOCIAL_SECURITY": 20}
    workspace = Workspace(tmp_path / "workspace")
    report = json.loads(workspace.data_report.read_text())
    assert report["personal"]["detectors"][-2:] == [
        "model pvc://taggers/german, score 0.5 or more",
        f"service {service.uri}, score 0.6 or more",
    ]
    tokens = b"".join(path.read_bytes() for path in sorted(workspace.data.glob("*/tokens.bin")))
    tokenizer = AutoTokenizer.from_pretrained(causal_lm)
    import numpy as np

    text = tokenizer.decode(np.frombuffer(tokens, dtype=np.uint32))
    assert "[PERSON] wohnt bei [SOCIAL_SECURITY]." in text
    assert "Zorblax" not in text
    assert not (workspace.root / "downloads").exists()


def test_a_service_that_is_gone_ends_the_stage_so_that_it_is_tried_again(causal_lm: Path, data: Path, tmp_path: Path) -> None:
    with PresidioServer({"Zorblax": "PERSON"}) as service:
        service.manners.refusals.extend([(503, {"Retry-After": "600"})] * 9)
        end = prepared(causal_lm, data, tmp_path, [{"uri": service.uri}])

    assert end.code == 75, end.log
    assert end.result is not None
    assert end.result.error is not None
    assert end.result.error.message.endswith("answered with status 503 (1 try; it asks to wait 600 s).")
    assert end.result.error.field == "spec.preparation.anonymize.detectors[0].uri"


@pytest.mark.parametrize(
    ("files", "said"),
    [({}, "holds no|has no config.json"), ({"config.json": "{}"}, "has a config.json but no weights")],
)
def test_what_is_no_model_ends_the_stage_with_its_field(
    causal_lm: Path, data: Path, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    folder = tmp_path / "claim/german"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    end = prepared(causal_lm, data, tmp_path, [{"uri": "pvc://taggers/german"}])
    assert end.code == 64, end.log
    assert end.result is not None
    assert end.result.error is not None
    assert any(part in end.result.error.message for part in said.split("|")), end.result.error.message
    assert end.result.error.field == "spec.preparation.anonymize.detectors[0].uri"
