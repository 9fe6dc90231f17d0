"""Single walks of the reconciler: suspensions, times that are over, what the API server refuses or a newer one takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fakes import an_invalid
from finetune_api.errors import ClusterError, Refused
from finetune_api.v1alpha1.status import Phase
from finetune_operator.brain.stages import Stage
from finetune_operator.kinds import CHILD_JOB, CLAIM, EVENT, FINE_TUNE_JOB, OUR_EVENT, Ref
from lives import KEY, Life, is_job, run, stages_done


def test_suspending_stops_the_pods_and_keeps_the_stages_done() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.go_on()
    life.kubelet.start_pods()
    life.cluster.set_policy(ref, suspend=True)
    assert life.walk() == timedelta(seconds=10)
    assert life.children() == {"support-prepare-1"}
    life.kubelet.let_go()
    life.walk()
    assert life.status.phase is Phase.SUSPENDED
    assert life.status.attempts[-1].reason == "Suspended"
    assert life.status.attempts[-1].charged is False
    life.cluster.set_policy(ref, suspend=False)
    life.walk()
    assert life.children() == {"support-prepare-1", "support-train-2"}


def test_a_policy_that_changes_after_the_end_counts_as_seen() -> None:
    """Flux and kstatus wait until observedGeneration is that of the spec."""
    life = Life()
    ref = life.cluster.submit()
    stages_done(4)(life)
    life.cluster.set_policy(ref, ttlSecondsAfterFinished=3600)
    life.walk()
    assert (life.status.phase, life.status.observed_generation) == (Phase.SUCCEEDED, 2)


def test_a_job_is_removed_when_its_time_after_the_end_is_over() -> None:
    life = Life()
    life.cluster.submit(runPolicy={"ttlSecondsAfterFinished": 3600})
    for _ in Stage:
        life.go_on()
    assert life.walk() == timedelta(hours=1)
    life.clock.pass_by(minutes=59)
    assert life.walk() == timedelta(minutes=1)
    life.clock.pass_by(minutes=1)
    assert life.walk() is None
    assert [ref for ref in life.cluster.objects if ref.kind != OUR_EVENT] == []


def test_another_job_of_the_name_is_not_removed_in_its_place() -> None:
    life = Life()
    ref = life.cluster.submit(runPolicy={"ttlSecondsAfterFinished": 0})
    life.cluster.objects[ref]["status"] = {"phase": "Failed", "completionTime": "2026-11-30T11:00:00Z"}
    life.cluster.objects[ref]["metadata"]["uid"] = "old"

    async def replaced() -> None:
        raw = await life.cluster.get(ref)
        life.cluster.objects[ref]["metadata"]["uid"] = "new"
        await life.cluster.delete(ref, uid=raw["metadata"]["uid"])

    run(replaced())
    assert ref in life.cluster.objects


def test_children_of_a_predecessor_are_waited_for_and_never_adopted() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    claim = Ref(CLAIM, "ml", "support-workspace")
    life.cluster.objects[claim]["metadata"]["ownerReferences"][0]["uid"] = "predecessor"
    life.cluster.remove(Ref(CHILD_JOB, "ml", "support-prepare-1"))
    life.cluster.objects[Ref(FINE_TUNE_JOB, *KEY)]["status"]["attempts"] = [{"stage": "prepare", "number": 1}]
    assert life.walk() == timedelta(seconds=10)
    assert life.status.phase is Phase.PENDING
    assert "support-workspace exists already and belongs to somebody else" in (life.status.message or "")
    assert life.children() == set()
    life.cluster.remove(claim)
    life.walk()
    assert life.children() == {"support-prepare-1"}


def test_the_namespace_of_pods_that_run_is_kept_ready_for_them() -> None:
    """The operator's Secret was lost with its namespace: pods that run for days are to trust the new authority."""
    life = Life()
    life.cluster.submit()
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    before = len(life.made_ready)
    life.clock.pass_by(minutes=5)
    life.walk()
    assert life.made_ready[before:] == ["ml"]
    for _ in Stage:
        life.go_on()
    assert life.status.phase is Phase.SUCCEEDED
    before = len(life.made_ready)
    life.walk()
    assert len(life.made_ready) == before, "and whoever has ended needs nothing"


def test_an_evaluation_out_of_memory_changes_nothing_of_the_plan_that_was_trained() -> None:
    life = Life()
    life.cluster.submit()
    life.go_on()
    life.go_on()
    trained = life.status.plan
    life.go_on(71)
    assert "support-evaluate-2" in life.children()
    assert (life.status.plan, life.status.restarts.out_of_memory) == (trained, 1)


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"cpu": "16Gi"}, "spec.resources.cpu: must be a number of cores such as 4, 1.5 or 500m"),
        ({"gpusPerNode": 16}, "spec.resources.gpusPerNode: 16 on one node, which has 8 by the operator's installation"),
    ],
)
def test_what_can_never_run_is_told_and_nothing_of_it_is_made(resources: dict[str, Any], told: str) -> None:
    """The first was let pass by a definition of before."""
    life = Life()
    life.cluster.submit(resources=resources)
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert (life.status.message or "").startswith(told)
    assert life.children() == set()


def test_what_the_server_calls_invalid_fails_at_once_in_its_words() -> None:
    life = Life()
    life.cluster.refuse = lambda manifest: an_invalid("spec.template.spec.tolerations[0]: bad") if is_job(manifest) else None
    life.cluster.submit()
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "spec.template.spec.tolerations[0]: bad" in (life.status.message or "")


