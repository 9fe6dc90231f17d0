"""Documents that share a row do not see each other, and a model whose documents would is noticed before it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune_api.errors import UserError
from finetune_trainer.data.store import EXAMPLE, Documents
from finetune_trainer.model import attention
from finetune_trainer.model.batch import MicroBatch, micro_batch
from finetune_trainer.model.heads import CausalHead, ClassifierHead, Head
from finetune_trainer.model.load import load_causal_lm, load_classifier
from finetune_trainer.model.packing import check_packing

attention.register()
LENGTHS = [5, 17, 1, 30, 9]


def documents(lengths: list[int] = LENGTHS, *, vocabulary: int = 380, seed: int = 0, labels: bool = False) -> Documents:
    chance = np.random.default_rng(seed)
    examples = np.zeros(len(lengths), EXAMPLE)
    examples["length"], examples["weight"] = lengths, chance.choice([0.5, 1.0, 3.0], len(lengths))
    examples["offset"] = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    examples["label"] = chance.integers(0, 3, len(lengths)) if labels else -1
    mask = chance.integers(0, 2, sum(lengths)).astype(np.uint8)
    mask[examples["offset"]] = 0
    return Documents(chance.integers(0, vocabulary, sum(lengths)).astype(np.uint32), mask, examples)


def causal_head(folder: Path, precision: Any = "fp32") -> CausalHead:
    return CausalHead(load_causal_lm(folder, precision=precision))


def classifier_head(folder: Path) -> ClassifierHead:
    return ClassifierHead(load_classifier(folder, labels=["a", "b", "c"], precision="fp32", seed=1))


def one_by_one(head: Head, data: Documents, **options: Any) -> list[MicroBatch]:
    return [micro_batch(data, [i], classification=head.classification, **options) for i in range(len(data))]


def gradients(head: Head) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in head.parameters() if p.grad is not None])


@pytest.mark.parametrize("implementation", [attention.PACKED, attention.PACKED_LEAN])
def test_loss_and_gradient_of_a_packed_row_are_those_of_its_documents_alone(causal_lm: Path, implementation: str) -> None:
    data = documents()
    alone = causal_head(causal_lm)
    total = torch.zeros(())
    for batch in one_by_one(alone, data):
        logits = alone.reference_logits(batch)
        loss = (torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none") * batch.weights).sum()
        if len(batch.targets):
            loss.backward()
        total += loss.detach()

    packed = causal_head(causal_lm)
    packed.inner.set_attn_implementation(implementation)
    loss = packed(micro_batch(data, list(range(len(data))), classification=False))
    loss.backward()

    torch.testing.assert_close(loss.detach(), total, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(gradients(packed), gradients(alone), rtol=1e-4, atol=1e-5)


def test_a_packed_encoder_chooses_as_it_does_for_each_text_alone(encoder: Path) -> None:
    head = classifier_head(encoder).eval()
    data = documents([5, 17, 3, 30, 9], labels=True)
    with torch.no_grad():
        alone = torch.cat([head.reference_logits(batch) for batch in one_by_one(head, data)])
        head.inner.set_attn_implementation(attention.PACKED)
        together = head.logits(micro_batch(data, list(range(5)), classification=True))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["RobertaConfig", "DistilBertConfig", "ElectraConfig"])
def test_other_encoders_of_the_bert_class_are_packed_exactly_too(kind: str, tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, kind)(
        vocab_size=400, hidden_size=32, dim=32, embedding_size=32, num_hidden_layers=2, n_layers=2, num_attention_heads=4,
        n_heads=4, intermediate_size=64, hidden_dim=64, max_position_embeddings=66, pad_token_id=1,
    )  # fmt: skip
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    head = classifier_head(tmp_path)
    verdict = check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=60, on_gpu=False)
    assert verdict.packed, verdict.reason
    data = documents([5, 17, 3], labels=True)
    with torch.no_grad():
        head.eval()
        batch = micro_batch(data, [0, 1, 2], classification=True, first_position=head.first_position)
        together = head.logits(batch)
        head.inner.set_attn_implementation(head.own_attention)
        alone = torch.cat([head.reference_logits(batch) for batch in one_by_one(head, data)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_bf16_rounds_but_does_not_leak(causal_lm: Path) -> None:
    head = causal_head(causal_lm, "bf16")
    verdict = check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=60, on_gpu=False)
    assert verdict.packed, verdict.reason
    assert head.in_pieces


def test_scores_from_pieces_of_outputs_are_those_of_all_at_once(causal_lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune_trainer.model import heads
    from finetune_trainer.scoring.score import score

    head = causal_head(causal_lm).eval()
    check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=60, on_gpu=False)
    assert head.in_pieces
    data = documents()
    whole = score(head, data, packed=True, budget_tokens=40)
    monkeypatch.setattr(heads, "_ROWS_AT_ONCE", 5)
    beats: list[int] = []
    pieces = score(head, data, packed=True, budget_tokens=40, beat=lambda: beats.append(1))
    assert len(beats) > 1, "a sign of life after each row"
    np.testing.assert_allclose(pieces.nll, whole.nll, rtol=1e-5)
    np.testing.assert_array_equal(pieces.correct, whole.correct)


def leaking(*args: Any, **kwargs: Any) -> Any:
    """An attention that knows no borders, as a layer of an unknown kind might."""
    bounds = kwargs["cu_seq_lens_q"]
    whole = torch.tensor([0, int(bounds[-1])], dtype=torch.int32)
    return attention.packed_attention(*args, **{**kwargs, "cu_seq_lens_q": whole})


def test_a_model_whose_documents_see_each_other_falls_back_to_one_document_per_row(causal_lm: Path) -> None:
    from transformers import AttentionInterface

    AttentionInterface.register("leaking", leaking)
    head = causal_head(causal_lm)
    verdict = check_packing(head, asked="auto", packed_attention="leaking", longest=60, on_gpu=False)
    assert not verdict.packed
    assert "outputs differ" in verdict.reason
    assert head.inner.config._attn_implementation == head.own_attention
    with pytest.raises(UserError, match="cannot share a row") as caught:
        check_packing(head, asked="always", packed_attention="leaking", longest=60, on_gpu=False)
    assert caught.value.field == "spec.training.packing"


def test_soft_caps_which_the_adapter_does_not_know_lead_to_the_fallback(tmp_path: Path) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, max_position_embeddings=128, sliding_window=64, attn_logit_softcapping=30.0,
    )  # fmt: skip
    Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    verdict = check_packing(causal_head(tmp_path), asked="auto", packed_attention=attention.PACKED, longest=60, on_gpu=False)
    assert not verdict.packed
    assert "softcap" in verdict.reason


def test_values_of_another_size_than_queries_lead_to_the_fallback(tmp_path: Path) -> None:
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    torch.manual_seed(0)
    config = DeepseekV3Config(
        vocab_size=400, hidden_size=32, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=2,
        first_k_dense_replace=1, n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1, num_attention_heads=4,
        num_key_value_heads=4, q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16,
        max_position_embeddings=128,
    )  # fmt: skip
    DeepseekV3ForCausalLM(config).save_pretrained(tmp_path)
    head = causal_head(tmp_path)
    verdict = check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=60, on_gpu=False)
    assert not verdict.packed
    assert "heads of 24 have values of 16" in verdict.reason
    (batch, *_) = one_by_one(head, documents())
    assert torch.isfinite(head(batch)), "one document per row it is trained"


def broken(message: str) -> Any:
    def attend(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(message)

    return attend


def test_a_kernel_that_fails_leads_to_the_fallback_and_full_memory_or_a_lost_peer_do_not(causal_lm: Path) -> None:
    from transformers import AttentionInterface

    def verdict(message: str) -> Any:
        AttentionInterface.register("broken", broken(message))
        return check_packing(causal_head(causal_lm), asked="auto", packed_attention="broken", longest=60, on_gpu=False)

    fell_back = verdict("The size of tensor a (24) must match the size of tensor b (16)")
    assert not fell_back.packed
    assert "must match" in fell_back.reason
    for message in ("CUDA out of memory. Tried to allocate 2.00 GiB.", "Connection closed by peer [127.0.0.1]:40404"):
        with pytest.raises(RuntimeError, match=message[:20]):
            verdict(message)


def test_what_one_rank_cannot_pack_none_packs(causal_lm: Path) -> None:
    asked: list[tuple[int, ...]] = []

    def other_cannot(*values: int) -> tuple[int, ...]:
        asked.append(values)
        return tuple(1 for _ in values)

    head = causal_head(causal_lm)
    verdict = check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=60, on_gpu=False, agree=other_cannot)
    assert not verdict.packed
    assert asked == [(False,)], "this one could"
    assert head.inner.config._attn_implementation == head.own_attention


def test_examples_beyond_a_sliding_window_are_not_packed_on_a_cpu(tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, sliding_window=32,
    )  # fmt: skip
    MistralForCausalLM(config).save_pretrained(tmp_path)
    head = causal_head(tmp_path)
    inside = check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=32, on_gpu=False)
    beyond = check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=33, on_gpu=False)
    assert (inside.packed, beyond.packed) == (True, False)
    assert "sliding window" in beyond.reason
    # On a GPU the attention itself says it beforehand, where its kernel does not take this precision or head.
    refused = check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=33, on_gpu=True)
    assert not refused.packed
    assert "without the variable-length kernel" in refused.reason


def test_dropout_in_attention_repeats_itself_when_the_row_is_run_again() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 4, 12, 8) for _ in range(3))
    bounds = torch.tensor([0, 5, 12], dtype=torch.int32)
    layer = torch.nn.Module()
    found = []
    for lean in (False, True):
        leaves = [x.clone().requires_grad_() for x in (query, key, value)]
        torch.manual_seed(3)
        out, _ = attention.packed_attention(layer, *leaves, None, cu_seq_lens_q=bounds, max_length_q=7, dropout=0.5, lean=lean)
        torch.manual_seed(99)  # whatever happens between forward and backward
        out.square().sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for kept, again in zip(*found, strict=True):
        torch.testing.assert_close(kept, again)


def test_the_kernel_for_gpus_takes_what_it_is_given() -> None:
    """No GPU runs here: but a torch whose kernel has other arguments would be noticed."""
    assert attention.varlen_kernel() is not None
