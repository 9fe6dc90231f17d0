"""What is reported is what anybody gets who loads the published files, without a line of ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

import stages
from finetune_operator.brain.stages import Stage
from plain import plain_loss


@pytest.fixture(scope="module")
def evaluated(chat_manifest: dict[str, Any], trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = Path(shutil.copytree(trained, tmp_path_factory.mktemp("evaluated") / "workspace", symlinks=True))
    raw = with_gates(
        chat_manifest,
        [{"metric": "loss", "minImprovement": 0.1}, {"metric": "token_accuracy", "minValue": 0.999}],
    )
    end = stages.run_here(stages.orders(raw, Stage.EVALUATE, workspace), workspace / "evaluate-1")
    assert end.code == 0, end.log
    assert end.result is not None
    (workspace / "evaluate-result.json").write_text(end.result.model_dump_json(by_alias=True))
    return workspace


def test_training_that_left_no_model_is_said_so_and_where_it_should_be(
    chat_manifest: dict[str, Any], trained: Path, tmp_path: Path
) -> None:
    workspace = Path(shutil.copytree(trained, tmp_path / "workspace", symlinks=True))
    shutil.rmtree(workspace / "adapter")
    end = stages.run_here(stages.orders(chat_manifest, Stage.EVALUATE, workspace), tmp_path / "evaluate")
    assert end.code == 64
    assert end.result is not None
    assert end.result.error is not None
    assert "left no adapter_config.json in the workspace's directory adapter" in end.result.error.message
    assert "Traceback" not in end.log


def with_gates(raw: dict[str, Any], gates: list[dict[str, Any]]) -> dict[str, Any]:
    spec = raw["spec"]
    return {**raw, "spec": {**spec, "evaluation": {**spec["evaluation"], "gates": gates}}}


def report(workspace: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((workspace / "reports/evaluation.json").read_text())
    return value


def test_the_adapter_in_plain_peft_has_the_loss_that_the_report_says(evaluated: Path, causal_lm: Path) -> None:
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(causal_lm, dtype=torch.float32).eval()
    summary = report(evaluated)["summary"]
    assert plain_loss(base, evaluated) == pytest.approx(summary["base"]["loss"], abs=1e-3)

    tuned = PeftModel.from_pretrained(base, evaluated / "adapter").eval()
    assert plain_loss(tuned, evaluated) == pytest.approx(summary["tuned"]["loss"], abs=1e-3)
    assert summary["tuned"]["loss"] < summary["base"]["loss"] - 0.1


def test_the_merged_model_in_plain_transformers_has_the_loss_that_the_report_says(
    chat_manifest: dict[str, Any], evaluated: Path, tmp_path: Path
) -> None:
    raw = {**chat_manifest, "spec": {**chat_manifest["spec"], "output": {"uri": f"file://{tmp_path}/out", "format": "merged"}}}
    end = stages.run_here(stages.orders(raw, Stage.PUBLISH, evaluated), tmp_path / "publish")
    assert end.code == 0, end.log

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()

    assert plain_loss(model, evaluated) == pytest.approx(report(evaluated)["summary"]["tuned"]["loss"], abs=1e-3)
    assert not list((tmp_path / "out").glob("*.bin"))


def test_the_difference_comes_with_an_interval_and_a_verdict(evaluated: Path) -> None:
    summary = report(evaluated)["summary"]
    low, high = summary["delta"]["loss"]["ci95"]
    assert low <= summary["delta"]["loss"]["value"] <= high < 0
    assert summary["verdict"] == "Improved"
    assert summary["delta"]["loss"]["value"] == pytest.approx(summary["tuned"]["loss"] - summary["base"]["loss"], abs=2e-6)


def test_a_gate_says_whether_it_is_kept_and_with_which_numbers(evaluated: Path) -> None:
    kept, missed = report(evaluated)["summary"]["gates"]
    assert kept["passed"]
    assert "loss improved by" in kept["reason"]
    assert not missed["passed"]
    assert "at least 0.999 is required" in missed["reason"]
    assert report(evaluated)["summary"]["passed"] is False


def test_samples_show_the_question_and_both_answers_without_the_template(evaluated: Path) -> None:
    samples = report(evaluated)["samples"]
    assert len(samples) == 2
    for sample in samples:
        assert "assistant" not in sample["prompt"]
        assert sample["prompt"].endswith(")")  # the questions of the test data end in their number
        assert sample["reference"]
        assert sample["base"] is not None
        assert sample["tuned"] is not None


def test_the_publication_lists_every_file_with_its_digest_and_has_a_card(
    chat_manifest: dict[str, Any], evaluated: Path, tmp_path: Path
) -> None:
    import hashlib

    raw = {**chat_manifest, "spec": {**chat_manifest["spec"], "output": {"uri": f"file://{tmp_path}/out"}}}
    end = stages.run_here(stages.orders(raw, Stage.PUBLISH, evaluated), tmp_path / "publish")
    assert end.code == 0, end.log

    out = tmp_path / "out"
    listed = json.loads((out / "manifest.json").read_text())
    there = {p.name for p in out.iterdir()} - {"manifest.json"}
    assert set(listed["files"]) == there
    for name, known in listed["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == known["sha256"]
    assert end.result is not None
    assert end.result.output is not None
    digest = hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()
    assert end.result.output.digest == f"sha256:{digest}"

    card = (out / "README.md").read_text()
    data = json.loads((evaluated / "data/manifest.json").read_text())
    assert data["digest"] in card
    assert "personal data was not looked for" in card
    assert str(evaluated) not in card
    assert "base_model_name_or_path" in (out / "adapter_config.json").read_text()
    assert str(evaluated) not in (out / "adapter_config.json").read_text()


def test_another_model_than_was_measured_is_not_published(
    chat_manifest: dict[str, Any], evaluated: Path, tmp_path: Path
) -> None:
    workspace = Path(shutil.copytree(evaluated, tmp_path / "workspace", symlinks=True))
    weights = workspace / "adapter/adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    raw = {**chat_manifest, "spec": {**chat_manifest["spec"], "output": {"uri": f"file://{tmp_path}/out"}}}
    end = stages.run_here(stages.orders(raw, Stage.PUBLISH, workspace), tmp_path / "publish")
    assert end.code == 1
    assert "another model than the one that was measured" in end.log
    assert not (tmp_path / "out").exists()


def test_an_evaluation_without_answers_measures_what_needs_none(
    chat_manifest: dict[str, Any], trained: Path, tmp_path: Path, changed: Any
) -> None:
    workspace = Path(shutil.copytree(trained, tmp_path / "workspace", symlinks=True))
    raw = changed(chat_manifest, evaluation={"generation": {"examples": 0}})
    end = stages.run_here(stages.orders(raw, Stage.EVALUATE, workspace), tmp_path / "evaluate")
    assert end.code == 0, end.log
    written = report(workspace)
    assert set(written["summary"]["tuned"]) == {"loss", "perplexity", "token_accuracy"}
    assert (written["summary"]["answered"], written["samples"]) == (0, [])


def test_an_evaluation_without_baseline_gives_no_verdict(
    chat_manifest: dict[str, Any], trained: Path, tmp_path: Path, changed: Any
) -> None:
    workspace = Path(shutil.copytree(trained, tmp_path / "workspace", symlinks=True))
    raw = changed(chat_manifest, evaluation={"baseline": False, "metrics": ["loss"], "samples": 0})
    end = stages.run_here(stages.orders(raw, Stage.EVALUATE, workspace), tmp_path / "evaluate")
    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.evaluation is not None
    assert end.result.evaluation.verdict is None
    assert end.result.evaluation.base == {}
    assert set(end.result.evaluation.tuned) == {"loss"}
