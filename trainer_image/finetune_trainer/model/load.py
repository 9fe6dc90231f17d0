"""Loading a model so that nothing is silently missing.

transformers fills weights that a checkpoint lacks with random numbers and a warning. A model tuned from random weights
still trains, and nobody sees why it is bad; so here missing weights are an error, except in a new classification head.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from finetune_api.errors import UserError

MODEL_FIELD = "spec.model.uri"
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}

Precision = Literal["bf16", "fp32"]


def load_config(folder: Path, *, trust_remote_code: bool) -> PretrainedConfig:
    """The model's configuration.

    Raises: UserError if the directory holds none that transformers understands.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise _unusable(error, trust_remote_code, "its config.json cannot be used") from None
    return config


def load_tokenizer(folder: Path, *, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """The model's tokenizer.

    Raises: UserError if the directory holds none that transformers understands.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise _unusable(error, trust_remote_code, "its tokenizer cannot be used") from None
    return tokenizer


def _unusable(error: Exception, trusted: bool, what: str) -> UserError:
    first = (str(error).splitlines() or [type(error).__name__])[0][:200]
    code = "trust_remote_code" in str(error) and not trusted
    hint = "It comes with Python code of its own: read it, then set spec.model.trustRemoteCode." if code else None
    return UserError(f"the model was read, but {what}: {first}", field=MODEL_FIELD, hint=hint)


def load_causal_lm(folder: Path, *, precision: Precision, attention: str, trust_remote_code: bool = False) -> PreTrainedModel:
    """A causal language model in one precision, every weight from the checkpoint.

    Args:
        folder: model directory.
        attention: name of an attention implementation, such as sdpa or our packed one.
    Raises: UserError if the checkpoint lacks weights.
    """
    return _load(AutoModelForCausalLM, folder, precision, attention, trust_remote_code, new_head=False)


def load_classifier(
    folder: Path,
    *,
    labels: list[str],
    precision: Precision,
    attention: str,
    seed: int,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """An encoder with a head for these classes; where the checkpoint has no fitting head, a new one from the seed.

    Args:
        labels: names of the classes in the order of their numbers; they go into the model's configuration.
    Raises: UserError if the checkpoint lacks weights outside the head.
    """
    torch.manual_seed(seed)
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: number for number, label in enumerate(labels)}}
    more = {"num_labels": len(labels), "ignore_mismatched_sizes": True, **names}
    return _load(AutoModelForSequenceClassification, folder, precision, attention, trust_remote_code, new_head=True, **more)


def _load(
    kind: Any, folder: Path, precision: Precision, attention: str, trusted: bool, *, new_head: bool, **more: Any
) -> PreTrainedModel:
    try:
        model, info = kind.from_pretrained(
            folder,
            dtype=DTYPES[precision],
            attn_implementation=attention,
            trust_remote_code=trusted,
            output_loading_info=True,
            **more,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _unusable(error, trusted, "its weights cannot be used") from None
    inside = {name.split(".")[0] for name, _ in model.base_model.named_parameters()}
    missing = [
        name for name in sorted(info["missing_keys"]) if not (new_head and _is_head(name, model.base_model_prefix, inside))
    ]
    if missing:
        raise UserError(
            f"the model directory lacks {len(missing)} weights, such as {missing[0]}; they would be random numbers",
            field=MODEL_FIELD,
            hint="Is it complete, and of the architecture that its config.json names?",
        )
    return model


def _is_head(name: str, prefix: str, inside: set[str]) -> bool:
    """Whether a weight belongs to the classification head or to the pooler that only a head reads."""
    parts = name.split(".")
    if parts[0] == prefix:
        return len(parts) > 1 and parts[1] == "pooler"
    return parts[0] not in inside or parts[0] == "pooler"


def stop_ids(folder: Path, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids at which the model ends an answer: those of its generation settings and the tokenizer's end token."""
    found: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        if path.is_file():
            value = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
            found |= set(value) if isinstance(value, list) else {value} if isinstance(value, int) else set()
    if tokenizer.eos_token_id is not None:
        found.add(int(tokenizer.eos_token_id))
    return sorted(found)


def check_vocabulary(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that knows more tokens than the model has rows: the rest would index nothing.

    Raises: UserError with both numbers.
    """
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"the tokenizer has {len(tokenizer):,} tokens but the model only {config.vocab_size:,} rows for them",
            field=MODEL_FIELD,
            hint="Use the tokenizer that belongs to the model, or a model whose embedding was enlarged and trained.",
        )
