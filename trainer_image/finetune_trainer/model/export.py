"""The tuned weights as anybody loads them: an adapter in PEFT's layout, or a model in that of transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import UserError
from finetune_trainer.environment import hearing_of_each_step
from finetune_trainer.model.adapters import save_adapter
from finetune_trainer.model.files import load_tokenizer
from finetune_trainer.model.heads import Head
from finetune_trainer.model.load import DTYPES

_FILE_SIZE = "5GB"
"""Of a model in several files: minutes on a slow disk, for which the libraries hold up every other thread of the process."""


def export(
    config: TrainerConfig,
    workspace: Workspace,
    head: Head,
    weights: dict[str, torch.Tensor],
    *,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Write adapter or model with its tokenizer, aside and then in one rename.

    Args:
        config: orders of train.
        workspace: where it goes.
        head: the model with its loss.
        weights: of every trained parameter by its name in `head`, whole, fp32, on the CPU.
        beat: called after each file.
    Raises: UserError if training has ruined the weights.
    """
    assert config.train is not None
    orders = config.train
    check_finite(weights)
    # Names begin with the attribute that holds the model inside the head.
    state = {name.removeprefix("model."): weight for name, weight in weights.items()}
    target = workspace.adapter if orders.lora else workspace.merged
    aside = target.with_name(f"{target.name}.writing-{config.job.attempt}")
    shutil.rmtree(aside, ignore_errors=True)
    tokenizer = load_tokenizer(workspace.model, trust_remote_code=config.model.trust_remote_code)
    if orders.lora:
        save_adapter(head.model, state, aside, base=config.model.uri, revision=_commit_of(workspace.model))
    else:
        dtype = DTYPES[orders.precision]
        tuned = {name: weight.to(dtype) for name, weight in state.items()}
        with hearing_of_each_step(beat):
            head.inner.save_pretrained(aside, state_dict=tuned, max_shard_size=_FILE_SIZE)
    tokenizer.save_pretrained(aside)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)


def check_finite(weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights that are no numbers: what the last step did to them no loss has shown yet.

    Raises: UserError that names one of them.
    """
    broken = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if broken:
        raise UserError(
            f"after the last step {len(broken)} of {len(weights)} trained tensors hold values that are no finite numbers,"
            f" such as {broken[0]}",
            field="spec.training.learningRate",
            hint="Lower the learning rate.",
        )


def _commit_of(model: Path) -> str | None:
    marker = model / ".finetune.json"
    return json.loads(marker.read_text(encoding="utf-8"))["commit"] if marker.is_file() else None
