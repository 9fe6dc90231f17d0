"""What a model directory says of itself: configuration, tokenizer, end tokens. Without torch, which takes seconds to import.

prepare can so refuse a wrong row, tokenizer or template long before it needs to know what a model weighs.
"""

from __future__ import annotations

import json
from pathlib import Path

from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from finetune_api.errors import UserError

MODEL_FIELD = "spec.model.uri"


def load_config(folder: Path, *, trust_remote_code: bool) -> PretrainedConfig:
    """The model's configuration.

    Raises: UserError if the directory holds none that transformers understands.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise unusable(error, trust_remote_code, "its config.json cannot be used") from None
    return config


def load_tokenizer(folder: Path, *, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """The model's tokenizer.

    Raises: UserError if the directory holds none that transformers understands.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise unusable(error, trust_remote_code, "its tokenizer cannot be used") from None
    return tokenizer


def unusable(error: Exception, trusted: bool, what: str) -> UserError:
    """A library's complaint about a model as an error of ours, with the first line of what it said."""
    first = (str(error).splitlines() or [type(error).__name__])[0][:200]
    code = "trust_remote_code" in str(error) and not trusted
    hint = "It comes with Python code of its own: read it, then set spec.model.trustRemoteCode." if code else None
    return UserError(f"the model was read, but {what}: {first}", field=MODEL_FIELD, hint=hint)


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


def context_length(config: PretrainedConfig) -> int:
    """Most positions the model can take, in tokens."""
    positions = getattr(config, "max_position_embeddings", None) or 2048
    # RoBERTa-class models count positions from padding_idx + 1.
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "longformer"):
        positions -= (config.pad_token_id or 0) + 1
    return int(positions)
