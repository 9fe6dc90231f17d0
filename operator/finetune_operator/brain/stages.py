"""The stages, their order and their needs, as a table that decide, render and the local hands read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from finetune_api.v1alpha1.status import ConditionType, Phase


class Stage(StrEnum):
    """One program of the trainer, run as one child Job."""

    PREPARE = "prepare"
    TRAIN = "train"
    EVALUATE = "evaluate"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a stage needs and how it shows."""

    phase: Phase
    condition: ConditionType
    distributed: bool
    """Runs on all nodes at once; the others are one pod."""
    accelerator: bool
    egress: Literal["sources", "none", "output"]
    shrinks: bool = False
    """A smaller plan of it needs less memory: fewer tokens at a time, or states that lie elsewhere."""
    leaves: tuple[str, ...] = ()
    """Parts of its result (contract/result.py) without which its work is not done."""


STAGES: dict[Stage, Needs] = {
    Stage.PREPARE: Needs(
        Phase.PREPARING,
        ConditionType.PREPARED,
        distributed=False,
        accelerator=False,
        egress="sources",
        leaves=("model", "data"),
    ),
    Stage.TRAIN: Needs(Phase.TRAINING, ConditionType.TRAINED, distributed=True, accelerator=True, egress="none", shrinks=True),
    Stage.EVALUATE: Needs(
        Phase.EVALUATING,
        ConditionType.EVALUATED,
        distributed=False,
        accelerator=True,
        egress="none",
        shrinks=True,
        leaves=("evaluation",),
    ),
    Stage.PUBLISH: Needs(
        Phase.PUBLISHING,
        ConditionType.PUBLISHED,
        distributed=False,
        accelerator=False,
        egress="output",
        leaves=("output",),
    ),
}
"""In the order in which they run."""
