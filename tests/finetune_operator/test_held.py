"""Child Jobs that were deleted and are held by somebody's finalizer: their pods end all the same, and nothing waits for them.

How Kubernetes treats them was read from 1.36 (held.py); the cluster in memory does as it was read and proves nothing about it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api_objects import a_child, a_condition, ended, error, result, running
from builders import NOON, after
from fakes import PODS_FIRST
from finetune_api.v1alpha1.status import Phase
from finetune_operator.brain.failures import FailureClass, classify, succeeded
from finetune_operator.brain.observation import AttemptSeen, AttemptState
from finetune_operator.brain.stages import Stage
from finetune_operator.held import keeps_pods
from finetune_operator.kinds import CHILD_JOB, FINE_TUNE_JOB, POD, Ref
from finetune_operator.observe import observe
from finetune_operator.render import Manifest
from lives import KEY, Life, stages_done
from rendered import stored

ARCHIVE = "archive.example/keep"
JOB, CHILD = Ref(FINE_TUNE_JOB, *KEY), Ref(CHILD_JOB, "ml", "support-train-1")


def in_training() -> Life:
    """A job whose training runs, and whose child Job bears a stranger's finalizer."""
    life = Life()
    life.cluster.submit()
    stages_done(1)(life)
    life.cluster.objects[CHILD]["metadata"]["finalizers"] = [ARCHIVE]
    return life


def told_to_stop(life: Life) -> bool:
    pods = [pod for pod in life.cluster.all(POD) if pod["metadata"]["labels"]["finetune.dev/stage"] == "train"]
    return all(pod["metadata"].get("deletionTimestamp") for pod in pods)


def deletions(life: Life) -> list[str]:
    return [call.removeprefix("delete Job ml/") for call in life.cluster.calls if call.startswith("delete Job")]


def test_a_held_child_s_pods_are_stopped_and_the_job_is_suspended_without_it() -> None:
    life = in_training()
    life.cluster.set_policy(JOB, suspend=True)
    life.walk()
    assert not told_to_stop(life), "the first delete waits for whoever holds it"
    life.walk()
    assert told_to_stop(life)
    life.walk()
    life.kubelet.let_go()
    life.clock.pass_by(seconds=31)
    for _ in range(5):
        assert life.walk() == timedelta(minutes=5), "nothing of it runs: there is nothing to be asked for"
    assert (life.status.phase, life.status.attempts[-1].reason) == (Phase.SUSPENDED, "Suspended")
    assert deletions(life) == ["support-train-1", "support-train-1 pods first"], "a third one would begin anew"
    life.cluster.set_policy(JOB, suspend=False)
    life.walk()
    assert "support-train-2" in life.children()


def test_a_held_child_of_a_job_that_is_gone_gives_its_machines_up() -> None:
    life = in_training()
    life.cluster.remove(JOB)
    assert not told_to_stop(life)
    life.reconciler.held.add(KEY)
    assert life.walk() is None
    assert told_to_stop(life)
    assert life.walk() is None
    life.kubelet.let_go()
    assert life.walk() is None
    assert deletions(life) == ["support-train-1 pods first"]
    assert KEY in life.reconciler.held
    life.cluster.objects[CHILD]["metadata"]["finalizers"].clear()
    life.cluster.remove(CHILD)
    life.walk()
    assert KEY not in life.reconciler.held, "nothing is remembered of it"


def test_a_stranger_s_job_with_our_labels_is_left_alone() -> None:
    life = in_training()
    child = life.cluster.objects[CHILD]["metadata"]
    child["ownerReferences"][0] |= {"kind": "Workflow", "apiVersion": "argoproj.io/v1alpha1"}
    life.cluster.remove(JOB)
    life.reconciler.held.add(KEY)
    life.walk()
    assert deletions(life) == []


def test_a_successor_has_the_pods_of_a_held_predecessor_stopped() -> None:
    """kubectl replace --force: the old child's name is taken until it is gone, and so are its GPUs."""
    life = Life()
    life.cluster.submit()
    life.walk()
    life.kubelet.start_pods()
    child = Ref(CHILD_JOB, "ml", "support-prepare-1")
    life.cluster.objects[child]["metadata"]["finalizers"] = [ARCHIVE]
    life.cluster.remove(JOB)
    life.cluster.submit()
    life.walk()
    life.walk()
    assert all(pod["metadata"].get("deletionTimestamp") for pod in life.cluster.all(POD))


