"""Child Jobs that a queue such as Kueue takes back while they run: the same Job and the same attempt go on later.

What the Job's controller does then is in `fakes.Kubelet.take_back`, as it was read: it deletes the pods and takes its finalizer
off them, so that they are shown as failed for a moment and never counted, and dates the Job's beginning anew when it is let go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from api_objects import CREATED, a_child, a_condition, a_pod, ended, running, stamp
from builders import NOON, after, an_attempt
from finetune_api.v1alpha1.status import Phase, Progress
from finetune_operator.brain.observation import AttemptSeen, AttemptState
from finetune_operator.brain.stages import Stage
from finetune_operator.kinds import CHILD_JOB, Ref
from finetune_operator.observe import observe
from finetune_operator.render import Manifest
from lives import Life, be_taken_back, stages_done
from rendered import stored

CHILD = Ref(CHILD_JOB, "ml", "support-train-1")
ONE_TRAINING = {"support-prepare-1", "support-train-1"}


def in_training(**spec: Any) -> Life:
    """A job whose two pods train, admitted by a queue."""
    life = Life()
    life.cluster.submit(scheduling={"queueName": "gpu"}, resources={"nodes": 2, "gpusPerNode": 8}, **spec)
    stages_done(1)(life)
    life.clock.pass_by(minutes=2)
    return life


def taken_back() -> Life:
    """One whose training reported step 5000, was preempted, and waits for three hours."""
    life = in_training()
    life.report(5000)
    life.walk()
    be_taken_back(life, CHILD)
    life.clock.pass_by(hours=3)
    life.walk()
    return life


def let_go(life: Life) -> None:
    """The queue lets it go on; a moment later its controller makes pods."""
    life.cluster.objects[CHILD]["spec"]["suspend"] = False
    life.walk()
    life.clock.pass_by(seconds=1)
    life.kubelet.start_pods()
    life.walk()


def test_a_training_that_a_queue_takes_back_goes_on_as_the_same_attempt() -> None:
    life = taken_back()
    assert (life.status.phase, life.status.message) == (Phase.PENDING, 'train waits: admission by the queue "gpu".')
    assert life.children() == ONE_TRAINING
    let_go(life)
    assert life.status.phase is Phase.TRAINING
    life.clock.pass_by(minutes=5)
    life.kubelet.end_pods()
    life.walk()
    assert life.children() == {*ONE_TRAINING, "support-evaluate-1"}
    ended = life.status.attempts[-2]
    assert (ended.number, ended.reason, ended.last_step) == (1, "Completed", 5000)
    assert life.status.restarts.total == 0
    assert life.most_pod_sets == 1


def test_a_training_that_is_let_go_before_its_old_pods_are_gone_goes_on_too() -> None:
    life = in_training()
    life.kubelet.take_back(CHILD)
    life.walk()
    life.clock.pass_by(seconds=5)
    child = life.cluster.objects[CHILD]
    child["spec"]["suspend"] = False
    life.clock.pass_by(seconds=1)
    child["status"]["startTime"] = stamp(life.clock.now)
    child["status"]["conditions"] = [a_condition("Suspended", "False", at=life.clock.now)]
    life.walk()
    life.kubelet.end_told_pods()
    life.walk()
    life.kubelet.let_go()
    life.kubelet.start_pods()
    life.walk()
    assert life.children() == ONE_TRAINING
    assert [a.reason for a in life.status.attempts] == ["Completed", None]


def test_a_report_of_before_it_was_taken_back_is_no_silence() -> None:
    """After three hours of waiting it would be stopped at once, and charged."""
    life = taken_back()
    let_go(life)
    life.clock.pass_by(minutes=29)
    life.report(5001)
    reasons = []
    for minutes in (0, 29, 1):
        life.clock.pass_by(minutes=minutes)
        life.walk()
        reasons.append(life.status.attempts[-1].reason)
    assert reasons == [None, None, "Stall"]
    assert life.status.attempts[-1].last_step == 5001


def be_deleted(life: Life) -> None:
    life.cluster.remove(CHILD)
    life.kubelet.let_go()


def fail(life: Life) -> None:
    life.kubelet.end_pods(1)


@pytest.mark.parametrize(("end", "reason"), [(be_deleted, "Disruption"), (fail, "Unknown")])
def test_what_ends_before_it_reported_again_has_come_as_far_as_before(end: Callable[[Life], None], reason: str) -> None:
    life = taken_back()
    let_go(life)
    end(life)
    life.walk()
    gone = next(a for a in life.status.attempts if a.stage == Stage.TRAIN)
    assert (gone.reason, gone.last_step) == (reason, 5000)


def test_a_pod_on_a_lost_node_does_not_keep_it_waiting() -> None:
    """Kubernetes makes no new pod while the old one may run."""
    life = in_training()
    life.kubelet.take_back(CHILD)
    life.walk()
    life.clock.pass_by(seconds=149)
    life.walk()
    assert life.children() == ONE_TRAINING
    life.clock.pass_by(seconds=1)
    life.walk()
    life.walk()
    assert life.children() == {"support-prepare-1"}
    assert (life.status.attempts[-1].reason, life.status.attempts[-1].charged) == ("Disruption", False)


def test_a_child_that_was_taken_for_ended_does_not_run_beside_its_successor() -> None:
    """Its pods were seen as failed after its Job had been read and before it was suspended."""
    life = in_training()
    life.kubelet.take_back(CHILD)
    child = life.cluster.objects[CHILD]
    child["spec"]["suspend"] = False
    child["status"] = {"startTime": stamp(CREATED)}
    life.kubelet.end_told_pods()
    life.walk()
    assert life.children() == {*ONE_TRAINING, "support-train-2"}
    life.kubelet.take_back(CHILD)
    life.kubelet.let_go()
    life.walk()
    assert life.children() == {"support-prepare-1", "support-train-2"}
    assert [(a.number, a.reason) for a in life.status.attempts[1:]] == [(1, "Disruption"), (2, None)]


@pytest.mark.parametrize("told", [True, False], ids=["the Job says so", "only its pod"])
def test_a_child_that_failed_is_kept_beside_its_successor_for_whoever_reads_its_log(told: bool) -> None:
    life = in_training()
    life.kubelet.end_pods(1)
    if not told:
        life.cluster.objects[CHILD]["status"]["conditions"] = []
    for _ in range(3):
        life.walk()
        life.clock.pass_by(minutes=5)
    assert life.children() == {*ONE_TRAINING, "support-train-2"}


# ---------------------------------------------------------------- what is seen of them

HELD = a_condition("Suspended", at=after(minutes=-1))


def seen_of(*pods: Manifest, completed: str = "", **child: Any) -> AttemptSeen:
    """What is seen of a training that reported a minute after it began, nine minutes ago."""
    progress = Progress(step=40, updated_at=CREATED + timedelta(minutes=1))
    job = stored()
    status = job.status.model_copy(update={"progress": progress, "attempts": (an_attempt(),)})
    held = a_child(**{"suspended": True, "conditions": (HELD,), **child})
    held["status"]["completedIndexes"] = completed
    (found,) = observe(job.model_copy(update={"status": status}), [held], pods, [], NOON).attempts
    assert found.stage is Stage.TRAIN
    return found


def test_pods_that_end_because_a_queue_took_them_back_have_not_failed() -> None:
    found = seen_of(ended(0, 143, deleted_at=after(minutes=-1)), running(1, deleted_at=after(minutes=-1)))
    assert (found.state, found.ending_since, found.exit) == (AttemptState.ENDING, after(minutes=1), None)
    found = seen_of(ended(0, 143, deleted_at=after(minutes=-1)), ended(1, 137, deleted_at=after(minutes=-1)))
    assert (found.state, found.waiting_since, found.half_since) == (AttemptState.WAITING, after(minutes=-1), None)
    assert (found.progress, found.last_step) == (None, 40)


def test_pods_that_nobody_has_told_yet_have_all_the_time() -> None:
    found = seen_of(running(0), running(1), conditions=())
    assert (found.state, found.ending_since) == (AttemptState.ENDING, None)


def test_a_child_that_is_let_go_is_held_until_its_controller_begins_anew() -> None:
    assert seen_of(ended(0, 143, deleted_at=after(minutes=-1)), suspended=False).state is AttemptState.WAITING


@pytest.mark.parametrize("kind", ["FailureTarget", "Failed", "SuccessCriteriaMet", "Complete"])
def test_a_child_that_had_ended_before_it_was_taken_back_has_ended(kind: str) -> None:
    found = seen_of(ended(0, 1), ended(1, 75), conditions=(HELD, a_condition(kind)))
    assert found.state is AttemptState.ENDED


def test_a_rank_that_counts_as_done_would_be_missing_ever_after() -> None:
    """A pod that exits 0 when it is told to stop, or had just finished: the others would wait for it."""
    found = seen_of(completed="1")
    assert (found.state, found.ending_since) == (AttemptState.ENDING, after(minutes=-1))
    assert found.waits_for == "pod 1 counts as done, and Kubernetes would go on without it"


def test_the_end_of_a_pod_of_before_says_nothing_and_that_of_a_pod_of_now_does() -> None:
    def after_a_resume(pod: Manifest) -> AttemptState:
        child = a_child(width=1, conditions=(a_condition("Suspended", "False", at=after(minutes=-2)),))
        child["status"]["startTime"] = stamp(after(minutes=-2))
        (found,) = observe(stored(), [child], [pod], [], NOON).attempts
        return found.state

    old = ended(0, 143, deleted_at=after(minutes=-3))
    assert after_a_resume(old) is not AttemptState.ENDED
    later = ended(0, 143, deleted_at=after(minutes=-1))
    assert after_a_resume(later) is AttemptState.ENDED
    by_itself = a_pod(0, state=old["status"]["containerStatuses"][0]["state"], phase="Failed")
    assert after_a_resume(by_itself) is AttemptState.ENDED
