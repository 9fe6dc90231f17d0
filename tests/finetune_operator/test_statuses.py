"""What `kubectl get --watch` shows of a job: every transition once, and nothing that goes back."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.witness import Witness
from lives import LIVES, lived, witness_of

STAGES = ["Preparing", "Training", "Evaluating", "Publishing"]
SHOWN = {
    "succeeds": [*STAGES, "Succeeded"],
    "is rejected": [*STAGES[:3], "Rejected"],
    "fails": ["Preparing", "Failed"],
    "loses a node": [*STAGES, "Succeeded"],
    "is preempted by its queue": ["Preparing", "Training", "Pending", *STAGES[1:], "Succeeded"],
    "is suspended": ["Preparing", "Training", "Suspended", *STAGES[1:], "Succeeded"],
}


@pytest.mark.parametrize("name", LIVES)
def test_every_phase_is_shown_once_and_nothing_goes_back(name: str) -> None:
    seen = witness_of(lived(LIVES[name][0]))
    assert seen.phases == SHOWN[name]
    assert seen.goes_back() == []


def a_version(phase: str, **status: Any) -> dict[str, Any]:
    return {"status": {"phase": phase, **status}}


@pytest.mark.parametrize(
    ("phases", "told"),
    [
        ("Preparing Training Preparing", ["Training became Preparing"]),
        ("Training Pending Preparing", ["Training became Preparing"]),
        ("Training Evaluating Training Evaluating", ["Evaluating became Training"]),
        ("Failed Pending", ["Failed became Pending"]),
        ("Rejected Succeeded", ["Rejected became Succeeded"]),
        ("Pending Preparing Pending Training Suspended Pending Training Failed", []),
    ],
)
def test_a_witness_notices_a_phase_that_goes_back(phases: str, told: list[str]) -> None:
    assert Witness([a_version(phase) for phase in phases.split()]).goes_back() == told


def test_a_witness_notices_what_is_lost() -> None:
    ended = {"stage": "train", "number": 1, "finishedAt": "2026-11-30T12:00:00Z", "reason": "Disruption"}
    first = a_version("Training", attempts=[ended], restarts={"total": 1}, data={}, progress={"step": 9})
    changed = a_version("Training", attempts=[{**ended, "reason": "Stall"}], restarts={"total": 0}, progress={"step": 8})
    assert Witness([first, changed]).goes_back() == [
        "the ended attempt train 1 changed",
        "restarts.total fell",
        "step 9 became 8",
        "data is gone",
    ]
    assert Witness([first, a_version("Training")]).goes_back()[0] == "attempt train 1 is gone"
