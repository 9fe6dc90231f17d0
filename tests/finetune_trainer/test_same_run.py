"""How a run is spread over processes and rows changes nothing of what it learns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import stages
from finetune_operator.brain.stages import Stage

ONE_PROCESS: dict[str, Any] = {"nodes": 1}
EIGHT_STEPS: dict[str, Any] = {"total_steps": 8, "evaluation_steps": 4, "checkpoint_seconds": 3600.0}


def relative_difference(one: Path, other: Path) -> float:
    """Euclidean distance of two files of weights, over the length of the first."""
    mine, theirs = load_file(one), load_file(other)
    assert mine.keys() == theirs.keys()
    apart = sum(float((mine[name] - theirs[name]).square().sum()) for name in mine)
    return (apart / sum(float(tensor.square().sum()) for tensor in mine.values())) ** 0.5


def test_one_rank_and_two_have_the_same_losses_and_the_same_adapter(
    chat_manifest: dict[str, Any], workspace: Path, trained: Path, changed: Callable[..., dict[str, Any]]
) -> None:
    config = stages.orders(changed(chat_manifest, resources=ONE_PROCESS), Stage.TRAIN, workspace, **stages.STEADY)
    end = stages.train_here(config, workspace / "train-1")
    assert end.code == 0, end.log

    alone, together = stages.losses(workspace), stages.losses(trained)
    assert len(alone) == 60
    assert [alone[step] for step in range(1, 6)] == pytest.approx([together[step] for step in range(1, 6)], rel=1e-6)
    # What rounding differs in the last digit grows with the steps, as in any two runs of fp32.
    assert alone == pytest.approx(together, rel=1e-3)
    # Adam does not see a factor on all gradients, so losses alone would not either.
    norms = [lines(place, "gradientNorm")[:5] for place in (workspace, trained)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    adapter = "adapter/adapter_model.safetensors"
    assert relative_difference(trained / adapter, workspace / adapter) < 5e-3
    reports = [json.loads((place / "reports/training.json").read_text()) for place in (workspace, trained)]
    assert [report["worldSize"] for report in reports] == [1, 2]
    assert reports[0]["bestStep"] == reports[1]["bestStep"]


def test_one_document_per_row_learns_what_packed_rows_learn(
    chat_manifest: dict[str, Any], prepared: Path, changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    ended, weights = {}, {}
    for packing in ("always", "never"):
        workspace = Path(shutil.copytree(prepared, tmp_path / packing, symlinks=True))
        raw = changed(chat_manifest, resources=ONE_PROCESS, training={"packing": packing})
        end = stages.train_here(stages.orders(raw, Stage.TRAIN, workspace, **EIGHT_STEPS), workspace / "train-1")
        assert end.code == 0, end.log
        assert end.result is not None
        assert end.result.trained is not None
        assert end.result.trained.packing is (packing == "always")
        ended[packing], weights[packing] = workspace, workspace / "adapter/adapter_model.safetensors"

    assert stages.losses(ended["never"]) == pytest.approx(stages.losses(ended["always"]), rel=1e-5)
    assert validations(ended["never"]) == pytest.approx(validations(ended["always"]), rel=1e-5)
    norms = [lines(workspace, "gradientNorm") for workspace in ended.values()]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    assert relative_difference(weights["always"], weights["never"]) < 1e-3


def test_dropout_repeats_itself_after_a_resume(
    chat_manifest: dict[str, Any], workspace: Path, changed: Callable[..., dict[str, Any]]
) -> None:
    raw = changed(chat_manifest, resources=ONE_PROCESS, method={"lora": {"dropout": 0.5}})
    often = {**EIGHT_STEPS, "evaluation_steps": 0, "checkpoint_seconds": 0.0}
    end = stages.train_here(stages.orders(raw, Stage.TRAIN, workspace, **often), workspace / "train-1")
    assert end.code == 0, end.log
    first = stages.losses(workspace)
    shutil.rmtree(workspace / "checkpoints/1/step-00000008")

    end = stages.train_here(stages.orders(raw, Stage.TRAIN, workspace, attempt=2, **often), workspace / "train-2")

    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.trained is not None
    assert end.result.trained.resumed_from_step == 7
    assert lines(workspace, "attempt")[-1] == 2
    assert stages.losses(workspace) == first


def lines(workspace: Path, key: str) -> list[float]:
    found = map(json.loads, (workspace / "metrics.jsonl").read_text().splitlines())
    return [line[key] for line in found if key in line]


def validations(workspace: Path) -> list[float]:
    return lines(workspace, "validationLoss")


def test_the_first_steps_are_the_same_whatever_the_states_are_spread_over(
    chat_manifest: dict[str, Any], prepared: Path, tmp_path: Path, changed: Callable[..., dict[str, Any]]
) -> None:
    found = []
    for stage in (0, 1):
        workspace = Path(shutil.copytree(prepared, tmp_path / f"stage-{stage}", symlinks=True))
        raw = changed(
            chat_manifest,
            deepspeed={"zeroStage": stage},
            training={"precision": "bf16"},
            resources={"nodes": 1},
            method={"type": "full"},
        )
        config = stages.orders(raw, Stage.TRAIN, workspace, total_steps=3, warmup_steps=0, scheduler="constant")
        end = stages.train_here(config, workspace / "train")
        assert end.code == 0, end.log
        found.append(list(stages.losses(workspace).values()))
    assert found[0] == pytest.approx(found[1], rel=1e-3)
