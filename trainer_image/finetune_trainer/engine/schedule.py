"""The learning rate, a function of the step: computed and never stored, so a resume cannot get it wrong."""

from __future__ import annotations

import math
from typing import Literal


def learning_rate(
    step: int, *, highest: float, warmup_steps: int, total_steps: int, scheduler: Literal["cosine", "linear", "constant"]
) -> float:
    """Rate of a step, counted from 0.

    Rises linearly to `highest` over the warm-up, then falls to about 0 along half a cosine (Loshchilov and Hutter 2016,
    arXiv:1608.03983) or a line, or stays.
    """
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    share = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    match scheduler:
        case "cosine":
            return highest * 0.5 * (1 + math.cos(math.pi * share))
        case "linear":
            return highest * (1 - share)
        case "constant":
            return highest
