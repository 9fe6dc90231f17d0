"""A job needs held-out examples: without them base and tuned model cannot be compared, and that is known before training.

No rule of the definition says so, because data can be prepared and looked at without any (`finetune prepare`).
"""

from __future__ import annotations

from finetune_api.errors import Problem
from finetune_api.v1alpha1.job import FineTuneJobSpec

_FIELD = "spec.preparation.split.test"
_THEREFORE = "so base and tuned model could not be compared; hold out a larger share, or give a dataset of the role test"


def without_exam(spec: FineTuneJobSpec) -> Problem | None:
    """What is wrong with a manifest that asks for no test example at all; None if it asks for some."""
    if spec.preparation.split.test != 0 or any(dataset.role == "test" for dataset in spec.datasets):
        return None
    return Problem(_FIELD, f"is 0 and no dataset has the role test, {_THEREFORE}")


def left_without_exam() -> Problem:
    """What is wrong where some were asked for, and the data gave none."""
    return Problem(_FIELD, f"left no example for the test set, {_THEREFORE}")
