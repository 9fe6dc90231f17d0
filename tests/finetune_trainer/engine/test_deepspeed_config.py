"""Raw keys of the manifest go over ours, but for those on which steps and checkpoints rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import a_job, a_node, a_plan, some_facts
from finetune_api.contract.trainer_config import TrainConfig
from finetune_api.errors import UserError
from finetune_operator.brain.configure import configure
from finetune_operator.brain.stages import Stage
from finetune_trainer.engine.deepspeed_config import deepspeed_config


def orders(**raw: Any) -> TrainConfig:
    job = a_job(deepspeed={"zeroStage": 1, "config": raw})
    train = configure(job, a_plan(job, some_facts(), a_node()), Stage.TRAIN, 1, workspace=str(Path("/workspace"))).train
    assert train is not None
    return train


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data_types", {"grad_accum_dtype": "fp32"}),  # another optimizer, whose states no checkpoint of ours could restore
        ("train_batch_size", 8),
        ("fp16", {"enabled": True}),
    ],
)
def test_keys_that_steps_or_checkpoints_rest_on_are_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"{key} cannot be set: ") as caught:
        deepspeed_config(orders(**{key: value}))
    assert caught.value.field == f"spec.deepspeed.config.{key}"


def test_other_keys_go_over_ours_one_by_one() -> None:
    merged = deepspeed_config(orders(zero_optimization={"overlap_comm": True}))["zero_optimization"]
    assert (merged["overlap_comm"], merged["stage"]) == (True, 1)
