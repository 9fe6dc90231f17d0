"""LoRA: attaching adapters, making sure that they are where they should be, and getting them out again.

PEFT fails only when no module at all matches. A typo in one of two names trains half of what was meant, and an adapter
that is saved empty (ZeRO-3 without gathering) or never trained looks like any other file. Both are checked here.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from finetune_api.contract.trainer_config import LoraConfig
from finetune_api.errors import FinetuneError, UserError
from finetune_api.uris import file_path

log = logging.getLogger(__name__)

ALL_LINEAR = "all-linear"


def attach(
    model: PreTrainedModel,
    orders: LoraConfig,
    *,
    classification: bool,
    dtype: torch.dtype,
    seed: int,
    new_modules: Sequence[str] = (),
) -> Any:
    """Freeze the model and put adapters beside its linear layers.

    Args:
        orders: rank, scale, dropout and where.
        classification: the new head is trained and saved with the adapters.
        dtype: of the adapters; that of the model saves a third of the activations against PEFT's fp32, and DeepSpeed keeps
            fp32 master weights anyway.
        seed: of the new weights.
        new_modules: modules that no checkpoint has, such as a pooler: trained and saved whole, for nobody else could make them.
    Raises: UserError if a name matches no module.
    """
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    torch.manual_seed(seed)
    names: str | list[str] = ALL_LINEAR if orders.target_modules == (ALL_LINEAR,) else list(orders.target_modules)
    if isinstance(names, list):
        _check_names(model, names)
    whole = set(new_modules)
    if classification:
        # PEFT saves whole what ends like its names of heads (pre_classifier), and fails where it has put an adapter before.
        whole |= {name for name, _ in model.named_children() if name.endswith(("classifier", "score"))}
    config = PeftConfig(
        r=orders.rank,
        lora_alpha=orders.alpha,
        lora_dropout=orders.dropout,
        target_modules=names,
        modules_to_save=sorted(whole) or None,
        task_type="SEQ_CLS" if classification else "CAUSAL_LM",
    )
    wrapped = get_peft_model(model, config, autocast_adapter_dtype=False)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
    places = adapted_modules(wrapped)
    log.info("adapters on %s", ", ".join(f"{name} x{count}" for name, count in sorted(places.items())))
    return wrapped


def adapted_modules(model: Any) -> Counter[str]:
    """How many modules of each name carry an adapter."""
    from peft.tuners.lora import LoraLayer

    return Counter(name.split(".")[-1] for name, module in model.named_modules() if isinstance(module, LoraLayer))


def _check_names(model: PreTrainedModel, names: list[str]) -> None:
    linear = {name.split(".")[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    for index, name in enumerate(names):
        if name not in linear and not any(re.search(rf"(^|\.){re.escape(name)}$", full) for full, _ in model.named_modules()):
            raise UserError(
                f"no module of the model is called {name!r}; there are {', '.join(sorted(linear))}",
                field=f"spec.method.lora.targetModules[{index}]",
            )


def save_adapter(model: Any, state: dict[str, torch.Tensor], folder: Path, *, base: str, revision: str | None) -> None:
    """Write the adapters in PEFT's layout, and look at what was written.

    Args:
        model: wrapped by PEFT.
        state: every trained parameter by its full name, gathered.
        folder: a new directory.
        base: URI of the base model; a path of the workspace would mean nothing to a reader.
        revision: its commit, if it has one.
    Raises: FinetuneError if what was written is empty or untrained.
    """
    # Saving embeddings makes PEFT ask a model hub for the base's vocabulary, which fails where there is no network.
    model.save_pretrained(folder, state_dict=state, save_embedding_layers=False)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    base = base.split("?")[0]  # what comes after it may be a signature, and this file is published
    config["base_model_name_or_path"] = file_path(base) or base.removeprefix("hf://")
    config["revision"] = revision
    config["inference_mode"] = True
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "README.md").unlink(missing_ok=True)  # the model card is written when the model is published
    _check_adapter(folder)


def _check_adapter(folder: Path) -> None:
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        second = [name for name in file.keys() if "lora_B" in name]  # noqa: SIM118  # not a mapping
        untrained = [name for name in second if not file.get_tensor(name).numel() or not file.get_tensor(name).any()]
    if not second or len(untrained) == len(second):
        raise FinetuneError("the saved adapter is empty or untrained")
    if untrained:
        log.warning("%d of %d adapters are still zero", len(untrained), len(second))