def test_a_child_that_somebody_deleted_and_another_holds_is_no_training_any_more() -> None:
    """Its pods would run on until the finalizer is gone, and then be killed wherever they are."""
    life = in_training()
    life.cluster.remove(CHILD)
    life.walk()
    assert not told_to_stop(life)
    life.clock.pass_by(seconds=30)
    life.walk()
    assert told_to_stop(life)
    life.kubelet.let_go()
    life.walk()
    last = life.status.attempts[-2]
    assert (last.reason, last.charged) == ("Disruption", False)
    assert last.message == f"its child Job was deleted, and is held by its finalizers ({ARCHIVE})"
    assert "support-train-2" in life.children()


def test_an_ended_job_with_a_held_child_asks_for_nothing() -> None:
    life = Life()
    life.cluster.submit()
    life.go_on(64)
    child = Ref(CHILD_JOB, "ml", "support-prepare-1")
    life.cluster.objects[child]["metadata"]["finalizers"] = [ARCHIVE]
    life.cluster.objects[child]["status"]["conditions"] = []
    life.cluster.remove(child)
    life.clock.pass_by(minutes=1)
    assert life.status.phase is Phase.FAILED
    assert life.walk() is None


# ---------------------------------------------------------------- what is seen of them

NOW = after(minutes=5)


def seen_of(*pods: Manifest, **child: Any) -> AttemptSeen:
    (found,) = observe(stored(), [a_child(deleted_at=NOON, **child)], pods, [], NOW).attempts
    return found


def test_a_deleted_child_whose_pods_run_on_ends_since_it_was_deleted() -> None:
    found = seen_of(running(0), running(1, deleted_at=NOON))
    assert (found.state, found.ending_since) == (AttemptState.ENDING, NOON)


def test_a_deleted_child_whose_pods_were_told_has_their_time() -> None:
    found = seen_of(running(0, deleted_at=after(minutes=4)), running(1, deleted_at=after(minutes=4)))
    assert (found.state, found.ending_since) == (AttemptState.ENDING, after(minutes=6))


def test_a_deleted_child_does_not_wait_for_a_lost_node() -> None:
    lost = a_condition("Ready", "False", at=after(minutes=1))
    found = seen_of(running(0, deleted_at=NOON, conditions=(lost,)), ended(1, 143, deleted_at=NOON))
    assert found.state is AttemptState.ENDED
    assert found.exit is not None
    assert classify(found.exit) is FailureClass.DISRUPTION


def test_what_a_deleted_child_has_done_is_done_and_what_it_has_broken_broken() -> None:
    done = seen_of(ended(0, said=result()), ended(1, said=result()))
    assert (done.state, done.exit and succeeded(Stage.TRAIN, done.exit)) == (AttemptState.ENDED, True)
    wrong = seen_of(ended(0, 64, said=error("UserError")), ended(1, 75))
    assert wrong.exit is not None
    assert classify(wrong.exit) is FailureClass.USER_ERROR


def test_a_child_that_was_deleted_this_moment_may_still_get_pods() -> None:
    (found,) = observe(stored(), [a_child(deleted_at=NOON)], [], [], after(seconds=29)).attempts
    assert (found.state, found.ending_since) == (AttemptState.ENDING, NOON)
    (found,) = observe(stored(), [a_child(deleted_at=NOON)], [], [], after(seconds=30)).attempts
    assert found.state is AttemptState.ENDED


@pytest.mark.parametrize(
    ("finalizers", "pod", "keeps"),
    [
        ([ARCHIVE], running(0), True),
        ([ARCHIVE, PODS_FIRST], running(0), False),
        ([ARCHIVE], running(0, deleted_at=NOON), False),
        ([ARCHIVE], ended(0, 1), False),
        (["orphan"], running(0), True),
    ],
    ids=["held", "asked already", "told", "ended", "orphan"],
)
def test_whose_pods_nobody_ends(finalizers: list[str], pod: Manifest, keeps: bool) -> None:
    child = a_child(deleted_at=NOON)
    child["metadata"]["finalizers"] = finalizers
    assert keeps_pods(child, [pod]) is keeps
    del child["metadata"]["deletionTimestamp"]
    assert not keeps_pods(child, [pod])
