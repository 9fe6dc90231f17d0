"""The loss weight of an example: its own field times every rule that matches.

A weight scales the loss, not how often an example is seen; for that there is the mixing weight of a dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_api.v1alpha1.data import WeightRule
from finetune_trainer.data.formats import lookup


def rule_factor(row: Mapping[str, Any], rules: Sequence[WeightRule]) -> float:
    """Product of the weights of all rules that match the row; 1.0 where none does."""
    factor = 1.0
    for rule in rules:
        if _as_text(lookup(row, rule.field)) == rule.equals:
            factor *= rule.weight
    return factor


def _as_text(value: Any) -> str | None:
    """A value as the manifest writes it: true, 3, 2.5, high."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def effective_sample_size(weights: NDArray[np.float32]) -> float:
    """How many equally weighted examples say as much: (sum w)^2 / sum w^2.

    Args:
        weights: shape (examples,), float32, each >= 0.
    Returns: from 0 to the number of examples.
    Source: Kish 1965, Survey Sampling, section 11.7.
    """
    total = float(weights.sum(dtype=np.float64))
    squares = float((weights.astype(np.float64) ** 2).sum())
    return total * total / squares if squares else 0.0
