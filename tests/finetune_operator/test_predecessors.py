"""A job of a name that another one had, whose children somebody kept: `kubectl delete --cascade=orphan`, and applied again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from finetune_api.v1alpha1.status import Phase
from finetune_operator.kinds import CHILD_JOB, FINE_TUNE_JOB, POD, Ref
from lives import KEY, Life

JOB, CHILD = Ref(FINE_TUNE_JOB, *KEY), Ref(CHILD_JOB, "ml", "support-prepare-1")
TAKEN = "prepare waits: Job ml/support-prepare-1 exists already and belongs to somebody else."


def applied_again(**policy: Any) -> Life:
    """Its predecessor's preparation runs on, and belongs to nobody. The other children are gone."""
    life = Life()
    life.cluster.submit()
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    del life.cluster.objects[CHILD]["metadata"]["ownerReferences"]
    life.cluster.remove(JOB)
    life.cluster.submit(runPolicy=policy)
    life.walk()
    return life


def test_an_orphan_in_the_way_is_told_by_name_and_left_alone() -> None:
    life = applied_again()
    assert (life.status.phase, life.status.message) == (Phase.PENDING, TAKEN)
    life.clock.pass_by(minutes=29)
    assert life.walk() == timedelta(seconds=10)
    assert life.status.message == TAKEN
    assert not any(call.startswith("delete Job") for call in life.cluster.calls)
    assert not any(pod["metadata"].get("deletionTimestamp") for pod in life.cluster.all(POD))


def test_an_orphan_that_stays_ends_the_job_at_the_startup_deadline_in_the_server_s_words() -> None:
    life = applied_again()
    life.clock.pass_by(minutes=30)
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "Job ml/support-prepare-1 exists already and belongs to somebody else" in (life.status.message or "")
    assert life.status.attempts[-1].reason == "Startup"


def test_an_orphan_that_goes_makes_way() -> None:
    life = applied_again()
    life.cluster.remove(CHILD)
    life.kubelet.let_go()
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    assert life.status.phase is Phase.PREPARING
    assert [job["metadata"]["ownerReferences"][0]["name"] for job in life.cluster.all(CHILD_JOB)] == ["support"]


@pytest.mark.parametrize("policy", [{"activeDeadlineSeconds": 600}, {"suspend": True}], ids=["deadline", "suspended"])
def test_nothing_waits_for_an_orphan(policy: dict[str, Any]) -> None:
    life = applied_again(**policy)
    life.clock.pass_by(minutes=10)
    life.walk()
    phase = Phase.SUSPENDED if "suspend" in policy else Phase.FAILED
    assert life.status.phase is phase
    assert "Being stopped" not in (life.status.message or "")


def test_an_attempt_whose_child_was_replaced_by_a_stranger_s_is_gone() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    life.cluster.remove(CHILD)
    life.kubelet.let_go()
    life.cluster.put(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": CHILD.name,
                "namespace": "ml",
                "labels": {"finetune.dev/job": "support", "finetune.dev/stage": "prepare", "finetune.dev/attempt": "1"},
            },
            "spec": {"completions": 1, "parallelism": 1},
        }
    )
    life.walk()
    assert [(a.number, a.reason) for a in life.status.attempts] == [(1, "Disruption"), (2, None)]
    assert "support-prepare-2" in life.children()
