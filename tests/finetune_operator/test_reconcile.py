"""Whole lives of jobs against a cluster in memory, with every call failing once: before its effect, after it, or for good."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from builders import an_evaluation
from fakes import Crash, Fault, When
from finetune_operator.kinds import CLAIM, FINE_TUNE_JOB, OUR_EVENT, Ref, owner_uid
from lives import (
    LIVES,
    Life,
    gist,
    lived,
    succeed,
    witness_of,
)


@pytest.mark.parametrize("name", LIVES)
def test_a_job_lives_to_its_end(name: str) -> None:
    story, phase = LIVES[name]
    life = lived(story)
    assert life.status.phase is phase
    assert life.most_pod_sets == 1
    assert life.walk() is None, "an ended job asks for nothing"


def test_the_stages_run_one_after_another_as_children_of_their_own() -> None:
    life = lived(succeed)
    assert life.children() == {"support-prepare-1", "support-train-1", "support-evaluate-1", "support-publish-1"}
    assert [job["metadata"]["name"] for job in life.cluster.all(CLAIM)] == ["support-workspace"]
    assert life.status.output is not None
    assert life.status.evaluation is not None
    assert life.status.evaluation.score == an_evaluation().score


@pytest.mark.parametrize("error", [None, Crash], ids=["error", "crash"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", LIVES)
def test_whichever_call_fails_the_job_ends_alike(name: str, when: When, error: type[BaseException] | None) -> None:
    story, _ = LIVES[name]
    wanted = lived(story)
    events = Counter(wanted.cluster.said())
    assert len(wanted.cluster.calls) > 10
    for number in range(1, len(wanted.cluster.calls) + 1):
        fault = Fault(number, when, error) if error else Fault(number, when)
        life = lived(story, fault)
        place = f"call {number} ({wanted.cluster.calls[number - 1]}) failed {when}"
        assert gist(life) == gist(wanted), place
        assert life.most_pod_sets == 1, f"{place}: two attempts ran at once"
        assert witness_of(life).goes_back() == [], place
        assert statuses_only_move_forward(life), place
        orphans = [r for r in life.cluster.objects if r.kind not in (FINE_TUNE_JOB, OUR_EVENT) and not has_owner(life, r)]
        assert not orphans, place
        if error is None:
            assert Counter(life.cluster.said()) == events, f"{place}: each transition is told once"
            assert [t.reason for t in life.told] == [t.reason for t in wanted.told], place
        else:
            assert not Counter(life.cluster.said()) - events, f"{place}: no transition is told twice"


def has_owner(life: Life, ref: Ref) -> bool:
    uids = {found["metadata"]["uid"] for found in life.cluster.objects.values()}
    return owner_uid(life.cluster.objects[ref]) in uids


def statuses_only_move_forward(life: Life) -> bool:
    done: set[str] = set()
    ended = False
    for status in life.cluster.statuses:
        now = {c.type for c in status.conditions if c.status == "True" and c.reason == "Completed"}
        over = bool(status.phase and status.phase.terminal)
        if not done <= now or (ended and not over):
            return False
        done, ended = now, over
    return True


def test_a_job_that_does_not_change_costs_reads_alone() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    before = len(life.cluster.calls)
    again = life.walk()
    assert [call.split()[0] for call in life.cluster.calls[before:]] == ["get", "get", "find"]
    assert again == timedelta(minutes=5)


def test_an_attempt_is_noted_before_it_exists() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    kinds = [call.split()[0] + " " + call.split()[1] for call in life.cluster.calls]
    assert kinds.index("patch_status FineTuneJob") < kinds.index("create Job")
    assert kinds[-1] == "create Event", "Events come last and hold nothing up"
