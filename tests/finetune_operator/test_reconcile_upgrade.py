"""What a node has is a value of the chart: an upgrade that changes it ends no job that runs or is trained."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from builders import a_node, a_result, is_true
from finetune_api.contract.result import StageError, StageResult
from finetune_api.v1alpha1.status import Phase
from finetune_operator.kinds import CHILD_JOB, CONFIG_MAP, FINE_TUNE_JOB, Ref
from lives import KEY, SETTINGS, Life, stages_done

SMALL = replace(SETTINGS, machine=a_node(gpu_memory_gib=4.0))
JOB = Ref(FINE_TUNE_JOB, *KEY)
HOST_PATH = {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}


def at_stage(number: int, **spec: Any) -> Life:
    """A job of which so many stages are done, and the next one runs."""
    life = Life()
    life.cluster.submit(**spec)
    stages_done(number)(life)
    return life


def upgrade(life: Life) -> None:
    """The operator begins anew, on nodes on which no 8B model can be trained."""
    life.begin_anew()
    life.reconciler.settings = SMALL
    life.walk()


def finish(life: Life) -> None:
    """The stages that are left go well."""
    life.clock.pass_by(minutes=5)
    life.kubelet.end_pods()
    life.walk()
    while life.status.completion_time is None:
        life.go_on()


def orders_of(life: Life, stage: str) -> Any:
    """What a stage was told, but for the uid and the reasons of the plan."""
    found = life.cluster.objects[Ref(CONFIG_MAP, "ml", f"support-{stage}-1")]
    (text,) = found["data"].values()
    orders = json.loads(text)
    orders["job"]["uid"] = ""
    for planned in (orders.get("evaluate") or {}).get("plan", ()):
        planned["reason"] = ""
    return orders


@pytest.mark.parametrize("number", [1, 2, 3], ids=["training", "evaluating", "publishing"])
def test_a_job_that_has_begun_to_train_goes_on_to_its_end(number: int) -> None:
    life = at_stage(number)
    planned, phase = life.status.plan, life.status.phase
    upgrade(life)
    assert (life.status.phase, life.status.plan) == (phase, planned)
    finish(life)
    assert (life.status.phase, life.status.plan) == (Phase.SUCCEEDED, planned)
    undisturbed = at_stage(number)
    finish(undisturbed)
    for stage in ("evaluate", "publish"):
        assert orders_of(life, stage) == orders_of(undisturbed, stage)


def test_an_evaluation_that_lost_its_node_is_begun_again() -> None:
    life = at_stage(2)
    upgrade(life)
    life.cluster.remove(Ref(CHILD_JOB, "ml", "support-evaluate-1"))
    life.kubelet.let_go()
    life.walk()
    assert "support-evaluate-2" in life.children()


@pytest.mark.parametrize("number", [0, 1], ids=["before", "again"])
def test_a_training_that_is_to_begin_is_refused_with_the_field(number: int) -> None:
    life = at_stage(number)
    upgrade(life)
    assert life.status.completion_time is None
    life.kubelet.end_pods(0 if number == 0 else 143)
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "spec.resources: 8.0B parameters with lora" in (life.status.message or "")
    assert [c.reason for c in life.status.conditions if c.type == "Accepted"] == ["InvalidSpec"]
    assert is_true(life.status, "Prepared"), "what was reached is told all the same"
    assert not any(child.endswith(("train-2", "evaluate-1")) for child in life.children())


def test_a_training_that_was_only_noted_is_refused() -> None:
    life = Life()
    life.cluster.submit()
    life.go_on()
    life.cluster.remove(Ref(CHILD_JOB, "ml", "support-train-1"))
    upgrade(life)
    assert life.status.phase is Phase.FAILED
    assert [(a.stage, a.reason) for a in life.status.attempts if a.exit_code != 0] == [("train", "UserError")]


def test_a_failure_that_ends_the_job_is_told_and_not_the_upgrade() -> None:
    life = at_stage(1)
    upgrade(life)
    error = StageError(error_class="UserError", message="spec.model.chatTemplate: is no template")
    life.kubelet.end_pods(64, StageResult(stage="train", error=error))
    life.walk()
    assert "is no template" in (life.status.message or "")
    assert [c.reason for c in life.status.conditions if c.type == "Failed"] == ["UserError"]


def test_a_manifest_that_a_newer_operator_refuses_runs_on_and_gets_no_further_pod() -> None:
    """What lets pods out of the standard is refused for every pod, that of a job which is trained too."""
    life = at_stage(1)
    life.cluster.objects[JOB]["spec"]["podTemplate"] = HOST_PATH
    life.begin_anew()
    life.walk()
    assert life.status.completion_time is None
    life.kubelet.end_pods()
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "spec.podTemplate.volumes[0].hostPath" in (life.status.message or "")
    assert is_true(life.status, "Trained")
    assert "support-evaluate-1" not in life.children()


def test_a_new_job_is_refused_with_the_first_walk_though_it_is_suspended() -> None:
    life = Life()
    life.cluster.submit(podTemplate=HOST_PATH, runPolicy={"suspend": True})
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert (life.status.attempts, life.children()) == ((), set())
    assert len(life.cluster.statuses) == 1


def test_a_job_that_is_rejected_needs_no_plan_for_that() -> None:
    life = at_stage(2)
    upgrade(life)
    life.kubelet.end_pods(result=a_result("evaluate", passed=False))
    life.walk()
    assert life.status.phase is Phase.REJECTED
