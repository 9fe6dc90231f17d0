"""How attempts are seen to end: one pod is to blame, and survivors never are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api_objects import a_child, a_condition, a_pod, ended, error, result, running
from builders import NOON, after
from finetune_operator.brain.failures import FailureClass, classify, describe, succeeded
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Exit, ExitReason
from finetune_operator.brain.stages import Stage
from finetune_operator.observe import observe
from finetune_operator.render import Manifest
from rendered import stored

JOB = stored()
FAILING = a_condition(
    "FailureTarget", at=NOON, reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit"
)
DONE = a_condition("SuccessCriteriaMet", at=NOON, reason="CompletionsReached")


def seen_of(*pods: Manifest, child: Manifest | None = None, job: object = None, minutes: float = 0) -> AttemptSeen:
    (found,) = observe(job or JOB, [child or a_child(conditions=(FAILING,))], pods, [], after(minutes=minutes)).attempts  # type: ignore[arg-type]
    return found


def end_of(*pods: Manifest, child: Manifest | None = None, job: object = None) -> Exit:
    found = seen_of(*pods, child=child, job=job)
    assert found.state is AttemptState.ENDED
    assert found.exit is not None
    return found.exit


# ---------------------------------------------------------------- success


def test_an_attempt_that_did_its_work_ends_with_the_result_of_the_first_pod() -> None:
    found = seen_of(ended(0, said=result()), ended(1, said=result()), child=a_child(conditions=(DONE,)), minutes=1)
    assert (found.stage, found.number, found.state, found.finished_at) == (Stage.TRAIN, 1, AttemptState.ENDED, NOON)
    assert found.exit is not None
    assert succeeded(Stage.TRAIN, found.exit)
    assert found.exit.pod == "support-train-1-0-x7k2p"


def test_success_is_seen_before_the_job_says_so() -> None:
    assert succeeded(Stage.TRAIN, end_of(ended(0, said=result()), ended(1, said=result()), child=a_child()))


def test_one_pod_that_is_done_is_not_an_attempt_that_is_done() -> None:
    assert seen_of(ended(0, said=result()), running(1), child=a_child()).state is AttemptState.RUNNING


@pytest.mark.parametrize("index", [0, 1])
def test_a_deleted_pod_that_exits_0_has_not_done_its_work(index: int) -> None:
    deleted = ended(index, 0, deleted_at=NOON - timedelta(seconds=5))
    other = ended(1 - index, 0, said=result())
    end = end_of(deleted, other, child=a_child(conditions=(DONE,)))
    assert not succeeded(Stage.TRAIN, end)
    assert classify(end) is FailureClass.DISRUPTION


def test_a_pod_that_was_deleted_after_it_had_finished_did_its_work() -> None:
    pods = (ended(0, said=result()), ended(1, said=result(), deleted_at=NOON + timedelta(seconds=1)))
    assert succeeded(Stage.TRAIN, end_of(*pods, child=a_child(conditions=(DONE,))))


def test_without_the_first_pods_words_nothing_is_known_to_be_done() -> None:
    end = end_of(ended(1, said=result()), child=a_child(conditions=(DONE,)))
    assert not succeeded(Stage.TRAIN, end)
    assert classify(end) is FailureClass.DISRUPTION


def test_a_script_of_the_users_needs_no_result() -> None:
    own = stored(image="registry.example/own:1", command=["python", "train.py"])
    pods = (ended(0, said="last line of a log"), ended(1))
    assert succeeded(Stage.TRAIN, end_of(*pods, child=a_child(conditions=(DONE,)), job=own))


@pytest.mark.parametrize("seconds", [2, 0])  # times are whole seconds: most programs end in the one in which they are told to
def test_a_script_of_the_users_that_was_deleted_has_not_done_its_work(seconds: int) -> None:
    own = stored(image="registry.example/own:1", command=["python", "train.py"])
    pods = (ended(0), ended(1, 0, at=NOON, deleted_at=NOON - timedelta(seconds=seconds)))
    end = end_of(*pods, child=a_child(conditions=(DONE,)), job=own)
    assert (succeeded(Stage.TRAIN, end), classify(end)) == (False, FailureClass.DISRUPTION)


def test_the_other_stages_of_such_a_job_are_ours_and_leave_one() -> None:
    own = stored(image="registry.example/own:1", command=["python", "train.py"])
    end = end_of(ended(0, stage="prepare"), child=a_child("prepare", width=1, conditions=(DONE,)), job=own)
    assert not succeeded(Stage.PREPARE, end)


# ---------------------------------------------------------------- who is to blame


@pytest.mark.parametrize(
    ("first", "second", "code", "failure"),
    [
        (ended(0, 75, at=NOON), ended(1, 137, at=NOON), 137, FailureClass.UNKNOWN),
        (ended(0, 75, said=error("Transient"), at=NOON), ended(1, 1, at=after(seconds=3)), 1, FailureClass.UNKNOWN),
        (ended(0, 65, said=error("DataError")), ended(1, 75, at=after(seconds=-5)), 65, FailureClass.USER_ERROR),
        (ended(0, 75), ended(1, 71, said=error("OutOfMemory")), 71, FailureClass.OUT_OF_MEMORY),
        (ended(0, 75), ended(1, 137, word="OOMKilled"), 137, FailureClass.OUT_OF_MEMORY),
        (ended(0, 75, said=error("Transient")), ended(1, 75, said=error("Transient")), 75, FailureClass.TRANSIENT),
    ],
)
def test_the_pod_with_a_cause_is_blamed_and_no_survivor(
    first: Manifest, second: Manifest, code: int, failure: FailureClass
) -> None:
    for pods in ((first, second), (second, first)):
        end = end_of(*pods)
        assert (end.code, classify(end)) == (code, failure)


def test_a_peer_that_was_killed_because_it_would_not_stop_is_not_the_cause() -> None:
    culprit = ended(0, 1, said=error("Bug", "a defect"), at=after(minutes=-3))
    peer = ended(1, 137, deleted_at=after(minutes=-2), at=NOON)
    end = end_of(culprit, peer)
    assert (end.code, end.node) == (1, "node-0")


def test_a_pod_deleted_by_hand_is_the_cause_though_its_peer_exits_75() -> None:
    deleted = ended(1, 143, said=error("Interrupted"), deleted_at=after(seconds=-20), at=after(seconds=-10))
    end = end_of(ended(0, 75, at=NOON), deleted)
    assert (end.code, end.reason, end.node, classify(end)) == (143, ExitReason.DISRUPTED, "node-1", FailureClass.DISRUPTION)


def test_a_pod_deleted_by_hand_that_is_gone_is_still_the_cause() -> None:
    end = end_of(ended(0, 75, at=NOON))
    assert (end.reason, end.detail) == (ExitReason.DISRUPTED, "pod 1 was deleted")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("EvictionByEvictionAPI", "drained"),
        ("PreemptionByScheduler", "preempted"),
        ("DeletionByTaintManager", "lost or tainted"),
        ("DeletionByPodGC", "gone"),
    ],
)
def test_a_disrupted_pod_is_the_cause_of_its_peers_failures(reason: str, words: str) -> None:
    disrupted = a_condition("DisruptionTarget", reason=reason, message="Taint manager: deleting due to NoExecute taint")
    drained = ended(1, 143, said=error("Interrupted"), conditions=(disrupted,), deleted_at=after(seconds=-9))
    end = end_of(ended(0, 1, at=NOON), drained)
    assert (end.reason, end.node, classify(end)) == (ExitReason.DISRUPTED, "node-1", FailureClass.DISRUPTION)
    assert words in (end.detail or "")


def test_a_mistake_in_the_data_stays_one_on_a_node_that_is_drained() -> None:
    disrupted = a_condition("DisruptionTarget", reason="EvictionByEvictionAPI")
    end = end_of(ended(0, 65, said=error("DataError", "row 7")), ended(1, 143, conditions=(disrupted,)))
    assert classify(end) is FailureClass.USER_ERROR
    assert describe(end) == "row 7"


def test_a_disruption_that_passed_by_is_no_cause() -> None:
    stale = a_condition("DisruptionTarget", "False", reason="PreemptionByScheduler")
    assert end_of(ended(0, 1, conditions=(stale,)), ended(1, 75)).reason is ExitReason.EXITED


@pytest.mark.parametrize("conditions", [(), (a_condition("DisruptionTarget", reason="TerminationByKubelet"),)])
def test_an_eviction_for_what_the_pod_used_names_the_resource(conditions: tuple[Manifest, ...]) -> None:
    said = "The node was low on resource: memory. Threshold quantity: 100Mi"
    pod = a_pod(1, phase="Failed", reason="Evicted", message=said, conditions=conditions)
    end = end_of(ended(0, 75), pod)
    assert (end.reason, classify(end)) == (ExitReason.EVICTED, FailureClass.OUT_OF_MEMORY)
    assert said in (end.detail or "")


def test_a_node_that_is_shut_down_disrupts() -> None:
    disrupted = a_condition("DisruptionTarget", reason="TerminationByKubelet")
    pod = ended(
        1,
        143,
        reason="Terminated",
        message="Pod was terminated in response to imminent node shutdown.",
        conditions=(disrupted,),
    )
    assert end_of(ended(0, 75), pod).reason is ExitReason.DISRUPTED


@pytest.mark.parametrize("reason", ["UnexpectedAdmissionError", "OutOfcpu", "OutOfnvidia.com/gpu", "NodeAffinity"])
def test_a_pod_that_a_kubelet_turned_away_is_not_charged(reason: str) -> None:
    end = end_of(
        a_pod(0, phase="Failed", reason=reason, message="Pod was rejected"), child=a_child(width=1, conditions=(FAILING,))
    )
    assert (end.code, end.reason) == (None, ExitReason.DISRUPTED)
    assert reason in (end.detail or "")


def test_a_program_that_is_not_in_the_image_is_named() -> None:
    said = 'exec: "python": executable file not found in $PATH'
    end = end_of(ended(0, 128, word="StartError", said=said), child=a_child(width=1, conditions=(FAILING,)))
    assert said in describe(end)


# ---------------------------------------------------------------- the pods are gone


@pytest.mark.parametrize(
    ("message", "code", "reason", "failure"),
    [
        (
            "Container trainer for pod team/support-train-1-1-abcde failed with exit code 64 matching FailJob rule at index 0",
            64,
            ExitReason.EXITED,
            FailureClass.USER_ERROR,
        ),
        (
            "Pod team/support-train-1-1-abcde has condition DisruptionTarget matching FailJob rule at index 1",
            None,
            ExitReason.DISRUPTED,
            FailureClass.DISRUPTION,
        ),
        ("Job has reached the specified backoff limit", None, ExitReason.DISRUPTED, FailureClass.DISRUPTION),
    ],
)
def test_the_jobs_own_words_tell_of_pods_that_are_gone(
    message: str, code: int | None, reason: ExitReason, failure: FailureClass
) -> None:
    child = a_child(conditions=(a_condition("FailureTarget", reason="PodFailurePolicy", message=message),))
    for pods in ([], [ended(0, 75)]):
        end = end_of(*pods, child=child)
        assert (end.code, end.reason, classify(end)) == (code, reason, failure)


# ---------------------------------------------------------------- when it has ended


def test_a_failure_is_seen_before_the_job_says_so_and_waits_for_the_peers() -> None:
    found = seen_of(ended(0, 1), running(1), child=a_child())
    assert (found.state, found.exit, found.ending_since) == (AttemptState.ENDING, None, None)


def test_a_peer_that_is_told_to_stop_has_the_time_it_was_given() -> None:
    found = seen_of(ended(0, 1), running(1, deleted_at=NOON))
    assert (found.state, found.ending_since) == (AttemptState.ENDING, after(seconds=120))


def test_a_pod_on_a_lost_node_should_have_been_gone_when_the_loss_was_noticed() -> None:
    lost = a_condition("Ready", "False", at=after(seconds=-30))
    stranded = running(1, conditions=(lost,), deleted_at=NOON)
    for pods in ((ended(0, 75), stranded), (stranded,)):
        child = a_child(width=len(pods), conditions=(FAILING,) if len(pods) > 1 else ())
        assert seen_of(*pods, child=child).ending_since == after(seconds=-30)


def test_a_node_that_is_silent_for_a_while_ends_nothing() -> None:
    lost = a_condition("Ready", "False", at=after(seconds=-30))
    assert seen_of(running(0), running(1, conditions=(lost,)), child=a_child()).state is AttemptState.RUNNING


def test_a_pod_that_is_being_deleted_ends_the_attempt() -> None:
    ready = a_condition("Ready", "True", at=after(minutes=-8))
    found = seen_of(running(0), running(1, deleted_at=NOON, grace_seconds=60, conditions=(ready,)), child=a_child())
    assert (found.state, found.ending_since) == (AttemptState.ENDING, after(seconds=60))
