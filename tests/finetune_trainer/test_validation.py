"""Validation at intervals, the best step's weights, an early end, and what of the checkpoints stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import stages
from finetune_operator.brain.stages import Stage

EVERY, PATIENCE = 5, 2
TOO_FAST: dict[str, Any] = {"learning_rate": 0.08, "evaluation_steps": EVERY, "patience": PATIENCE, "checkpoint_seconds": 0.0}
"""So high a rate that the validation loss soon rises; a checkpoint after every step."""


@pytest.fixture(scope="module")
def raw(chat_manifest: dict[str, Any]) -> dict[str, Any]:
    training = {**chat_manifest["spec"]["training"], "scheduler": "constant"}
    return {**chat_manifest, "spec": {**chat_manifest["spec"], "resources": {"nodes": 1}, "training": training}}


@pytest.fixture(scope="module")
def stopped(raw: dict[str, Any], prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, stages.Ended]:
    """A workspace in which training ended early."""
    workspace = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("stopped") / "workspace", symlinks=True))
    end = stages.train_here(stages.orders(raw, Stage.TRAIN, workspace, **TOO_FAST), workspace / "train-1")
    assert end.code == 0, end.log
    return workspace, end


@pytest.fixture
def copy(stopped: tuple[Path, stages.Ended], tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped[0], tmp_path / "workspace", symlinks=True))


def validations(workspace: Path) -> dict[int, float]:
    lines = map(json.loads, (workspace / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["validationLoss"] for line in lines if "validationLoss" in line}


def weights_of_checkpoint(folder: Path) -> list[torch.Tensor]:
    files = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
    return [tensor for file in files for name, tensor in sorted(file.items()) if name.endswith("|weight")]


def same_weights(adapter: Path, checkpoint: Path) -> bool:
    """Whether both hold the same numbers; names differ between PEFT's files and checkpoints."""
    mine, theirs = list(load_file(adapter / "adapter_model.safetensors").values()), weights_of_checkpoint(checkpoint)
    order: Callable[[torch.Tensor], tuple[int, float]] = lambda tensor: (tensor.numel(), float(tensor.double().sum()))  # noqa: E731
    pairs = zip(sorted(mine, key=order), sorted(theirs, key=order), strict=True)
    return all(one.shape == other.shape and torch.equal(one, other) for one, other in pairs)


def test_training_ends_when_validation_brings_nothing_any_more_and_the_best_step_is_kept(
    stopped: tuple[Path, stages.Ended],
) -> None:
    workspace, end = stopped
    measured = validations(workspace)
    best = min(measured, key=measured.__getitem__)
    last = max(stages.losses(workspace))

    assert list(measured) == list(range(EVERY, last + 1, EVERY)), "at each interval, and never between"
    assert last == best + PATIENCE * EVERY < 60
    assert end.result is not None
    summary = end.result.trained
    assert summary is not None
    assert (summary.early_stopped, summary.steps, summary.best_step) == (True, last, best)
    assert summary.validation_loss == pytest.approx(measured[best], abs=1e-6)
    assert same_weights(workspace / "adapter", workspace / f"checkpoints/1/step-{best:08d}")
    assert not same_weights(workspace / "adapter", workspace / f"checkpoints/1/step-{last:08d}")


def test_of_many_checkpoints_the_newest_two_and_the_best_stay(stopped: tuple[Path, stages.Ended]) -> None:
    workspace, _ = stopped
    measured = validations(workspace)
    best, last = min(measured, key=measured.__getitem__), max(stages.losses(workspace))

    kept = sorted(int(marker.parent.name.removeprefix("step-")) for marker in workspace.glob("checkpoints/1/*/complete"))

    assert kept == [best, last - 1, last]
    assert len(list((workspace / "checkpoints/1").iterdir())) == 3, "of the others nothing is left"


def test_a_run_that_had_ended_early_ends_at_once_when_it_is_continued(raw: dict[str, Any], copy: Path) -> None:
    before, last = (copy / "adapter/adapter_model.safetensors").read_bytes(), max(stages.losses(copy))
    shutil.rmtree(copy / "adapter")  # as if it had been killed before the adapter was written

    end = stages.train_here(stages.orders(raw, Stage.TRAIN, copy, attempt=2, **TOO_FAST), copy / "train-2")

    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.trained is not None
    assert (end.result.trained.resumed_from_step, end.result.trained.steps) == (last, last)
    assert end.result.trained.early_stopped
    assert (copy / "adapter/adapter_model.safetensors").read_bytes() == before


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_without_the_best_checkpoint_the_last_step_is_kept_and_said_to_be(damage: str, raw: dict[str, Any], copy: Path) -> None:
    measured = validations(copy)
    best, last = min(measured, key=measured.__getitem__), max(stages.losses(copy))
    folder = copy / f"checkpoints/1/step-{best:08d}"
    if damage == "gone":
        shutil.rmtree(folder)
    else:
        (file,) = folder.glob("*.safetensors")
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)

    end = stages.train_here(stages.orders(raw, Stage.TRAIN, copy, attempt=2, **TOO_FAST), copy / "train-2")

    assert end.code == 0, end.log
    assert f"the checkpoint of the best step {best} cannot be read: the last step is kept instead" in end.log
    assert same_weights(copy / "adapter", copy / f"checkpoints/1/step-{last:08d}")
    report = json.loads((copy / "reports/training.json").read_text())
    assert report["bestStep"] == last
    assert report["validationLoss"] is None


def test_without_intervals_the_last_step_is_kept(raw: dict[str, Any], workspace: Path) -> None:
    config = stages.orders(raw, Stage.TRAIN, workspace, evaluation_steps=0, total_steps=3, checkpoint_seconds=0.0)
    end = stages.train_here(config, workspace / "train-1")
    assert end.code == 0, end.log
    assert validations(workspace) == {}
    assert same_weights(workspace / "adapter", workspace / "checkpoints/1/step-00000003")
