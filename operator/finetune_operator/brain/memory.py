"""Bytes per process, before anything is started.

A run that dies of memory in its first step has cost a queue slot on GPU nodes. The estimate follows what DeepSpeed keeps
(Rajbhandari et al. 2020, arXiv:1910.02054, section 5) and what one token leaves behind per layer, which prepare has
counted on the real architecture. It leans to the safe side; the trainer logs estimate against measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from finetune_api.contract.facts import ModelFacts

GIB = 2**30
USABLE = 0.9
"""Of a memory: the rest is for what no estimate foresees."""
_SLACK = 1.07
_GPU_RUNTIME_BYTES = 2e9
"""CUDA context, libraries, communication buffers."""
_CPU_RUNTIME_BYTES = 1.1e9
"""Resident size of an importing process (torch, transformers, deepspeed), measured."""
_HEAD_CHUNK_ROWS = 4096
_HEAD_BYTES_PER_LOGIT = 10
"""Logits in bf16, their copy in fp32 and its gradient."""

Offload = Literal["none", "optimizer", "parameters"]
Precision = Literal["bf16", "fp32"]
BYTES: dict[Precision, int] = {"bf16": 2, "fp32": 4}
"""Of a weight."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to run: what the choice is made among."""

    zero_stage: int
    offload: Offload
    gradient_checkpointing: bool
    tokens: int
    """Tokens per micro-batch."""


def lora_parameters(model: ModelFacts, rank: int) -> int:
    """Parameters of adapters of this rank on all linear layers."""
    return model.lora_sizes * rank


def states_bytes(parameters: int, trainable: int, world_size: int, layout: Layout, precision: Precision) -> float:
    """Weights, gradients, fp32 master weights and Adam's moments of one process, in bytes.

    Args:
        parameters: all parameters of the model.
        trainable: those that are trained.
        world_size: processes over which states may be spread.
        layout: ZeRO stage and offload.
        precision: of weights and gradients.
    """
    size = BYTES[precision]
    stage = layout.zero_stage
    weights = size * parameters / (world_size if stage == 3 else 1)
    if layout.offload == "parameters":
        weights = 0
    gradients = size * trainable / (world_size if stage >= 2 else 1)
    moments = 12 * trainable / (world_size if stage >= 1 else 1)
    if layout.offload != "none":
        moments = 0
    return weights + gradients + moments


def activation_bytes(model: ModelFacts, layout: Layout, *, lora: bool, precision: Precision) -> float:
    """What a micro-batch leaves behind for the backward pass, in bytes.

    Args:
        lora: whether adapters alone are trained, so that frozen layers need not keep their inputs.
    """
    per_token = model.activation_bytes_per_token
    kept = per_token.lora if lora else per_token.full
    scale = 1 if precision == "bf16" else 2
    if layout.gradient_checkpointing:
        return scale * layout.tokens * (model.layers * per_token.checkpointed + kept)
    return scale * layout.tokens * model.layers * kept


def loaded_bytes(model: ModelFacts, precision: Precision, device: Literal["cuda", "cpu"]) -> float:
    """What one process takes that holds the whole model and trains nothing, in bytes; without its activations."""
    return BYTES[precision] * model.parameters * _SLACK + _runtime_bytes(device)


def _runtime_bytes(device: Literal["cuda", "cpu"]) -> float:
    return _GPU_RUNTIME_BYTES if device == "cuda" else _CPU_RUNTIME_BYTES


def total_bytes(
    model: ModelFacts,
    layout: Layout,
    *,
    trainable: int,
    world_size: int,
    lora: bool,
    precision: Precision,
    supervised_share: float,
    device: Literal["cuda", "cpu"],
) -> float:
    """Expected peak of one process in bytes: on the GPU, or resident on a CPU.

    Args:
        supervised_share: share of tokens that have loss, for the rows of the output layer; 0 to 1.
    """
    size = BYTES[precision]
    rows = min(layout.tokens * supervised_share, _HEAD_CHUNK_ROWS)
    vocabulary = model.vocabulary if model.family == "causal_lm" else 0
    head = rows * vocabulary * _HEAD_BYTES_PER_LOGIT
    transient = 3 * size * model.intermediate_size * layout.tokens
    gathered = size * model.parameters / max(model.layers, 1) if layout.zero_stage == 3 else 0
    used = (
        states_bytes(model.parameters, trainable, world_size, layout, precision)
        + activation_bytes(model, layout, lora=lora, precision=precision)
        + head
        + transient
        + gathered
    )
    return used * _SLACK + _runtime_bytes(device)
