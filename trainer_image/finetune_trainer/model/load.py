"""Loading a model so that nothing is silently missing.

transformers fills weights that a checkpoint lacks with random numbers and a warning. A model tuned from random weights
still trains, and nobody sees why it is bad; so here missing weights are an error, except in a new classification head.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from finetune_api.errors import UserError
from finetune_trainer.model.files import MODEL_FIELD, unusable

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}

Precision = Literal["bf16", "fp32"]


def load_causal_lm(folder: Path, *, precision: Precision, trust_remote_code: bool = False) -> PreTrainedModel:
    """A causal language model in one precision, every weight from the checkpoint, with transformers' own attention for it.

    Args:
        folder: model directory.
    Raises: UserError if the checkpoint lacks weights.
    """
    return _load(AutoModelForCausalLM, folder, precision, trust_remote_code, new_head=False)[0]


def load_classifier(
    folder: Path,
    *,
    labels: list[str],
    precision: Precision,
    seed: int,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """An encoder with a head for these classes; where the checkpoint has no fitting head, a new one from the seed.

    Args:
        labels: names of the classes in the order of their numbers; they go into the model's configuration.
    Raises: UserError if the checkpoint lacks weights outside the head.
    """
    return load_new_classifier(folder, labels=labels, precision=precision, seed=seed, trust_remote_code=trust_remote_code)[0]


def load_new_classifier(
    folder: Path,
    *,
    labels: list[str],
    precision: Precision,
    seed: int,
    trust_remote_code: bool = False,
) -> tuple[PreTrainedModel, list[str]]:
    """The same, and which of its modules are new: their weights are in no file, so whoever tunes the model has to save them."""
    torch.manual_seed(seed)
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: number for number, label in enumerate(labels)}}
    more = {"num_labels": len(labels), "ignore_mismatched_sizes": True, **names}
    return _load(AutoModelForSequenceClassification, folder, precision, trust_remote_code, new_head=True, **more)


def _load(
    kind: Any, folder: Path, precision: Precision, trusted: bool, *, new_head: bool, **more: Any
) -> tuple[PreTrainedModel, list[str]]:
    try:
        model, info = kind.from_pretrained(
            folder,
            dtype=DTYPES[precision],
            trust_remote_code=trusted,
            output_loading_info=True,
            **more,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise unusable(error, trusted, "its weights cannot be used") from None
    inside = {name.split(".")[0] for name, _ in model.base_model.named_parameters()}
    random = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    head = {name for name in random if new_head and _is_head(name, model.base_model_prefix, inside)}
    if missing := sorted(random - head):
        raise UserError(
            f"the model directory lacks {len(missing)} weights, such as {missing[0]}; they would be random numbers",
            field=MODEL_FIELD,
            hint="Is it complete, and of the architecture that its config.json names?",
        )
    return model, sorted({_module_of(name, model.base_model_prefix) for name in head})


def _module_of(name: str, prefix: str) -> str:
    """The part of a head to which a weight belongs: classifier.bias -> classifier, bert.pooler.dense.bias -> bert.pooler."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == prefix else parts[0]


def _is_head(name: str, prefix: str, inside: set[str]) -> bool:
    """Whether a weight belongs to the classification head or to the pooler that only a head reads."""
    parts = name.split(".")
    if parts[0] == prefix:
        return len(parts) > 1 and parts[1] == "pooler"
    return parts[0] not in inside or parts[0] == "pooler"
