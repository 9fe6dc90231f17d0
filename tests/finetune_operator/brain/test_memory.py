"""Bytes per process: the published numbers, and what must hold for every model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from finetune_api.contract.facts import ModelFacts
from finetune_operator.brain.memory import Layout, Offload, activation_bytes, lora_parameters, states_bytes, total_bytes
from known_models import an_encoder, llama_8b

PLAIN = Layout(zero_stage=1, offload="none", gradient_checkpointing=False, tokens=4096)


@pytest.mark.parametrize(("stage", "gigabytes"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_zero_spreads_the_states_as_published(stage: int, gigabytes: float) -> None:
    """Rajbhandari et al. 2020, figure 1: 7.5 billion parameters on 64 GPUs."""
    layout = replace(PLAIN, zero_stage=stage)
    states = states_bytes(7_500_000_000, 7_500_000_000, 64, layout, "bf16")
    assert states / 1e9 == pytest.approx(gigabytes, abs=0.05)


@pytest.mark.parametrize(
    ("stage", "offload", "expected"),
    [
        (1, "none", 2 * 1000 + 2 * 100 + 12 * 100 / 4),
        (1, "optimizer", 2 * 1000 + 2 * 100),
        (2, "optimizer", 2 * 1000 + 2 * 100 / 4),
        (3, "none", 2 * 1000 / 4 + 2 * 100 / 4 + 12 * 100 / 4),
        (3, "parameters", 2 * 100 / 4),
    ],
)
def test_what_is_offloaded_leaves_the_gpu(stage: int, offload: Offload, expected: float) -> None:
    layout = replace(PLAIN, zero_stage=stage, offload=offload)
    assert states_bytes(1000, 100, 4, layout, "bf16") == expected


def test_full_precision_doubles_weights_and_gradients_but_not_the_moments() -> None:
    assert states_bytes(1000, 100, 1, PLAIN, "fp32") == 4 * 1000 + 4 * 100 + 12 * 100


def test_adapters_of_the_8b_model_have_the_published_number_of_parameters() -> None:
    # PEFT on Meta-Llama-3-8B, rank 16, all linear layers: "trainable params: 41,943,040".
    assert lora_parameters(llama_8b(), 16) == 41_943_040


def test_a_micro_batch_leaves_a_trace_in_every_layer_unless_it_is_recomputed() -> None:
    model = llama_8b()
    kept = activation_bytes(model, PLAIN, lora=False, precision="bf16")
    again = activation_bytes(model, replace(PLAIN, gradient_checkpointing=True), lora=False, precision="bf16")
    assert kept == 4096 * 32 * 49 * 4096
    assert again == 4096 * (32 * 2 + 49) * 4096


def bytes_of(model: ModelFacts, layout: Layout, **more: Any) -> float:
    usual: dict[str, Any] = {
        "trainable": lora_parameters(model, 16),
        "world_size": 8,
        "lora": True,
        "precision": "bf16",
        "supervised_share": 0.5,
        "device": "cuda",
    }
    return total_bytes(model, layout, **{**usual, **more})


def test_an_encoder_has_no_logits_over_its_vocabulary() -> None:
    small, large = (an_encoder().model_copy(update={"vocabulary": v}) for v in (30_522, 250_000))
    assert bytes_of(small, PLAIN) == bytes_of(large, PLAIN)
    assert bytes_of(llama_8b(), PLAIN) < bytes_of(llama_8b().model_copy(update={"vocabulary": 250_000}), PLAIN)


layouts = st.builds(
    Layout,
    st.integers(0, 3),
    st.sampled_from(["none", "optimizer", "parameters"]),
    st.booleans(),
    st.sampled_from([64, 512, 4096, 32768]),
)
both = st.booleans()


@given(strategies.models(), layouts, both, st.integers(1, 64), st.integers(1, 64))
def test_more_gpus_never_need_more_memory_per_gpu(
    model: ModelFacts, layout: Layout, lora: bool, world_size: int, more: int
) -> None:
    trainable = lora_parameters(model, 16) if lora else model.parameters
    few, many = (bytes_of(model, layout, lora=lora, trainable=trainable, world_size=n) for n in (world_size, world_size + more))
    assert many <= few


@given(strategies.models(), layouts, both, st.integers(1, 100_000))
def test_longer_rows_always_need_more(model: ModelFacts, layout: Layout, lora: bool, more: int) -> None:
    assert bytes_of(model, layout, lora=lora) < bytes_of(model, replace(layout, tokens=layout.tokens + more), lora=lora)


@given(strategies.models(), layouts)
def test_recomputation_offloading_and_partition_never_need_more(model: ModelFacts, layout: Layout) -> None:
    plain = replace(layout, gradient_checkpointing=False, offload="none", zero_stage=0)
    for cheaper in ({"gradient_checkpointing": True}, {"offload": "optimizer"}, {"zero_stage": 1}, {"zero_stage": 2}):
        assert bytes_of(model, replace(plain, **cheaper)) <= bytes_of(model, plain)  # type: ignore[arg-type]  # one field each


@given(strategies.models(), layouts)
def test_full_precision_and_full_training_need_more(model: ModelFacts, layout: Layout) -> None:
    assert bytes_of(model, layout, precision="bf16") < bytes_of(model, layout, precision="fp32")
    whole = bytes_of(model, layout, lora=False, trainable=model.parameters)
    assert bytes_of(model, layout) <= whole
