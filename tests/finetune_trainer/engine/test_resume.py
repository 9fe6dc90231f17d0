"""What makes two attempts the same run."""

from __future__ import annotations

from typing import Any

import pytest

from builders import a_job, a_plan, some_facts
from finetune_operator.brain.configure import configure
from finetune_operator.brain.stages import Stage
from finetune_trainer.engine.resume import identity


def of(data: str = "sha256:1", **changes: Any) -> str:
    job = a_job()
    config = configure(job, a_plan(job, some_facts()), Stage.TRAIN, 1, workspace="/workspace")
    assert config.train is not None
    return identity(config.model_copy(update={"train": config.train.model_copy(update=changes)}), data)


@pytest.mark.parametrize(
    "elsewhere",
    [{"world_size": 7}, {"nodes": 7}, {"tokens_per_micro_batch": 7}, {"zero_stage": 3}, {"offload": "optimizer"},
     {"checkpoint_seconds": 7.0}, {"stall_seconds": 7.0}],
)  # fmt: skip
def test_a_run_goes_on_wherever_it_is_continued(elsewhere: dict[str, Any]) -> None:
    assert of(**elsewhere) == of()


@pytest.mark.parametrize(
    "changed", [{"learning_rate": 0.5}, {"batch_size": 3}, {"seed": 7}, {"total_steps": 7}, {"lora": None}]
)
def test_whoever_changes_what_a_step_depends_on_begins_another_run(changed: dict[str, Any]) -> None:
    assert of(**changed) != of()


def test_other_data_makes_another_run() -> None:
    assert of("sha256:2") != of()
