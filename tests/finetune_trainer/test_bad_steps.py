"""Steps that cannot be trained end with what is to blame, and leave nothing behind that looks whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_operator.brain.stages import Stage
from finetune_trainer.engine.order import GlobalOrder
from memory import room_for
from rows import chats, write_jsonl


def test_a_loss_that_is_no_number_names_the_examples_by_file_and_line(
    chat_manifest: dict[str, Any], workspace: Path, changed: Callable[..., dict[str, Any]]
) -> None:
    from finetune_trainer.data.store import open_documents

    raw = changed(chat_manifest, resources={"nodes": 1})
    # Far beyond what the manifest accepts: the first step makes every later loss infinite or undefined.
    config = stages.orders(raw, Stage.TRAIN, workspace, learning_rate=1e30, warmup_steps=0, checkpoint_seconds=0.0)
    end = stages.train_here(config, workspace / "train-1")

    assert end.code == 64, end.log
    assert "Traceback" not in end.log
    assert end.result is not None
    error = end.result.error
    assert error is not None
    assert error.field == "spec.training.learningRate"
    bad = 2
    assert f"the loss of step {bad} is no finite number" in error.message
    assert config.train is not None
    examples = open_documents(workspace / "data/train").examples
    order = GlobalOrder(examples["dataset"], [1.0], batch_size=config.train.batch_size, seed=config.train.seed)
    for line in examples["line"][order.batch(bad - 1)]:
        assert f"chats.jsonl line {line}" in error.message
    assert set(stages.losses(workspace)) == {1}, "what could be measured stands in the journal"
    assert not (workspace / "adapter").exists()
    assert [path.parent.name for path in (workspace / "checkpoints").rglob("complete")] == ["step-00000001"]


def test_a_validation_loss_that_is_no_number_ends_the_run(
    chat_manifest: dict[str, Any], workspace: Path, changed: Callable[..., dict[str, Any]]
) -> None:
    raw = changed(chat_manifest, resources={"nodes": 1})
    config = stages.orders(
        raw, Stage.TRAIN, workspace, learning_rate=1e30, warmup_steps=0, evaluation_steps=1, total_steps=1, patience=0
    )
    end = stages.train_here(config, workspace / "train-1")

    assert end.code == 64, end.log
    assert end.result is not None
    assert end.result.error is not None
    assert "the validation loss at step 1 is not a finite number" in end.result.error.message
    assert not (workspace / "adapter").exists()


# ---------------------------------------------------------------- memory


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A job whose model has few weights and enormous activations, prepared."""
    from tiny import tiny_causal_lm

    folder = tmp_path_factory.mktemp("wide")
    model = tiny_causal_lm(folder / "model", intermediate_size=32_768, layers=1)
    data = write_jsonl(folder / "chats.jsonl", chats(120))
    raw = stages.manifest(
        model,
        [{"name": "chats", "uri": f"file://{data}"}],
        folder / "out",
        training={"batchSize": 40, "maxSteps": 1, "precision": "fp32"},
        preparation={"maxLength": 200},
        resources={"nodes": 1},
    )
    end = stages.prepare(raw, folder / "workspace")
    assert end.code == 0, end.log
    return raw, folder / "workspace"


@pytest.mark.parametrize("tokens_per_micro_batch", [4096, 256])
def test_too_large_a_micro_batch_is_out_of_memory_and_a_smaller_plan_fits(
    wide: tuple[dict[str, Any], Path], tokens_per_micro_batch: int, tmp_path: Path
) -> None:
    raw, prepared = wide
    workspace = Path(shutil.copytree(prepared, tmp_path / "workspace", symlinks=True))
    config = stages.orders(raw, Stage.TRAIN, workspace, tokens_per_micro_batch=tokens_per_micro_batch, evaluation_steps=0)
    # 40 examples of 60 tokens times 32,768 units in fp32 are 300 MiB, of which a step holds several; 256 tokens are 32 MiB.
    with room_for(1 << 30):
        end = stages.train_here(config, workspace / "train-1")

    if tokens_per_micro_batch == 256:
        assert end.code == 0, end.log
        return
    assert end.code == 71, end.log
    assert "Traceback" not in end.log
    assert end.result is not None
    assert end.result.error is not None
    assert end.result.error.error_class == "OutOfMemory"
    assert "memory ran out" in end.result.error.message
    assert not (workspace / "adapter").exists()
