"""The plan out of the status gives the stages after training the same orders as the one it was made from."""

from __future__ import annotations

from typing import Any

import pytest

from builders import a_job, a_node, a_plan, a_workstation, some_facts
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.kept_plan import AFTER_TRAINING, kept_plan
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.status import plan_status

CASES: dict[str, tuple[dict[str, Any], Machine]] = {
    "as it is": ({}, a_node()),
    "full, on many nodes": ({"method": {"type": "full"}, "resources": {"nodes": 8, "gpusPerNode": 8}}, a_node()),
    "on CPUs": ({"resources": {"nodes": 2, "gpusPerNode": 0, "cpu": "8"}}, a_node(memory_gib=256.0)),
    "as the manifest says": (
        {
            "training": {"precision": "fp32"},
            "output": {"uri": "pvc://models/x", "format": "merged"},
            "evaluation": {"metrics": ["loss"]},
        },
        a_node(gpu_bf16=False),
    ),
    "without written answers": ({"evaluation": {"generation": {"examples": 0}}}, a_node()),
    "with rows to validate and test": (
        {"datasets": [{"uri": f"s3://a/{role}", "role": role} for role in ("train", "validation", "test")]},
        a_node(),
    ),
    "on one machine with GPUs": ({"resources": {"gpusPerNode": 1}}, a_workstation(gpus=1)),
    "on one machine": ({"resources": {"nodes": 2, "gpusPerNode": 0}}, a_workstation(memory_gib=256.0)),
}


def without_reasons(plan: Plan) -> tuple[object, ...]:
    fields = {
        name: getattr(plan, name)
        for name in (
            "topology",
            "precision",
            "validation_share",
            "test_share",
            "output_format",
            "metrics",
            "layout",
            "memory_gib",
        )
    }
    return *fields.items(), [(choice.field, choice.value) for choice in plan.choices]


@pytest.mark.parametrize("name", CASES)
def test_what_was_planned_is_found_again(name: str) -> None:
    spec, machine = CASES[name]
    job = a_job(at="evaluate", **spec)
    made = a_plan(job, some_facts(), machine)
    kept = kept_plan(with_plan(job, made), machine)
    assert kept is not None
    assert without_reasons(kept) == without_reasons(made)


def with_plan(job: FineTuneJob, made: Plan) -> FineTuneJob:
    return job.model_copy(update={"status": job.status.model_copy(update={"plan": plan_status(made)})})


def test_what_nothing_was_trained_with_is_no_plan() -> None:
    job = a_job()
    assert kept_plan(job, a_node()) is None
    assert kept_plan(with_plan(job, a_plan(job)), a_node()) is None, "it was made before the facts were known"


def test_it_is_for_no_stage_that_needs_a_schedule() -> None:
    assert [str(stage) for stage in AFTER_TRAINING] == ["evaluate", "publish"]
    job = a_job(at="evaluate")
    kept = kept_plan(with_plan(job, a_plan(job)), a_node())
    assert kept is not None
    assert not kept.complete
