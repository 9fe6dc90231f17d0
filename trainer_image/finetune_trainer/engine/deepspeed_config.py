"""DeepSpeed's configuration, with every default that matters written out.

What is absent is not off: clipping defaults to 1.0, accumulation to a division that is not ours, communication overlap to
something that differs by stage. So each such key stands here, and the resolved configuration goes into the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune_api.contract.trainer_config import TrainConfig
from finetune_api.errors import UserError

_OURS = {
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "managed_gradient_accumulation",
    "optimizer",
    "scheduler",
    "fp16",
    "amp",
    "data_types",
}
"""Keys that would change what a step means, or what the checkpoint holds."""


def deepspeed_config(orders: TrainConfig) -> dict[str, Any]:
    """The configuration for `deepspeed.initialize`.

    Raises: UserError if a raw key of the manifest is one that has to stay ours.
    """
    for key in orders.deepspeed:
        if key in _OURS:
            raise UserError(
                f"{key} cannot be set: steps, batches and precision are planned from spec.training",
                field=f"spec.deepspeed.config.{key}",
            )
    zero: dict[str, Any] = {
        "stage": orders.zero_stage,
        "overlap_comm": False,
        "contiguous_gradients": True,
        "reduce_bucket_size": 50_000_000,
        "allgather_bucket_size": 50_000_000,
    }
    if orders.zero_stage == 3:
        zero |= {
            # Norms and adapters stay whole on every rank; gathering a kilobyte costs as much as a megabyte.
            "stage3_param_persistence_threshold": 1_000_000,
            "stage3_prefetch_bucket_size": 50_000_000,
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    if orders.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": False}
    if orders.offload == "parameters":
        zero["offload_param"] = {"device": "cpu", "pin_memory": False}
    ours = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # step() is the accumulation boundary, so the number of rows may differ from step to step.
        "managed_gradient_accumulation": False,
        "gradient_clipping": orders.max_grad_norm,
        "bf16": {"enabled": orders.precision == "bf16"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }
    return _merged(ours, orders.deepspeed)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mappings key by key."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
