"""A GGUF file becomes a plain model directory, once.

transformers can read GGUF, but takes 17 CPU-seconds each time for 135M parameters and marks the model as quantised, which
training and merging then refuse. So the weights are dequantised into a fresh model of the same architecture and saved.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from finetune_api.errors import UserError

log = logging.getLogger(__name__)


def convert_gguf(file: Path, destination: Path) -> None:
    """Write the model in `file` as a Hugging Face directory with bf16 safetensors, tokenizer and chat template.

    Raises: UserError if the file is no GGUF that transformers understands, or lacks weights.
    """
    folder, name = str(file.parent), file.name
    disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        source = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"{name} is no GGUF model that can be converted: {first}",
            field="spec.model.uri",
            hint="Give the model in Hugging Face layout instead.",
        ) from None
    settings = source.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "transformers_version", "dtype", "torch_dtype"):
        settings.pop(key, None)
    config = type(source.config).from_dict(settings)
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    missing, unexpected = plain.load_state_dict(source.state_dict(), strict=False)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    if set(missing) - tied or unexpected:
        raise UserError(f"{name} does not hold the weights of a {config.model_type} model", field="spec.model.uri")
    plain.tie_weights()
    plain = plain.to(torch.bfloat16)
    plain.config.architectures = [type(plain).__name__]
    plain.generation_config.eos_token_id = tokenizer.eos_token_id
    plain.generation_config.pad_token_id = (
        tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    )
    plain.save_pretrained(destination)
    tokenizer.save_pretrained(destination)
    _forget_tokens_beyond(destination / "tokenizer.json", rows=config.vocab_size)
    log.info("converted %s: %s parameters", name, sum(p.numel() for p in plain.parameters()))


def _forget_tokens_beyond(file: Path, *, rows: int) -> None:
    """Take out tokens that have no row in the embedding, so that they are no part of the model.

    transformers builds these tokenizers as GPT-2's, and adds GPT-2's `<|endoftext|>` behind a vocabulary that lacks it, as
    Llama 3's does.
    """
    value = json.loads(file.read_text(encoding="utf-8"))
    known = value["added_tokens"]
    value["added_tokens"] = [token for token in known if token["id"] < rows]
    if len(value["added_tokens"]) < len(known):
        file.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
