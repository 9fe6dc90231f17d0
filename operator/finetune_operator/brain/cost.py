"""Arithmetic of training, for the expected time.

Multiply-adds count two. Per token a forward pass costs twice the parameters that multiply it, and attention twice the
tokens it looks back on, per layer and width. Backward costs twice the forward; with LoRA the frozen weights need no
gradient of their own, so once less. Recomputation adds one forward.
"""

from __future__ import annotations

from finetune_api.contract.facts import ModelFacts, SplitFacts


def training_flops(model: ModelFacts, data: SplitFacts, *, lora: bool, gradient_checkpointing: bool) -> float:
    """Floating-point operations of one pass over the data.

    Args:
        model: sizes of the model.
        data: tokens, supervised tokens and squared lengths of what is trained on.
        lora: whether the weights are frozen.
        gradient_checkpointing: whether the forward pass runs twice.
    Source: Chowdhery et al. 2022 (arXiv:2204.02311), appendix B, with frozen weights and supervised rows counted apart.
    """
    head = model.vocabulary * model.hidden_size if model.family == "causal_lm" else 0
    tied = head if model.tied_embeddings else 0
    body = model.parameters - model.embedding_parameters - (head - tied)
    linear = 2.0 * (body * data.tokens + head * data.supervised_tokens)
    causal = 1 if model.family == "causal_lm" else 2
    attention = 2.0 * model.attention_size * model.layers * data.squared_tokens * causal
    passes = 2 if lora else 3
    again = 1 if gradient_checkpointing else 0
    return linear * (passes + again) + attention * (3 + again)
