"""A linear layer and its LoRA adapter as one operation: the same result with fewer passes over large tensors.

PEFT adds the adapter's output, scaled, to the layer's: two more tensors of the layer's output size forward, three backward.
Here the low-rank product is added inside the matrix product, and the scale is applied where the tensor is narrow. Measured
on a CPU: 6 % of a training step (docs/benchmarks.md).
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch.nn.functional import linear

_ADAPTER = "default"


def fuse_adapters(model: Any) -> int:
    """Replace the forward pass of every plain LoRA layer of a model; returns how many.

    Layers with dropout, DoRA or several adapters keep PEFT's. Not for ZeRO-3, whose weights are gathered by hooks of the
    inner layer alone.
    """
    from peft.tuners.lora import Linear

    fused = 0
    for module in model.modules():
        if type(module) is Linear and _is_plain(module):
            module.forward = MethodType(_forward, module)
            fused += 1
    return fused


def _is_plain(layer: Any) -> bool:
    return (
        list(layer.lora_A) == [_ADAPTER]
        and isinstance(layer.get_base_layer(), torch.nn.Linear)
        and isinstance(layer.lora_dropout[_ADAPTER], torch.nn.Identity)
        and not getattr(layer, "use_dora", {}).get(_ADAPTER)
        and layer.lora_B[_ADAPTER].bias is None
    )


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    if layer.disable_adapters or layer.merged or args or kwargs:
        result: torch.Tensor = type(layer).forward(layer, x, *args, **kwargs)
        return result
    base = layer.get_base_layer()
    down, up = layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight
    flat = x.reshape(-1, x.shape[-1])
    out: torch.Tensor = _LoraLinear.apply(flat, base.weight, base.bias, down, up, layer.scaling[_ADAPTER])
    return out.view(*x.shape[:-1], out.shape[-1])


class _LoraLinear(torch.autograd.Function):
    """y = x W^T + b + s (x A^T) B^T, with W and b frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        narrow = linear(x, down)
        out = linear(x, weight, bias)
        out.addmm_(narrow, up.t(), alpha=scale)
        ctx.save_for_backward(x, weight, down, up, narrow)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        (grad,) = grads
        x, weight, down, up, narrow = ctx.saved_tensors
        narrow_grad = (grad @ up).mul_(ctx.scale)
        grad_up = (grad.t() @ narrow).mul_(ctx.scale)
        grad_down = narrow_grad.t() @ x
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            grad_x.addmm_(narrow_grad, down)
        return grad_x, None, None, grad_down, grad_up, None
