"""`spec.method`: which parameters are trained."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from finetune_api.model import AutoInt, Model, OrAuto, Rule, Text, unavailable

ALL_LINEAR = "all-linear"


class Lora(Model):
    """Low-rank adapters (Hu et al. 2021, arXiv:2106.09685)."""

    rank: Annotated[AutoInt, OrAuto(1, 1024)] = "auto"
    """Rank of the update matrices. auto: by the size of the model."""
    alpha: Annotated[AutoInt, OrAuto(1, 4096)] = "auto"
    """The update is scaled by alpha / rank. auto: twice the rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the adapters' input. 0 keeps a resume on another number of GPUs exact."""
    target_modules: Annotated[tuple[Text, ...], Field(min_length=1, max_length=64)] = (ALL_LINEAR,)
    """Names of the modules that get adapters, by their last part, such as q_proj; all-linear: every linear layer but the
    output layer."""


class Method(Model):
    """Which parameters are trained."""

    type: Literal["lora", "qlora", "dora", "full"] = "lora"
    """lora: small adapters beside frozen weights. full: all weights."""
    lora: Lora = Lora()
    """Settings of the adapters. Without meaning when type is full."""

    constraints: ClassVar[tuple[Rule, ...]] = (unavailable("type", "qlora", "dora", instead="lora or full"),)
