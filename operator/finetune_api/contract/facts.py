"""What the prepare stage finds out about model, data and machine, for the plan of everything after it.

The operator has no torch and cannot open a model. So prepare measures what memory and time depend on, and the numbers
travel through the result (contract/result.py) into `status.facts`, where a restarted operator finds them again.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from finetune_api.model import Model

Family = Literal["causal_lm", "encoder"]


class ActivationBytes(Model):
    """Bytes that one token leaves behind in one layer for the backward pass, counted and not guessed."""

    full: float
    """All weights trained."""
    lora: float
    """LoRA on all linear layers, adapters in the training precision."""
    checkpointed: float
    """Recomputation of the layer."""


class ModelFacts(Model):
    """The base model as prepare found it."""

    family: Family
    """causal_lm writes text; encoder reads it."""
    architecture: str
    """Class name in the model's configuration, such as LlamaForCausalLM."""
    revision: str | None = None
    """Commit that spec.model.revision resolved to, for hf:// models."""
    digest: str
    """SHA-256 over names and contents of the weight files."""
    parameters: int
    """All parameters; tied ones counted once."""
    embedding_parameters: int
    """Those of the input embedding, which multiply nothing."""
    tied_embeddings: bool = False
    """Whether input embedding and output layer are one matrix."""
    layers: int
    """Transformer layers."""
    hidden_size: int
    """Width of a layer."""
    intermediate_size: int
    """Width inside a feed-forward block."""
    attention_size: int
    """Heads times head size."""
    vocabulary: int
    """Rows of the embedding."""
    context_length: int
    """Most positions the model can take."""
    lora_sizes: int
    """Inputs plus outputs over all linear layers but the last: times the rank, the parameters of LoRA."""
    activation_bytes_per_token: ActivationBytes
    """Per layer, in bf16; twice that in fp32."""
    template_digest: str | None = None
    """SHA-256 of the chat template in use."""


class SplitFacts(Model):
    """One part of the data: train, validation, test or a suite."""

    examples: int
    """Examples."""
    tokens: int
    """Tokens."""
    supervised_tokens: int
    """Tokens that have loss."""
    longest: int
    """Tokens of the longest example."""
    squared_tokens: int
    """Sum of squared lengths, for the cost of attention."""


class DataFacts(Model):
    """The prepared data."""

    digest: str
    """SHA-256 over all prepared examples, their labels, weights and split."""
    max_length: int
    """Longest example allowed, in tokens."""
    train: SplitFacts
    """Examples to train on, mixing weights applied: what one epoch sees."""
    validation: SplitFacts
    """Held out for early stopping."""
    test: SplitFacts
    """Held out for the comparison."""
    suites: Annotated[dict[str, SplitFacts], Field(default_factory=dict)]
    """Further test sets by name."""
    labels: int = 0
    """Classes; their names lie beside the tokens."""


class MachineFacts(Model):
    """The machine that prepared, in numbers that tell how fast it could train."""

    gflops_bf16: float
    """Billion multiply-adds times two per second and core while all cores work, bf16 matrix product."""
    gflops_fp32: float
    """The same in fp32."""
