"""How far an attempt came is known whoever ended it: by it the next failure alike is told from one more in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fakes import stamp
from finetune_api.contract.progress import ProgressReport
from finetune_api.v1alpha1.status import Phase
from finetune_cli.story import story
from finetune_operator.kinds import CHILD_JOB, FINE_TUNE_JOB, OUR_EVENT, POD, Ref
from finetune_operator.reports import Reporter, Reports
from finetune_operator.stored import unread
from lives import KEY, Life, stages_done
from reporting import a_report

JOB, CHILD = Ref(FINE_TUNE_JOB, *KEY), Ref(CHILD_JOB, "ml", "support-train-1")


def reported(step: int = 5000) -> Life:
    """A job whose training has come so far."""
    life = Life()
    life.cluster.submit(resources={"nodes": 2, "gpusPerNode": 8})
    stages_done(1)(life)
    life.clock.pass_by(minutes=5)
    life.report(step)
    life.walk()
    return life


def notes(life: Life) -> list[str]:
    return [event["note"] for event in life.cluster.all(OUR_EVENT)]


def stall(life: Life) -> None:
    life.clock.pass_by(minutes=31)


def be_suspended(life: Life) -> None:
    life.cluster.set_policy(JOB, suspend=True)


def be_deleted_but_held(life: Life) -> None:
    life.cluster.objects[JOB]["metadata"]["finalizers"] = ["billing.example/close"]
    life.cluster.remove(JOB)


def exceed_the_deadline(life: Life) -> None:
    life.cluster.set_policy(JOB, activeDeadlineSeconds=60)


def lose_a_node(life: Life) -> None:
    told = {"deletionTimestamp": stamp(life.clock.now), "deletionGracePeriodSeconds": 0}
    for pod in life.cluster.all(POD):
        if pod["metadata"]["name"].startswith("support-train-1-1"):
            pod["metadata"] |= told
    life.clock.pass_by(seconds=31)


def have_its_child_deleted(life: Life) -> None:
    life.cluster.remove(CHILD)


def find_half_of_the_room(life: Life) -> None:
    """Preempted by its queue, and let go again where only one of two machines is free."""
    life.kubelet.take_back(CHILD)
    life.kubelet.let_go()
    life.walk()
    life.clock.pass_by(minutes=1)
    life.cluster.objects[CHILD]["spec"]["suspend"] = False
    life.kubelet.start_pods()
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}
    late = life.cluster.objects[Ref(POD, "ml", "support-train-1-1-x")]
    late["status"] = {"phase": "Pending", "conditions": [{**waits, "lastTransitionTime": stamp(life.clock.now)}]}
    life.clock.pass_by(minutes=8)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (stall, "Stall"),
        (be_suspended, "Suspended"),
        (be_deleted_but_held, "Deleted"),
        (exceed_the_deadline, "DeadlineExceeded"),
        (lose_a_node, "Disruption"),
        (have_its_child_deleted, "Disruption"),
        (find_half_of_the_room, "NoRoom"),
    ],
)
def test_an_attempt_that_is_stopped_keeps_its_last_step(end: Callable[[Life], None], reason: str) -> None:
    life = reported()
    end(life)
    life.walk()
    life.begin_anew()  # what the status holds is all there is
    life.kubelet.let_go()
    life.clock.pass_by(seconds=40)
    life.walk()
    stopped = next(a for a in life.status.attempts if (a.stage, a.number) == ("train", 1))
    assert (stopped.reason, stopped.last_step) == (reason, 5000)
    assert stopped.finished_at is not None
    assert any("attempt 1" in note and "at step 5000" in note for note in notes(life)), notes(life)


def test_two_stalls_with_steps_between_them_are_not_in_vain() -> None:
    life = reported(5000)
    for step in (9000, 9000):
        stall(life)
        life.walk()
        life.kubelet.let_go()
        life.walk()
        life.kubelet.start_pods()
        life.walk()
        life.clock.pass_by(minutes=5)
        life.report(step)
        life.walk()
    assert life.status.completion_time is None
    assert [(a.number, a.reason, a.last_step) for a in life.status.attempts[1:]] == [
        (1, "Stall", 5000),
        (2, "Stall", 9000),
        (3, None, None),
    ]
    stall(life)
    life.walk()
    life.kubelet.let_go()
    life.walk()
    assert life.status.phase is Phase.FAILED, "the third one stands where the second stood"
    assert "2 times in a row with no step gained" in (life.status.message or "")


def test_the_step_that_a_trainer_resumed_from_is_told_while_it_runs_and_when_it_has_failed() -> None:
    """From the body that a trainer sends to the line that a person reads."""
    life = reported()
    life.kubelet.end_pods(143)
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    life.clock.pass_by(minutes=5)
    body = a_report(5200)
    body["trainerStatus"]["metrics"].append({"name": "resumed_from_step", "value": "4900.0"})
    reports = Reports(life.cluster, monotonic=life.clock.monotonic, wall=life.clock)
    who = Reporter(KEY, life.cluster.objects[JOB]["metadata"]["uid"], "train", 2)
    reports.take(who, ProgressReport.model_validate(body).trainer_status)
    asyncio.run(reports.flush())
    life.walk()
    assert life.status.progress is not None
    assert life.status.progress.resumed_from_step == 4900
    assert life.status.attempts[-1].resumed_from_step == 4900
    assert life.status.message == "train is running (attempt 2, resumed at step 4900)."
    assert line_of_attempt(2, life).split()[3:5] == ["from", "4900"]
    life.kubelet.end_pods(1)
    life.walk()
    assert "4900 to 5200" in line_of_attempt(2, life)


def line_of_attempt(number: int, life: Life) -> str:
    """The line of an attempt to train in `finetune status`."""
    job, _ = unread(life.cluster.objects[JOB])
    return next(line for line in story(job, life.clock.now) if line.split()[:2] == ["train", str(number)])


def test_a_step_is_no_reason_to_write_while_its_attempt_runs_on() -> None:
    life = reported()
    writes = sum(call.startswith("patch_status") for call in life.cluster.calls)
    for step in (6000, 7000):
        life.clock.pass_by(minutes=1)
        life.report(step)
        life.walk()
    assert sum(call.startswith("patch_status") for call in life.cluster.calls) == writes
