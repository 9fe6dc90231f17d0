"""`spec.training` and `spec.deepspeed`: how the parameters are trained.

Names are those of transformers' TrainingArguments where one exists, in camelCase.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from finetune_api.model import AutoInt, Model, OrAuto, Rule


class EarlyStopping(Model):
    """When to stop before the last step. The best checkpoint is what is evaluated and published."""

    patience: Annotated[int, Field(ge=0, le=1000)] = 2
    """Stop after so many validations in a row without improvement; 0: never stop early."""


class Training(Model):
    """How long, how fast and in which arithmetic."""

    epochs: Annotated[AutoInt, OrAuto(1, 1000)] = "auto"
    """Passes over the training data. auto: 3 below 1,000 examples, 2 below 10,000, then 1."""
    max_steps: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """Optimizer steps, instead of epochs."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Highest learning rate. Left out: by method and size of the model."""
    batch_size: Annotated[AutoInt, OrAuto(1, 1_000_000)] = "auto"
    """Examples per optimizer step over all GPUs: more GPUs do not change the recipe. auto: by the number of examples, and
    at least enough that no GPU idles."""
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the steps over which the learning rate rises."""
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    """Course of the learning rate after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Decoupled weight decay (AdamW); never on biases and norms."""
    max_grad_norm: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Gradients are scaled down to this norm; 0: not at all."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic. auto: bf16, with fp32 master weights, where the hardware multiplies it natively; else fp32."""
    packing: Literal["auto", "always", "never"] = "auto"
    """Several examples in one row without padding, each attending to itself alone. auto: where the model can, which is
    checked at start-up against one example at a time; always: fail if it cannot."""
    gradient_checkpointing: Literal["auto", "always", "never"] = "auto"
    """Recompute activations to save memory. auto: only when it does not fit without."""
    early_stopping: EarlyStopping = EarlyStopping()
    """When to stop before the last step."""
    evaluations_per_epoch: Annotated[int, Field(ge=0, le=1000)] = 2
    """Validations per epoch; 0: none, and the last checkpoint counts as the best."""
    checkpoint_minutes: Annotated[float, Field(gt=0, le=10_080)] = 15.0
    """Time between checkpoints, which is the most that a lost machine costs."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 17
    """Seed of the order of examples, of new weights and of dropout."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.maxSteps) || self.epochs == 'auto'",
            holds=lambda training: training.max_steps is None or training.epochs == "auto",
            message="say either epochs or maxSteps",
            field="maxSteps",
        ),
    )


class DeepSpeed(Model):
    """How states are spread over GPUs (Rajbhandari et al. 2020, arXiv:1910.02054)."""

    zero_stage: Annotated[AutoInt, OrAuto(0, 3)] = "auto"
    """ZeRO stage. auto: the lowest whose states fit."""
    offload: Literal["auto", "none", "optimizer", "parameters"] = "auto"
    """What is kept in the host's memory. auto: nothing, unless it does not fit otherwise."""
    config: dict[str, Any] = Field(default={})
    """Raw DeepSpeed configuration, merged over ours last; for experts. Batch sizes, accumulation and data types stay ours."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.offload != 'optimizer' || self.zeroStage != 0",
            holds=lambda d: d.offload != "optimizer" or d.zero_stage != 0,
            message="optimizer states are offloaded from ZeRO stage 1 on; use auto, 1, 2 or 3 for zeroStage",
            field="offload",
        ),
        Rule(
            cel="self.offload != 'parameters' || self.zeroStage == 'auto' || self.zeroStage == 3",
            holds=lambda d: d.offload != "parameters" or d.zero_stage in ("auto", 3),
            message="parameters are offloaded in ZeRO stage 3 alone; use auto or 3 for zeroStage",
            field="offload",
        ),
    )
