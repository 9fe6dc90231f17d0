"""What a model directory must hold, and what a GGUF file becomes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from finetune_api.errors import UserError
from finetune_trainer.model.facts import machine_facts, model_facts
from finetune_trainer.model.files import load_config, stop_ids
from finetune_trainer.model.gguf import convert_gguf
from finetune_trainer.model.load import load_causal_lm, load_classifier


def test_weights_that_the_checkpoint_lacks_are_an_error_and_not_random(causal_lm: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(causal_lm, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 weights, such as model\.layers\.1\.mlp\.up_proj\.weight"):
        load_causal_lm(folder, precision="fp32")


def test_a_new_classification_head_is_no_missing_weight_and_comes_from_the_seed(encoder: Path) -> None:
    def head(seed: int) -> torch.Tensor:
        model = load_classifier(encoder, labels=["x", "y"], precision="fp32", seed=seed)
        assert model.config.id2label == {0: "x", 1: "y"}
        weight: torch.Tensor = model.classifier.weight.detach()
        return weight

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))


def test_weights_of_another_shape_are_an_error_outside_the_head_and_not_random(encoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(encoder, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.0.output.dense.weight"] = torch.zeros(64, 127)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 weights, such as .*layer\.0\.output\.dense\.weight"):
        load_classifier(folder, labels=["x", "y"], precision="fp32", seed=1)


def test_a_config_of_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(UserError, match=r"config\.json cannot be used") as caught:
        load_config(tmp_path, trust_remote_code=False)
    assert caught.value.field == "spec.model.uri"


def test_all_end_tokens_of_the_generation_settings_end_an_answer(causal_lm: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(causal_lm, tmp_path / "model"))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 9]}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert stop_ids(folder, tokenizer) == sorted({7, 9, tokenizer.eos_token_id})


def test_activations_are_counted_as_published_for_llama_3_8b() -> None:
    from transformers import LlamaConfig

    config = LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, tie_word_embeddings=False, architectures=["LlamaForCausalLM"],
    )  # fmt: skip
    facts = model_facts(config, revision=None, digest="sha256:0", template_digest=None)
    assert facts.parameters == 8_030_261_248
    # By hand, in units of the width h in bf16: inputs and outputs of norms, projections, attention and the gated product.
    assert facts.activation_bytes_per_token.full / 4096 == pytest.approx(49.0, abs=0.1)
    assert facts.activation_bytes_per_token.checkpointed / 4096 == pytest.approx(2.0, abs=0.01)
    assert 0.85 < facts.activation_bytes_per_token.lora / facts.activation_bytes_per_token.full < 1.0


def test_the_rate_of_the_machine_is_measured() -> None:
    assert max(machine_facts(1).gflops_fp32 for _ in range(2)) > 1


def test_the_rate_of_a_core_is_that_of_one_among_others_at_work() -> None:
    many = 10 * (os.cpu_count() or 1)  # each gets a tenth of a processor
    among_others = machine_facts(many, size=256, rows=256).gflops_fp32
    alone = max(machine_facts(1, size=256, rows=256).gflops_fp32 for _ in range(3))  # a stall lowers it
    assert among_others < alone


def write_gguf(model_folder: Path, path: Path) -> None:
    """The test's own Llama as llama.cpp would store it: queries and keys in its order of rotary pairs, unquantised."""
    import gguf

    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    config, state = model.config, model.state_dict()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    backend = json.loads((model_folder / "tokenizer.json").read_text())
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    special = set(tokenizer.all_special_tokens) | {"<|im_start|>"}
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    merges = backend["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_bos_token_id(tokenizer.convert_tokens_to_ids("<|im_start|>"))
    writer.add_chat_template(tokenizer.chat_template)

    def paired(weight: np.ndarray, heads: int) -> np.ndarray:
        return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)

    names = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    for name, tensor in state.items():
        weight = tensor.numpy()
        if name.startswith("model.layers."):
            number, part = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(names[part])
            writer.add_tensor(f"blk.{number}.{names[part]}.weight", paired(weight, heads) if heads else weight)
        else:
            others = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
            writer.add_tensor(f"{others[name.removesuffix('.weight')]}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_becomes_a_plain_directory_with_the_same_model(causal_lm: Path, tmp_path: Path) -> None:
    write_gguf(causal_lm, tmp_path / "tiny.gguf")
    convert_gguf(tmp_path / "tiny.gguf", tmp_path / "plain")

    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        wanted = AutoModelForCausalLM.from_pretrained(causal_lm, dtype=torch.bfloat16)(input_ids=ids).logits
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "plain", dtype=torch.bfloat16)
        torch.testing.assert_close(plain(input_ids=ids).logits, wanted)
    assert getattr(plain.config, "quantization_config", None) is None
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (causal_lm, tmp_path / "plain"))
    text = "<|im_start|>user\nHow do I reset my password?<|im_end|>"
    assert after(text, add_special_tokens=False)["input_ids"] == before(text, add_special_tokens=False)["input_ids"]
    assert after.chat_template == before.chat_template
