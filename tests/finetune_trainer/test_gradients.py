"""The gradient of a step is that of one plain process on one example at a time, however the step is spread and packed.

Read from the checkpoint after the first step: Adam's first moment is then a tenth of the gradient.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import stages
from finetune_operator.brain.stages import Stage
from finetune_trainer.data.store import open_documents
from finetune_trainer.engine.order import GlobalOrder

ONE_STEP = {"total_steps": 1, "evaluation_steps": 0, "checkpoint_seconds": 0.0001, "weight_decay": 0.0}


def gradients_of_first_step(workspace: Path) -> dict[str, torch.Tensor]:
    (folder,) = (workspace / "checkpoints" / "1").glob("step-*1")
    states: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        states |= load_file(file)
    return {name.split("|")[0].removeprefix("model."): m / 0.1 for name, m in states.items() if name.endswith("|exp_avg")}


def first_batch(workspace: Path, *, batch_size: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor, float]]:
    """Tokens, mask and weight of the examples of step 1."""
    data = open_documents(workspace / "data" / "train")
    order = GlobalOrder(data.examples["dataset"], [1.0], batch_size=batch_size, seed=seed)
    return [
        (torch.from_numpy(data.ids(i)), torch.from_numpy(data.mask(i)), float(data.examples["weight"][i]))
        for i in order.batch(0).tolist()
    ]


def reference_loss(model: Any, batch: list[tuple[torch.Tensor, torch.Tensor, float]]) -> torch.Tensor:
    """sum_i w_i sum_t nll / sum_i w_i |S_i|, each example alone through the model's own forward pass."""
    above, below = torch.zeros(()), 0.0
    for ids, mask, weight in batch:
        logits = model(input_ids=ids[None]).logits[0]
        where = torch.nonzero(mask)[:, 0]
        nll = torch.nn.functional.cross_entropy(logits[where - 1], ids[where], reduction="sum")
        above = above + weight * nll
        below += weight * len(where)
    return above / below


def relative_error(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    assert found.keys() == wanted.keys()
    difference = sum(float((found[name] - wanted[name]).square().sum()) for name in wanted)
    return (difference / sum(float(g.square().sum()) for g in wanted.values())) ** 0.5


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_the_gradient_of_all_weights_is_that_of_one_plain_process(
    stage: int, chat_manifest: dict[str, Any], workspace: Path, causal_lm: Path, changed: Any, tmp_path: Path
) -> None:
    raw = changed(chat_manifest, method={"type": "full"}, deepspeed={"zeroStage": stage})
    # Rows of 96 tokens: each rank accumulates over several packed rows of unequal length.
    config = stages.orders(raw, Stage.TRAIN, workspace, tokens_per_micro_batch=96, **ONE_STEP)
    end = stages.run(config, tmp_path / "train")
    assert end.code == 0, end.log

    model = AutoModelForCausalLM.from_pretrained(causal_lm, dtype=torch.float32)
    assert config.train is not None
    batch = first_batch(workspace, batch_size=config.train.batch_size, seed=config.train.seed)
    assert len({weight for *_, weight in batch}) > 1, "the batch must hold different weights"
    loss = reference_loss(model, batch)
    loss.backward()

    wanted = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert relative_error(gradients_of_first_step(workspace), wanted) < 1e-5
    assert stages.losses(workspace)[1] == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("stage", [2, 3])
def test_the_gradient_of_adapters_is_that_of_plain_peft(
    stage: int, chat_manifest: dict[str, Any], workspace: Path, causal_lm: Path, changed: Any, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    raw = changed(chat_manifest, deepspeed={"zeroStage": stage}, method={"lora": {"rank": 4}})
    config = stages.orders(raw, Stage.TRAIN, workspace, tokens_per_micro_batch=96, **ONE_STEP)
    end = stages.run(config, tmp_path / "train")
    assert end.code == 0, end.log

    assert config.train is not None
    torch.manual_seed(config.train.seed)
    base = AutoModelForCausalLM.from_pretrained(causal_lm, dtype=torch.float32)
    torch.manual_seed(config.train.seed)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    batch = first_batch(workspace, batch_size=config.train.batch_size, seed=config.train.seed)
    reference_loss(model, batch).backward()

    wanted = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    found = gradients_of_first_step(workspace)
    assert all(float(g.abs().sum()) > 0 for name, g in found.items() if "lora_B" in name)
    assert relative_error(found, wanted) < 1e-5
