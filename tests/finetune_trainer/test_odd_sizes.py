"""A parameter that ranks cannot share out evenly is put back as it was."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import stages
from finetune_operator.brain.stages import Stage
from rows import write_jsonl

CLASSES = {"billing": "invoice", "printing": "printer", "access": "password"}
SIX_STEPS: dict[str, Any] = {"total_steps": 6, "evaluation_steps": 0, "checkpoint_seconds": 0.0}


def test_a_head_of_three_classes_on_two_ranks_resumes_bit_for_bit(encoder: Path, tmp_path: Path) -> None:
    chance = random.Random(3)
    rows = [
        {"text": f"{CLASSES[label]} {number}", "label": label} for number in range(90) for label in chance.choices([*CLASSES])
    ]
    data = write_jsonl(tmp_path / "tickets.jsonl", rows)
    raw = stages.manifest(
        encoder,
        [{"uri": f"file://{data}"}],
        tmp_path / "out",
        task="classification",
        training={"batchSize": 8, "learningRate": 0.005, "precision": "bf16"},
        method={"type": "full"},
        deepspeed={"zeroStage": 3},
        resources={"nodes": 2},
    )
    workspace = tmp_path / "workspace"
    assert stages.prepare(raw, workspace).code == 0
    end = stages.run(stages.orders(raw, Stage.TRAIN, workspace, **SIX_STEPS), workspace / "train-1")
    assert end.code == 0, end.log
    first, kept = stages.losses(workspace), (workspace / "merged/model.safetensors").read_bytes()
    shutil.rmtree(workspace / "checkpoints/1/step-00000006")

    end = stages.run(stages.orders(raw, Stage.TRAIN, workspace, attempt=2, **SIX_STEPS), workspace / "train-2")

    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.trained is not None
    assert end.result.trained.resumed_from_step == 5
    assert stages.losses(workspace) == first
    assert (workspace / "merged/model.safetensors").read_bytes() == kept, "the moments too are what they were"
