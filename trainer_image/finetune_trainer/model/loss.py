"""Cross entropy against a frozen output layer, without ever holding the logits of a whole row.

The logits of a row are often its largest tensor: 8,192 tokens times 128k words are 10 GB with their copies in fp32. Where
the output layer is not trained, nothing but the gradient of its input is needed, and that can be had while the logits of a
few rows are at hand: they are computed once, turned into losses and gradients, and forgotten.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy, linear

_LOGITS_AT_ONCE = 16 * 2**20
"""Elements of a piece of logits: large enough for full speed of the product, small enough to stay cheap to pass over."""


def frozen_head_loss(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sum over targets of weight times negative log-likelihood.

    Args:
        hidden: inputs of the output layer, shape (targets, width).
        weight: of the output layer, shape (vocabulary, width); gets no gradient.
        bias: shape (vocabulary,), or None.
        targets: int64, shape (targets,).
        weights: float32, shape (targets,).
    Returns: shape (), float32, differentiable in `hidden` alone.
    """
    if hidden.requires_grad and torch.is_grad_enabled():
        loss: torch.Tensor = _FrozenHeadLoss.apply(hidden, weight, bias, targets, weights)
        return loss
    total = torch.zeros((), device=hidden.device)
    for rows in _pieces(len(targets), len(weight)):
        logits = linear(hidden[rows], weight, bias).float()
        total += (cross_entropy(logits, targets[rows], reduction="none") * weights[rows]).sum()
    return total


def _pieces(rows: int, vocabulary: int) -> list[slice]:
    size = max(32, _LOGITS_AT_ONCE // vocabulary)
    return [slice(begin, begin + size) for begin in range(0, rows, size)]


class _FrozenHeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        weights: torch.Tensor,
    ) -> torch.Tensor:
        total = torch.zeros((), device=hidden.device)
        gradient = torch.empty_like(hidden)
        for rows in _pieces(len(targets), len(weight)):
            logits = linear(hidden[rows], weight, bias).float()
            here = targets[rows][:, None]
            log_sum = logits.logsumexp(-1, keepdim=True)
            total += ((log_sum - logits.gather(-1, here))[:, 0] * weights[rows]).sum()
            # d(loss)/d(logits) = weight * (softmax - one-hot), in place of the logits.
            logits.sub_(log_sum).exp_()
            logits.scatter_add_(-1, here, torch.full_like(log_sum, -1.0)).mul_(weights[rows][:, None])
            gradient[rows] = logits.to(hidden.dtype) @ weight
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0].to(gradient.dtype), None, None, None, None
