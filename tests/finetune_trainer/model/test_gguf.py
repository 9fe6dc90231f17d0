"""A GGUF file becomes a model directory once, with the weights that its own numbers mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import stages
from finetune_operator.brain.stages import Stage
from rows import chats, write_jsonl

HEADS, KEY_HEADS = 4, 2
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries and keys in GGUF's order: the two halves of each head's rotation side by side."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(model: Path, file: Path) -> dict[str, torch.Tensor]:
    """Write a Llama as GGUF, its matrices in 8 bits; returns the weights that these bits mean."""
    source = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    config, tokens = source.config, json.loads((model / "tokenizer.json").read_text())["model"]
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    tokenizer = AutoTokenizer.from_pretrained(model)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    ids = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    writer.add_token_list([token for token, _ in ids])
    special = set(tokenizer.all_special_tokens) | {"<|im_start|>"}
    writer.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t, _ in ids])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in tokens["merges"]])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    meant = {}
    for name, tensor in source.state_dict().items():
        layer = name.split(".")[2] if name.startswith("model.layers.") else None
        target = NAMES[name.split(".", 3)[3] if layer else name]
        weight = tensor.numpy()
        if weight.ndim == 1:
            stored, kept = weight, weight
            writer.add_tensor(f"blk.{layer}.{target}" if layer else target, stored)
        else:
            heads = {"attn_q.weight": HEADS, "attn_k.weight": KEY_HEADS}.get(target)
            kind = gguf.GGMLQuantizationType.Q8_0
            kept = gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)
            stored = gguf.quants.quantize(interleaved(weight, heads) if heads else weight, kind)
            writer.add_tensor(f"blk.{layer}.{target}" if layer else target, stored, raw_dtype=kind)
        meant[name] = torch.from_numpy(np.array(kept)).to(torch.bfloat16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


@pytest.fixture
def job(causal_lm: Path, tmp_path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    meant = write_gguf(causal_lm, tmp_path / "small.Q8_0.gguf")
    rows = write_jsonl(tmp_path / "chats.jsonl", chats(60))
    raw = stages.manifest(tmp_path / "small.Q8_0.gguf", [{"uri": f"file://{rows}"}], tmp_path / "out")
    return raw, meant


def test_a_gguf_model_has_the_logits_of_its_dequantised_weights(
    job: tuple[dict[str, Any], dict[str, torch.Tensor]], causal_lm: Path, tmp_path: Path
) -> None:
    raw, meant = job
    end = stages.prepare(raw, tmp_path / "workspace")
    assert end.code == 0, end.log

    found = AutoModelForCausalLM.from_pretrained(tmp_path / "workspace/model", dtype=torch.float32).eval()
    wanted = AutoModelForCausalLM.from_pretrained(causal_lm, dtype=torch.float32).eval()
    wanted.load_state_dict({name: tensor.float() for name, tensor in meant.items()})

    ids = torch.arange(5, 45)[None]
    with torch.no_grad():
        assert torch.allclose(found(input_ids=ids).logits, wanted(input_ids=ids).logits, atol=1e-5)
    assert not hasattr(found.config, "quantization_config")
    mine, source = (AutoTokenizer.from_pretrained(path) for path in (tmp_path / "workspace/model", causal_lm))
    text = "<|im_start|>user\nHow do I reset my password?<|im_end|>\n"
    assert mine(text, add_special_tokens=False).input_ids == source(text, add_special_tokens=False).input_ids
    assert mine.chat_template == source.chat_template


def test_a_gguf_model_is_converted_once_and_no_bar_is_drawn(
    job: tuple[dict[str, Any], dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    raw, _ = job
    workspace = tmp_path / "workspace"
    # A process of its own: which bars are drawn is settled when libraries are imported.
    first = stages.run(stages.orders(raw, Stage.PREPARE, workspace), tmp_path / "prepare-1", TQDM_MININTERVAL="0")
    assert first.code == 0, first.log
    assert "converted small.Q8_0.gguf" in first.log
    for bar in ("%|", "it/s", "de-quantizing", "\r"):
        assert bar not in first.log, first.log

    again = stages.run_here(stages.orders(raw, Stage.PREPARE, workspace, attempt=2), tmp_path / "prepare-2")
    assert again.code == 0, again.log
    assert "converted" not in again.log
