"""Attention over packed rows: several documents in one row, each attending to itself alone, and exactly.

A mask over the whole row costs the square of its length and reads most of it for nothing. Here the kernel is told where
documents begin and end: one variable-length call on a GPU, one call per document on a CPU. What the adapter does not
implement (soft caps, attention sinks, values of another size, windows on a CPU) it refuses; swallowing it would train another
model without a word.
"""

from __future__ import annotations

import logging
from functools import cache, partial
from inspect import signature
from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

log = logging.getLogger(__name__)

PACKED = "finetune_packed"
"""Name in transformers' registry. A name with `flash` in it would be taken for a kernel to fetch from a hub."""

PACKED_LEAN = "finetune_packed_lean"
"""The same, keeping only queries, keys and values for the backward pass: for recomputed (checkpointed) layers."""

_EXACT_BELOW = 512
"""Documents shorter than this are attended to in fp32 on a CPU: its bf16 kernel is slower there (docs/benchmarks.md)."""

_LARGEST_HEAD, _OLDEST_GPU = 256, (8, 0)
"""What FlashAttention 2, by which torch computes it at least, takes: sizes of heads by eights, and GPUs from Ampere on."""


class UnsupportedAttention(Exception):
    """The model asks for something that this adapter does not implement."""


def register() -> None:
    """Make the adapter known to transformers; no mask function goes with it, so no mask is built."""
    AttentionInterface.register(PACKED, packed_attention)
    AttentionInterface.register(PACKED_LEAN, partial(packed_attention, lean=True))


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    lean: bool = False,
    **other: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each document of a packed row.

    Args:
        module: the attention layer; its `is_causal` holds unless the argument says otherwise.
        query: shape (1, heads, tokens, size).
        key, value: shape (1, key heads, tokens, size); fewer heads are shared by groups of query heads.
        attention_mask: must be None.
        cu_seq_lens_q: int32, shape (documents + 1,): where documents begin, and the end.
        max_length_q: tokens of the longest document.
        lean: keep as little as possible for the backward pass and compute the rest again.
        sliding_window: how far back a token sees, itself included; None: to the beginning.
    Returns: the attended values, shape (1, tokens, heads, size), and None in place of the weights.
    Raises: UnsupportedAttention.
    """
    if query.shape[-1] != value.shape[-1]:
        # Latent attention (DeepSeek V2, V3): no kernel here takes values of another size.
        raise UnsupportedAttention(
            f"heads of {query.shape[-1]} have values of {value.shape[-1]}, which packed attention cannot"
        )
    unknown = [name for name in ("softcap", "s_aux") if other.get(name) is not None]
    if unknown or attention_mask is not None or cu_seq_lens_q is None or max_length_q is None:
        raise UnsupportedAttention(f"packed attention does not implement {', '.join(unknown) or 'masks'}")
    causal = bool(getattr(module, "is_causal", True)) if is_causal is None else is_causal
    window = sliding_window if sliding_window and max_length_q > sliding_window else None
    # The variable-length kernel knows no dropout: leaving it out would train another model without a word.
    if query.is_cuda and not dropout and _takes(query):
        return _on_cuda(query, key, value, cu_seq_lens_q, max_length_q, scaling, causal, window), None
    if window is not None:
        raise UnsupportedAttention("packed attention implements no sliding window without the variable-length kernel")
    return _PerDocument.apply(query, key, value, cu_seq_lens_q.tolist(), scaling, causal, dropout, lean), None


@cache
def varlen_kernel() -> Any | None:
    """Torch's variable-length kernel with the arguments used here; None where this torch has none, which is said once."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        varlen_attn = None
    if varlen_attn is not None and {"scale", "window_size", "enable_gqa"} <= set(signature(varlen_attn).parameters):
        return varlen_attn
    log.warning("this torch has no variable-length attention that fits; documents are attended to one by one, which is slower")
    return None


def _takes(query: torch.Tensor) -> bool:
    """Whether the kernel is made for this precision, head and GPU; it would raise an error in the middle of a row."""
    size = query.shape[-1]
    return (
        query.dtype in (torch.bfloat16, torch.float16)
        and size % 8 == 0
        and size <= _LARGEST_HEAD
        and (torch.version.hip is not None or torch.cuda.get_device_capability(query.device) >= _OLDEST_GPU)
        and varlen_kernel() is not None
    )


def _on_cuda(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scale: float | None,
    causal: bool,
    window: int | None,
) -> torch.Tensor:
    kernel = varlen_kernel()
    assert kernel is not None
    q, k, v = (x[0].transpose(0, 1).contiguous() for x in (query, key, value))
    left = window - 1 if window else -1
    right = 0 if causal else (window - 1 if window else -1)
    grouped = query.shape[1] != key.shape[1]
    out: torch.Tensor = kernel(
        q, k, v, bounds, bounds, longest, longest, scale=scale, window_size=(left, right), enable_gqa=grouped
    )
    return out.unsqueeze(0)


def _random_state(device: torch.device) -> torch.Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_random_state(device: torch.device, state: torch.Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


class _PerDocument(torch.autograd.Function):
    """One kernel call per document, forward and backward, into slices of one result.

    Slicing under autograd would fill a zero tensor of the whole row per document and add them all up; that costs more than
    the attention itself on rows of many documents (measured, docs/benchmarks.md).
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bounds: list[int],
        scale: float | None,
        causal: bool,
        dropout: float,
        lean: bool,
    ) -> torch.Tensor:
        keep = not lean and any(x.requires_grad for x in (query, key, value))
        out = torch.empty_like(query)
        state = _random_state(query.device) if dropout else None
        parts = [_attend(query, key, value, span, scale, causal, dropout, keep=keep) for span in pairwise(bounds)]
        for (begin, end), (_, part) in zip(pairwise(bounds), parts, strict=True):
            out[:, :, begin:end] = part.detach()
        ctx.save_for_backward(query, key, value)
        ctx.settings = (bounds, scale, causal, dropout, state)
        ctx.parts = parts if keep else None
        return out.transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        grad = grads[0].transpose(1, 2)
        bounds, scale, causal, dropout, state = ctx.settings
        inputs = ctx.saved_tensors
        results = tuple(torch.empty_like(x) for x in inputs)
        if state is not None and ctx.parts is None:
            _set_random_state(inputs[0].device, state)
        for number, (begin, end) in enumerate(pairwise(bounds)):
            if ctx.parts is not None:
                leaves, part = ctx.parts[number]
            else:
                leaves, part = _attend(*inputs, (begin, end), scale, causal, dropout, keep=True)
            part_grads = torch.autograd.grad(part, leaves, grad[:, :, begin:end].to(part.dtype))
            for result, part_grad in zip(results, part_grads, strict=True):
                result[:, :, begin:end] = part_grad
        ctx.parts = None
        return *results, None, None, None, None, None


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    span: tuple[int, int],
    scale: float | None,
    causal: bool,
    dropout: float,
    *,
    keep: bool,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Attention of one document on leaves of its own: the leaves and the result, with a graph between them if kept."""
    begin, end = span
    exact = query.dtype is torch.bfloat16 and query.device.type == "cpu" and end - begin < _EXACT_BELOW
    leaves = [x[:, :, begin:end] for x in (query, key, value)]
    leaves = [(x.float() if exact else x).detach().requires_grad_(keep) for x in leaves]
    with torch.set_grad_enabled(keep):
        grouped = query.shape[1] != key.shape[1]
        out = scaled_dot_product_attention(*leaves, is_causal=causal, scale=scale, dropout_p=dropout, enable_gqa=grouped)
    return leaves, out
