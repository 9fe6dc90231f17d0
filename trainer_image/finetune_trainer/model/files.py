"""What a model directory says of itself: configuration, tokenizer, end tokens. Without torch, which takes seconds to import.
transformers, which takes two as well, is imported where there is a model.

prepare can so refuse a wrong row, tokenizer or template long before it needs to know what a model weighs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_api.errors import UserError
from finetune_trainer.data.tokens.characters import LONGEST, CharacterTokenizer

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

MODEL_FIELD = "spec.model.uri"


_NO_MODEL = "no-model.json"
"""Stands in a model's directory where data is prepared without a model: lengths are then characters."""


@dataclass(frozen=True, slots=True)
class NoModel:
    """The configuration where there is no model."""

    vocab_size: int = len(CharacterTokenizer())
    max_position_embeddings: int = LONGEST
    model_type: str = ""


def without_model(folder: Path) -> None:
    """Make a directory in which data is prepared without a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _NO_MODEL).write_text("{}", encoding="utf-8")


def has_model(folder: Path) -> bool:
    """Whether data is prepared for a model."""
    return not (folder / _NO_MODEL).is_file()


def load_config(folder: Path, *, trust_remote_code: bool) -> PretrainedConfig | NoModel:
    """The model's configuration.

    Raises: UserError if the directory holds none that transformers understands.
    """
    if not has_model(folder):
        return NoModel()
    from transformers import AutoConfig

    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise unusable(error, trust_remote_code, "its config.json cannot be used") from None
    return config


def load_tokenizer(folder: Path, *, trust_remote_code: bool) -> PreTrainedTokenizerBase | CharacterTokenizer:
    """The model's tokenizer.

    Raises: UserError if the directory holds none that transformers understands.
    """
    if not has_model(folder):
        return CharacterTokenizer()
    from transformers import AutoTokenizer

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


def stop_ids(folder: Path, tokenizer: PreTrainedTokenizerBase | CharacterTokenizer) -> list[int]:
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


def check_vocabulary(config: PretrainedConfig | NoModel, tokenizer: PreTrainedTokenizerBase | CharacterTokenizer) -> None:
    """Refuse a tokenizer that knows more tokens than the model has rows: the rest would index nothing.

    Raises: UserError with both numbers.
    """
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"the tokenizer has {len(tokenizer):,} tokens but the model only {config.vocab_size:,} rows for them",
            field=MODEL_FIELD,
            hint="Use the tokenizer that belongs to the model, or a model whose embedding was enlarged and trained.",
        )


def context_length(config: PretrainedConfig | NoModel) -> int:
    """Most positions the model can take, in tokens."""
    positions = getattr(config, "max_position_embeddings", None) or 2048
    # RoBERTa-class models count positions from padding_idx + 1.
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "longformer"):
        positions -= (config.pad_token_id or 0) + 1
    return int(positions)
