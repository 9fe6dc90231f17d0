"""The way of a job when nothing goes wrong, and each turn off it that is not a failure."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders import (
    NOON,
    a_block,
    a_decision,
    a_job,
    a_run,
    a_wait,
    after,
    an_attempt,
    an_ending,
    an_exit,
    decided,
    done,
    is_true,
    live,
    seen,
)
from finetune_api.contract.exit_codes import ExitCode
from finetune_api.errors import InvalidSpec, Problem
from finetune_api.v1alpha1.status import ConditionType, Phase
from finetune_operator.brain.decide import AttemptName, refuse
from finetune_operator.brain.observation import Observation
from finetune_operator.brain.stages import STAGES, Stage

# ---------------------------------------------------------------- the way


def test_a_new_job_is_accepted_and_prepares() -> None:
    decision = a_decision(a_job())
    assert decision.start == AttemptName(Stage.PREPARE, 1)
    assert decision.status.phase is Phase.PREPARING
    assert decision.status.start_time == NOON
    assert is_true(decision.status, "Accepted")
    assert [condition.type for condition in decision.status.conditions] == list(ConditionType)


def test_a_job_goes_through_its_stages_and_succeeds() -> None:
    job = a_job()
    for stage, needs in STAGES.items():
        job, decision = live(job, seen())
        assert decision.start == AttemptName(stage, 1)
        assert job.status.phase is needs.phase
        job, _ = live(job, seen(**{stage: a_run()}))
        assert not is_true(job.status, needs.condition)
        job, decision = live(job, seen(**{stage: done(stage)}))
        assert is_true(job.status, needs.condition)
    assert decision.start is None
    assert job.status.phase is Phase.SUCCEEDED
    assert job.status.message == "Published to pvc://models/support. Verdict: Improved."
    assert is_true(job.status, "Complete")
    assert not is_true(job.status, "Failed")


def test_training_is_planned_anew_with_the_facts_before_it_starts() -> None:
    job = decided(a_job(), a_decision(a_job()))
    decision = a_decision(job, seen(prepare=done("prepare")))
    assert decision.start is None
    assert decision.requeue_after == timedelta(0)
    assert decision.status.facts is not None
    following = a_decision(decided(job, decision), seen(prepare=done("prepare")))
    assert following.start == AttemptName(Stage.TRAIN, 1)
    assert following.status.plan is not None
    assert following.status.plan.total_steps == 250  # 2,000 examples in batches of 16, twice


def test_prepared_facts_that_are_lost_end_the_job_instead_of_waiting_for_ever() -> None:
    job = a_job(at="train")
    lost = job.model_copy(update={"status": job.status.model_copy(update={"facts": None})})
    assert a_decision(lost).status.phase is Phase.FAILED
    assert a_decision(lost).status.message == "prepare is done, but its facts are not in the status."


def test_a_broken_gate_rejects_and_nothing_is_published() -> None:
    decision = a_decision(a_job(at="publish", gates_kept=False))
    assert decision.start is None
    assert decision.status.phase is Phase.REJECTED
    assert decision.status.message == "Rejected: loss fell by 0.010 (1.920 -> 1.910); gates[0] asks for 0.020."
    assert (is_true(decision.status, "Failed"), is_true(decision.status, "Complete")) == (True, False)


def test_kept_gates_publish() -> None:
    assert a_decision(a_job(at="publish")).start == AttemptName(Stage.PUBLISH, 1)


def test_a_job_that_cannot_be_planned_fails_with_every_problem_and_stops_what_runs() -> None:
    error = InvalidSpec([Problem("spec.model.uri", "no such model"), Problem("spec.resources", "too small")])
    decision = refuse(a_job(at="train", attempts=[an_attempt()]), error, seen(train=a_run()), NOON)
    assert (decision.status.start_time, decision.status.completion_time) == (after(hours=-1), NOON)
    assert decision.status.phase is Phase.FAILED
    assert decision.status.message == "spec.model.uri: no such model\nspec.resources: too small"
    assert decision.stop == (AttemptName(Stage.TRAIN, 1),)
    accepted = next(c for c in decision.status.conditions if c.type == "Accepted")
    assert (accepted.status, accepted.reason) == ("False", "InvalidSpec")


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.REJECTED, Phase.FAILED])
def test_what_has_ended_stays_ended_and_whatever_still_runs_is_stopped(phase: Phase) -> None:
    job = a_job(at="train")
    ended = job.model_copy(update={"status": job.status.model_copy(update={"phase": phase})})
    decision = a_decision(ended, seen(train=a_run()), after(days=9))
    assert decision.status is ended.status
    assert (decision.start, decision.stop) == (None, (AttemptName(Stage.TRAIN, 1),))
    assert refuse(ended, InvalidSpec([Problem("a", "b")]), seen(), NOON).status is ended.status


# ---------------------------------------------------------------- crashes


def test_an_attempt_that_was_written_down_and_never_created_is_started_under_the_same_name() -> None:
    job, _ = live(a_job(), seen())
    decision = a_decision(job)
    assert decision.start == AttemptName(Stage.PREPARE, 1)
    assert len(decision.status.attempts) == 1


def test_an_attempt_that_exists_is_not_started_again() -> None:
    job, _ = live(a_job(), seen())
    assert a_decision(job, seen(prepare=a_wait())).start is None
    assert a_decision(job, seen(prepare=a_run())).start is None


def test_after_the_status_was_lost_no_number_is_used_twice() -> None:
    decision = a_decision(a_job(), seen(prepare=(an_exit(number=1), an_exit(number=4))))
    assert decision.start == AttemptName(Stage.PREPARE, 5)


def test_an_attempt_that_runs_after_the_status_was_lost_is_stopped_before_another_starts() -> None:
    decision = a_decision(a_job(), seen(prepare=a_run(3)))
    assert (decision.start, decision.stop) == (None, (AttemptName(Stage.PREPARE, 3),))
    assert decision.status.message == "prepare waits: an earlier attempt has not ended yet."


def test_an_older_attempt_that_is_still_ending_may_write_and_holds_the_next_one_up() -> None:
    job = a_job(at="train", attempts=[an_attempt(reason="Stall", message="no step for 1800 s")])
    assert a_decision(job, seen(train=an_ending())).start is None
    assert a_decision(job, seen(train=an_exit(137))).start == AttemptName(Stage.TRAIN, 2)


def test_an_attempt_of_another_stage_holds_the_next_one_up_too() -> None:
    assert a_decision(a_job(at="train"), seen(prepare=an_ending())).start is None


# ---------------------------------------------------------------- success that is none


@pytest.mark.parametrize("code", [ExitCode.DONE, ExitCode.INTERRUPTED])
def test_train_that_exits_without_a_result_has_not_finished(code: ExitCode) -> None:
    job = a_job(at="train", attempts=[an_attempt()])
    decision = a_decision(job, seen(train=an_exit(code, step=400)))
    assert not is_true(decision.status, "Trained")
    assert decision.start == AttemptName(Stage.TRAIN, 2)


def test_a_stage_that_finished_just_before_it_was_stopped_is_done() -> None:
    stopped = an_attempt().model_copy(update={"reason": "Stall", "message": "no step for 1800 s"})
    decision = a_decision(a_job(at="train", attempts=[stopped]), seen(train=done("train")))
    assert is_true(decision.status, "Trained")
    assert decision.start == AttemptName(Stage.EVALUATE, 1)


# ---------------------------------------------------------------- waiting


def test_waiting_for_room_is_pending_without_limit() -> None:
    job = a_job(at="train", attempts=[an_attempt(started=None)])
    decision = a_decision(job, seen(train=a_wait()), after(days=30))
    assert decision.status.phase is Phase.PENDING
    assert decision.status.message == "train waits: 0 of 2 nodes have 8 free nvidia.com/gpu."
    assert (decision.stop, decision.requeue_after) == ((), None)


def test_what_cannot_start_is_looked_at_again_when_its_deadline_is_over() -> None:
    job = a_job(at="train", attempts=[an_attempt(started=None)], startup_deadline_seconds=600)
    decision = a_decision(job, seen(train=a_block()), after(seconds=400))
    assert (decision.stop, decision.requeue_after) == ((), timedelta(seconds=200))


def test_what_cannot_start_fails_with_the_pods_own_reason() -> None:
    job = a_job(at="train", attempts=[an_attempt(started=None)], startup_deadline_seconds=600)
    job, decision = live(job, seen(train=a_block()), now=after(seconds=600))
    assert decision.stop == (AttemptName(Stage.TRAIN, 1),)
    job, decision = live(job, seen(), now=after(seconds=601))
    assert job.status.phase is Phase.FAILED
    assert (
        job.status.message
        == "train attempt 1: it could not start in 600 s (runPolicy.startupDeadlineSeconds): the image cannot be pulled"
    )


def test_a_queue_deadline_ends_the_wait_for_room() -> None:
    job = a_job(at="train", attempts=[an_attempt(started=None)], queue_deadline_seconds=60)
    assert a_decision(job, seen(train=a_wait()), after(seconds=59)).stop == ()
    assert a_decision(job, seen(train=a_wait()), after(seconds=60)).stop == (AttemptName(Stage.TRAIN, 1),)


def test_waiting_for_room_and_being_unable_to_start_have_a_clock_each() -> None:
    job = a_job(at="train", attempts=[an_attempt(started=None)], startup_deadline_seconds=60)
    assert a_decision(job, seen(train=a_wait()), after(hours=9)).stop == ()
    assert a_decision(job, seen(train=a_block(since=after(hours=9))), after(hours=9)).stop == ()


# ---------------------------------------------------------------- deciding again


EXAMPLES = {
    "new": (a_job(), seen()),
    "running": (a_job(at="train", attempts=[an_attempt()]), seen(train=a_run(step=5))),
    "failed once": (a_job(at="train", attempts=[an_attempt()]), seen(train=an_exit(1, step=5))),
    "failed for good": (a_job(at="train", attempts=[an_attempt()]), seen(train=an_exit(64))),
    "transient": (a_job(at="train", attempts=[an_attempt()]), seen(train=an_exit(75))),
    "done": (a_job(at="train", attempts=[an_attempt()]), seen(train=done())),
    "suspended before anything existed": (a_job(at="train", attempts=[an_attempt(started=None)], suspend=True), seen()),
    "suspended while it runs": (a_job(at="train", attempts=[an_attempt()], suspend=True), seen(train=a_run())),
    "deadline": (a_job(at="train", attempts=[an_attempt()], active_deadline_seconds=1), seen(train=a_run())),
    "stalled": (a_job(at="train", attempts=[an_attempt()], stall_timeout_seconds=1), seen(train=a_run(step=5))),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_deciding_again_about_the_same_changes_nothing(name: str) -> None:
    job, found = EXAMPLES[name]
    moment = after(minutes=2)
    job, first = live(job, found, now=moment)
    again = a_decision(job, found, moment)
    assert (again.status, again.stop, again.requeue_after) == (first.status, first.stop, first.requeue_after)
    assert again.start == first.start  # nothing of it exists in what was seen, so it is started under its name


def test_an_observation_has_no_order() -> None:
    several = (an_exit(1), a_run(2, step=5))
    job = a_job(at="train", attempts=[an_attempt(reason="Unknown"), an_attempt(number=2)])
    one, other = (a_decision(job, Observation(found)) for found in (several, several[::-1]))
    assert one == other