def test_a_job_that_replaces_another_of_its_name_inherits_none_of_its_time() -> None:
    """As `kubectl replace --force` and GitOps tools do it: gone and there again between two looks."""
    life = Life()
    life.cluster.refuse = lambda manifest: Refused("no", status=403) if is_job(manifest) else None
    ref = life.cluster.submit(runPolicy={"startupDeadlineSeconds": 1800})
    life.walk()
    life.clock.pass_by(minutes=29)
    life.cluster.remove(ref)
    life.cluster.submit(runPolicy={"startupDeadlineSeconds": 1800})
    life.walk()
    life.clock.pass_by(minutes=29)
    life.walk()
    assert life.status.phase is Phase.PENDING
    life.clock.pass_by(minutes=1)
    life.walk()
    assert life.status.attempts[-1].reason == "Startup"


@pytest.mark.parametrize(
    "error",
    [
        Refused('jobs.batch "x" is forbidden: exceeded quota: team, requested: count/jobs.batch=1, used: 5', status=403),
        ClusterError(
            'Internal error occurred: failed calling webhook "mjob.kb.io": no endpoints available for service "kueue"',
            status=500,
        ),
    ],
    ids=["quota", "webhook"],
)
def test_what_gives_way_by_itself_is_waited_for_in_the_servers_words(error: ClusterError) -> None:
    life = Life()
    life.cluster.refuse = lambda manifest: error if is_job(manifest) else None
    life.cluster.submit(runPolicy={"startupDeadlineSeconds": 60})
    life.walk()
    life.clock.pass_by(hours=30)
    assert life.walk() == timedelta(seconds=10)
    assert life.status.phase is Phase.PENDING
    assert error.message in (life.status.message or "")
    life.cluster.refuse = lambda manifest: None
    life.walk()
    assert life.children() == {"support-prepare-1"}


def test_a_spec_that_a_newer_server_let_through_fails_with_its_problems() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.cluster.objects[ref]["spec"]["method"] = {"type": "telepathy"}
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "spec.method.type: must be one of" in (life.status.message or "")


def test_what_only_one_machine_can_do_fails_at_once_with_the_field() -> None:
    life = Life()
    life.cluster.submit(model={"uri": "file://model"})
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "spec.model.uri: file://model is relative" in (life.status.message or "")
    assert life.children() == set()


def test_fields_of_a_newer_status_stay() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.cluster.objects[ref]["status"]["novelty"] = {"a": 1}
    life.walk()
    assert life.cluster.objects[ref]["status"]["novelty"] == {"a": 1}


def test_progress_is_left_to_its_own_writer_and_taken_away_with_its_attempt() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.walk()
    life.clock.pass_by(seconds=5)
    life.kubelet.start_pods()
    life.walk()
    raw = life.cluster.objects[ref]
    report = {"step": 7, "percent": 3, "updatedAt": "2026-11-30T12:00:06Z"}
    run(life.cluster.apply_progress("ml", "support", report, version=raw["metadata"]["resourceVersion"]))
    writes = len(life.cluster.statuses)
    life.clock.pass_by(seconds=5)
    life.walk()
    assert len(life.cluster.statuses) == writes, "a report is no reason to write"
    assert life.status.progress is not None
    life.kubelet.end_pods()
    life.walk()
    assert life.status.progress is None


def test_an_outage_of_the_operator_is_no_silence_of_the_training() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    raw = life.cluster.objects[ref]
    report = {"step": 7, "percent": 3, "updatedAt": "2026-11-30T12:00:00Z"}
    run(life.cluster.apply_progress("ml", "support", report, version=raw["metadata"]["resourceVersion"]))
    life.clock.pass_by(hours=2)
    back = life.clock()
    life.reconciler.heard_since = lambda: back
    life.walk()
    assert life.children() == {"support-prepare-1"}
    life.clock.pass_by(minutes=31)
    life.walk()
    assert life.status.attempts[-1].reason == "Stall", "it does not report to whom is there now either"


def test_a_quota_that_keeps_pods_away_is_read_from_the_events() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    child = life.cluster.objects[Ref(CHILD_JOB, "ml", "support-prepare-1")]
    child["status"] = {"startTime": "2026-11-30T12:00:00Z"}
    life.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e", "namespace": "ml"},
            "involvedObject": {"uid": child["metadata"]["uid"]},
            "reason": "FailedCreate",
            "message": 'Error creating: pods "x" is forbidden: exceeded quota: rq, requested: requests.cpu=3',
            "lastTimestamp": "2026-11-30T12:00:01Z",
        }
    )
    assert life.walk() == timedelta(seconds=10)
    assert "events" not in life.cluster.calls, "in the first seconds pods may simply not be there yet"
    life.clock.pass_by(seconds=11)
    life.walk()
    assert "exceeded quota: rq" in (life.status.message or "")
    life.clock.pass_by(minutes=10)
    assert life.walk() == timedelta(seconds=61.1), "a tenth of the time that it has waited"
    life.clock.pass_by(days=2)
    assert life.walk() == timedelta(minutes=5), "pods that come after all wake us"
    assert EVENT not in {ref.kind for ref in life.cluster.made if ref.name != "e"}


def test_a_job_that_lost_its_status_does_not_run_beside_a_child_it_forgot() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.go_on()
    life.go_on(143)
    life.kubelet.start_pods()
    life.walk()
    assert life.children() == {"support-prepare-1", "support-train-1", "support-train-2"}
    life.cluster.remove(Ref(CHILD_JOB, "ml", "support-train-1"))
    life.clock.pass_by(minutes=2)
    life.cluster.objects[ref]["status"] = {"observedGeneration": 0}
    life.walk()
    assert life.children() == {"support-prepare-1"}, "what it does not know is stopped first"
    life.clock.pass_by(minutes=3)
    life.kubelet.let_go()
    for _ in Stage:
        life.go_on()
    assert life.status.phase is Phase.SUCCEEDED
    assert life.most_pod_sets == 1
