"""Nodes whose clock is hours ahead or behind: no deadline, no blame and no success may hang on it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from api_objects import CREATED, a_child, a_condition, ended, running, stamp, unplaced, waiting
from builders import NOON, a_decision, a_job, after, an_attempt
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Progress
from finetune_operator.brain.failures import FailureClass, classify, succeeded
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Observation
from finetune_operator.brain.stages import Stage
from finetune_operator.doubts import in_doubt
from finetune_operator.observe import observe
from finetune_operator.render import Manifest
from rendered import stored

JOB = stored()
OWN_PROGRAM = stored(image="registry.example/own:1", command=["python", "train.py"])
PLACED = CREATED + timedelta(seconds=1)
WRONG = [timedelta(hours=3), timedelta(hours=-3)]
FAILING, DONE = a_condition("FailureTarget", at=NOON), a_condition("SuccessCriteriaMet", at=NOON)


def on_a_wrong_clock(pod: Manifest, ahead: timedelta) -> Manifest:
    """The pod as the kubelet of a node tells it whose clock is ahead by so much, or behind."""

    def told(moment: str) -> str:
        return stamp(datetime.fromisoformat(moment.replace("Z", "+00:00")) + ahead)

    pod["status"]["startTime"] = stamp(PLACED + timedelta(seconds=1) + ahead)
    for container in pod["status"].get("containerStatuses", ()):
        for state in container["state"].values():
            state |= {name: told(state[name]) for name in ("startedAt", "finishedAt") if name in state}
    return pod


def seen_of(*pods: Manifest, child: Manifest | None = None, job: FineTuneJob = JOB, now: datetime = NOON) -> AttemptSeen:
    (found,) = observe(job, [child or a_child()], pods, [], now).attempts
    return found


@pytest.mark.parametrize("ahead", WRONG)
def test_an_attempt_began_when_it_did(ahead: timedelta) -> None:
    pods = (running(0, since=after(minutes=-9)), on_a_wrong_clock(running(1, since=after(minutes=-8)), ahead))
    began = seen_of(*pods).started_at
    assert began is not None
    assert abs(began - after(minutes=-8)) <= timedelta(seconds=1)


def test_a_clock_that_differs_by_seconds_is_believed() -> None:
    pod = on_a_wrong_clock(running(0, since=after(minutes=-8)), timedelta(seconds=20))
    assert seen_of(pod, child=a_child(width=1)).started_at == after(minutes=-8, seconds=20)


@pytest.mark.parametrize("said", [after(hours=5), datetime.fromisoformat("1970-01-01T00:00:00+00:00")])
def test_what_cannot_be_is_not_believed(said: datetime) -> None:
    """As when the clock was set between the moments that a node told; 1970 is what containerd says of what did not start."""
    began = seen_of(running(0, since=said), child=a_child(width=1)).started_at
    assert began is not None
    assert PLACED <= began <= NOON


@pytest.mark.parametrize("ahead", WRONG)
def test_half_a_gang_is_counted_from_when_it_began(ahead: timedelta) -> None:
    half = on_a_wrong_clock(running(0, since=after(minutes=-9)), ahead)
    since = seen_of(half, unplaced(1, "0/2 nodes are available: 2 Insufficient cpu.")).half_since
    assert since is not None
    assert abs(since - after(minutes=-9)) <= timedelta(seconds=1)


@pytest.mark.parametrize("said", [NOON + timedelta(hours=3), NOON - timedelta(hours=3)])
def test_an_attempt_has_ended_when_its_job_s_controller_saw_it(said: datetime) -> None:
    """Without the moment in which the kubelet took it up, nothing tells how wrong its clock is."""
    found = seen_of(ended(0, 75, at=said), child=a_child(width=1, conditions=(FAILING,)), now=after(seconds=2))
    assert found.finished_at is not None
    assert NOON <= found.finished_at <= after(seconds=2)
    assert (found.started_at or NOON) <= found.finished_at


def test_an_end_that_was_overlooked_for_hours_is_when_the_controller_says() -> None:
    over = a_condition("Failed", at=after(seconds=3))
    found = seen_of(ended(0, 75, at=after(hours=1)), child=a_child(width=1, conditions=(FAILING, over)), now=after(hours=2))
    assert found.finished_at == after(seconds=3)


@pytest.mark.parametrize("ahead", WRONG)
def test_who_failed_first_is_to_blame_whatever_its_node_s_clock_says(ahead: timedelta) -> None:
    culprit = on_a_wrong_clock(ended(0, 1, at=after(seconds=-20)), ahead)
    told = ended(1, 1, at=after(seconds=-5), deleted_at=after(seconds=-15))
    end = seen_of(culprit, told, child=a_child(conditions=(FAILING,))).exit
    assert end is not None
    assert (end.pod, classify(end)) == ("support-train-1-0-x7k2p", FailureClass.UNKNOWN)


@pytest.mark.parametrize("ahead", WRONG)
def test_whoever_was_deleted_first_is_not_charged_whatever_the_other_s_clock_says(ahead: timedelta) -> None:
    deleted = ended(0, 1, at=after(seconds=-15), deleted_at=after(seconds=-20))
    peer = on_a_wrong_clock(ended(1, 1, at=after(seconds=-10)), ahead)
    end = seen_of(deleted, peer, child=a_child(conditions=(FAILING,))).exit
    assert end is not None
    assert classify(end) is FailureClass.DISRUPTION


@pytest.mark.parametrize(
    ("taken_up", "said"),
    [
        (PLACED, NOON),
        (PLACED - timedelta(hours=3), NOON - timedelta(hours=3)),
        (PLACED - timedelta(hours=3), NOON),
        (PLACED + timedelta(hours=3), NOON),
    ],
    ids=["right", "behind", "behind, then set right", "ahead, then set right"],
)
def test_an_own_program_that_was_told_to_stop_is_not_done_by_any_clock(taken_up: datetime, said: datetime) -> None:
    """It exited 0 at noon because it was told to a second before."""
    pod = ended(0, 0, at=said, deleted_at=NOON - timedelta(seconds=1))
    pod["status"]["startTime"] = stamp(taken_up)
    end = seen_of(pod, child=a_child(width=1, conditions=(DONE,)), job=OWN_PROGRAM).exit
    assert end is not None
    assert not succeeded(Stage.TRAIN, end)


@pytest.mark.parametrize("ahead", WRONG)
def test_events_are_asked_for_after_seconds_and_not_after_hours(ahead: timedelta) -> None:
    pod = on_a_wrong_clock(waiting(0), ahead)
    assert in_doubt([], [pod]) == [(pod["metadata"]["uid"], PLACED)]


def test_a_training_that_hangs_is_stopped_in_time_on_a_node_whose_clock_is_ahead() -> None:
    """Nothing tells how wrong the clock is here: each look sees the attempt begin at that very moment."""
    started, reported = after(minutes=-9), after(minutes=-5)
    attempt = an_attempt(started=started)
    job = a_job(at="train", attempts=[attempt], stall_timeout_seconds=600)
    progress = Progress(step=40, total_steps=1200, updated_at=reported)
    for minutes, stops in ((4, False), (6, True)):
        now = after(minutes=minutes)
        seen = AttemptSeen(Stage.TRAIN, 1, AttemptState.RUNNING, started_at=now, progress=progress)
        assert bool(a_decision(job, Observation((seen,)), now).stop) == stops
