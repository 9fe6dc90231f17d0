"""The arithmetic of training, on a model small enough to count by hand."""

from __future__ import annotations

from finetune_api.contract.facts import ActivationBytes, ModelFacts, SplitFacts
from finetune_operator.brain.cost import training_flops
from known_models import llama_8b

# Embedding of 10 x 4 = 40 parameters, an output layer of as many, 100 in the layers between.
TOY = ModelFacts(
    family="causal_lm",
    architecture="Toy",
    digest="sha256:0",
    parameters=180,
    embedding_parameters=40,
    layers=2,
    hidden_size=4,
    intermediate_size=8,
    attention_size=4,
    vocabulary=10,
    context_length=100,
    lora_sizes=0,
    activation_bytes_per_token=ActivationBytes(full=1, lora=1, checkpointed=1),
)
# Two documents of 5 and 3 tokens, of which 4 have loss.
DATA = SplitFacts(examples=2, tokens=8, supervised_tokens=4, longest=5, squared_tokens=34)
FORWARD = 2 * (100 * 8 + 40 * 4)  # 1,920: the head works on supervised rows alone
ATTENTION = 2 * 4 * 2 * 34  # 544


def test_full_training_costs_three_forward_passes() -> None:
    assert training_flops(TOY, DATA, lora=False, gradient_checkpointing=False) == 3 * FORWARD + 3 * ATTENTION


def test_frozen_weights_need_no_gradient_of_their_own() -> None:
    assert training_flops(TOY, DATA, lora=True, gradient_checkpointing=False) == 2 * FORWARD + 3 * ATTENTION


def test_recomputation_is_one_forward_pass_more() -> None:
    assert training_flops(TOY, DATA, lora=False, gradient_checkpointing=True) == 4 * FORWARD + 4 * ATTENTION


def test_a_tied_output_layer_multiplies_though_it_is_counted_once() -> None:
    tied = TOY.model_copy(update={"parameters": 140, "tied_embeddings": True})
    assert training_flops(tied, DATA, lora=False, gradient_checkpointing=False) == 3 * FORWARD + 3 * ATTENTION


def test_an_encoder_looks_both_ways_and_has_no_output_layer() -> None:
    encoder = TOY.model_copy(update={"family": "encoder", "parameters": 140})
    forward, attention = 2 * 100 * 8, 2 * ATTENTION
    assert training_flops(encoder, DATA, lora=False, gradient_checkpointing=False) == 3 * forward + 3 * attention


def test_a_large_model_costs_about_six_operations_per_parameter_and_token() -> None:
    # Kaplan et al. 2020 (arXiv:2001.08361), section 2.1: 6 N D, without embeddings and attention.
    model, tokens = llama_8b(), 1_000_000
    data = SplitFacts(examples=1000, tokens=tokens, supervised_tokens=tokens, longest=1000, squared_tokens=1000 * 1000**2)
    cost = training_flops(model, data, lora=False, gradient_checkpointing=False)
    parameters = model.parameters - model.embedding_parameters
    assert 1.0 < cost / (6 * parameters * tokens) < 1.05
