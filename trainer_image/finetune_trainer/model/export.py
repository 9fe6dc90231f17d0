"""The tuned weights as anybody loads them: an adapter in PEFT's layout, or a model in that of transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from finetune_api.contract.trainer_config import TrainConfig, TrainerConfig
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
        weights: of every trained parameter by its name in `head`, as `collect` gives them.
        beat: called after each file.
    """
    assert config.train is not None
    orders = config.train
    # Names begin with the attribute that holds the model inside the head.
    state = {name.removeprefix("model."): weight for name, weight in weights.items()}
    target = workspace.adapter if orders.lora else workspace.merged
    aside = target.with_name(f"{target.name}.writing-{config.job.attempt}")
    shutil.rmtree(aside, ignore_errors=True)
    tokenizer = load_tokenizer(workspace.model, trust_remote_code=config.model.trust_remote_code)
    if orders.lora:
        save_adapter(head.model, state, aside, base=config.model.uri, revision=_commit_of(workspace.model))
    else:
        with hearing_of_each_step(beat):
            head.inner.save_pretrained(aside, state_dict=state, max_shard_size=_FILE_SIZE)
    tokenizer.save_pretrained(aside)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)


def dtype_of_weights(orders: TrainConfig) -> torch.dtype:
    """In which precision the tuned weights are kept: adapters as the optimizer has them, a whole model as it was trained."""
    return torch.float32 if orders.lora else DTYPES[orders.precision]


def collect(weights: Iterable[tuple[str, torch.Tensor]], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Weights as they are written, cast while they come: all of them in fp32 are twice what a pod has room for beside them.

    What the last step did to them no loss has shown yet, so weights that are no numbers are refused here.

    Args:
        weights: names and whole tensors on the CPU. One that has to be cast is not held when the next one comes.
        dtype: of the result.
    Raises: UserError that names one that is broken.
    """
    result: dict[str, torch.Tensor] = {}
    broken: list[str] = []
    for name, weight in weights:
        lowest, highest = weight.aminmax()  # both are no number where one value is none; isfinite() would take copies
        if not (lowest.isfinite() and highest.isfinite()):
            broken.append(name)
        result[name] = weight.to(dtype)
        del weight  # else it lives on until the next one is here
    if broken:
        raise UserError(
            f"after the last step {len(broken)} of {len(result)} trained tensors hold values that are no finite numbers,"
            f" such as {broken[0]}",
            field="spec.training.learningRate",
            hint="Lower the learning rate.",
        )
    return result


def _commit_of(model: Path) -> str | None:
    marker = model / ".finetune.json"
    return json.loads(marker.read_text(encoding="utf-8"))["commit"] if marker.is_file() else None
