"""Stalls, deadlines, nodes that no longer answer, suspensions: everything that time alone decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from builders import (
    NOON,
    a_decision,
    a_job,
    a_run,
    a_wait,
    after,
    an_attempt,
    an_ending,
    an_exit,
    done,
    is_true,
    live,
    seen,
)
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Phase
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.observation import AttemptSeen
from finetune_operator.brain.stages import Stage

TRAIN_1 = (AttemptName(Stage.TRAIN, 1),)


def training(**more: Any) -> FineTuneJob:
    """A job whose first attempt to train is open."""
    return a_job(at="train", attempts=[an_attempt(started=NOON - timedelta(minutes=10))], **more)


def switched(job: FineTuneJob, *, suspend: bool) -> FineTuneJob:
    policy = job.spec.run_policy.model_copy(update={"suspend": suspend})
    return job.model_copy(update={"spec": job.spec.model_copy(update={"run_policy": policy})})


# ---------------------------------------------------------------- stalls


def test_an_attempt_that_reports_is_left_alone_until_it_has_been_silent_too_long() -> None:
    job = training(stall_timeout_seconds=600)
    decision = a_decision(job, seen(train=a_run(step=420)), after(seconds=599))
    assert (decision.stop, decision.requeue_after) == ((), timedelta(seconds=1))


def test_a_silent_attempt_is_stopped_and_the_next_one_starts_when_it_is_gone() -> None:
    job = training(stall_timeout_seconds=600)
    job, decision = live(job, seen(train=a_run(step=420)), now=after(seconds=600))
    assert decision.stop == TRAIN_1
    assert job.status.message == "train attempt 1 is being stopped."
    job, decision = live(job, seen(train=a_run(step=420)), now=after(seconds=700))
    assert (decision.start, decision.stop) == (None, TRAIN_1)
    job, decision = live(job, seen(train=an_exit(143, step=420)), now=after(seconds=720))
    assert decision.start == AttemptName(Stage.TRAIN, 2)
    stalled = job.status.attempts[-2]
    assert (stalled.reason, stalled.message, stalled.charged) == ("Stall", "no step for 600 s", True)


def test_an_attempt_without_a_report_yet_is_looked_at_when_its_first_one_could_have_grown_old() -> None:
    decision = a_decision(training(stall_timeout_seconds=600), seen(train=a_run()), NOON)
    assert decision.requeue_after == timedelta(seconds=600)


def test_an_attempt_that_never_reported_cannot_stall() -> None:
    decision = a_decision(training(stall_timeout_seconds=600), seen(train=a_run()), after(days=9))
    assert decision.stop == ()


def test_a_report_of_before_its_start_gives_an_attempt_the_whole_time() -> None:
    old = a_run(step=420, reported=NOON - timedelta(hours=3))  # of the attempt before it, as the server kept it
    decision = a_decision(training(stall_timeout_seconds=1800), seen(train=old), NOON)
    assert (decision.stop, decision.requeue_after) == ((), timedelta(minutes=20))  # it started at 11:50


def test_an_attempt_that_nobody_could_hear_is_given_the_whole_time_from_when_somebody_can() -> None:
    job = training(stall_timeout_seconds=600)
    unheard = replace(seen(train=a_run(step=420)), heard_since=after(hours=2))
    decision = a_decision(job, unheard, after(hours=2))
    assert (decision.stop, decision.requeue_after) == ((), timedelta(seconds=600))
    assert a_decision(job, unheard, after(hours=2, seconds=600)).stop == TRAIN_1, "it has been silent since"


# ---------------------------------------------------------------- lost nodes


def test_a_pod_that_ends_has_half_a_minute_after_its_grace() -> None:
    decision = a_decision(training(), seen(train=an_ending(due=NOON)), after(seconds=29))
    assert (decision.stop, decision.requeue_after) == ((), timedelta(seconds=1))


def test_a_node_that_no_longer_answers_costs_a_restart_that_is_not_charged() -> None:
    job, decision = live(training(), seen(train=an_ending(due=NOON)), now=after(seconds=90))
    assert decision.stop == TRAIN_1
    job, decision = live(job, seen(), now=after(seconds=91))
    assert decision.start == AttemptName(Stage.TRAIN, 2)
    lost = job.status.attempts[-2]
    assert (lost.reason, lost.message, lost.charged) == ("Disruption", "its node no longer answers", False)


def test_what_made_an_attempt_end_is_told_in_its_own_words() -> None:
    ending = replace(an_ending(due=NOON), waits_for="pod 1 was deleted")
    job, _ = live(training(), seen(train=ending), now=after(seconds=90))
    assert job.status.attempts[-1].message == "pod 1 was deleted"


def test_a_pod_within_its_grace_may_still_save() -> None:
    decision = a_decision(training(), seen(train=an_ending()), after(hours=1))
    assert (decision.start, decision.stop, decision.requeue_after) == (None, (), None)


def test_an_attempt_that_somebody_deleted_is_restarted_and_not_charged() -> None:
    job, _ = live(training(), seen(train=a_run(step=5)))
    job, decision = live(job, seen())
    assert decision.start == AttemptName(Stage.TRAIN, 2)
    assert (job.status.attempts[-2].message, job.status.restarts.charged) == ("it was deleted", 0)


# ---------------------------------------------------------------- the job's deadline


def test_a_deadline_counts_from_the_start_of_the_job_over_all_stages() -> None:
    job = training(active_deadline_seconds=3600)  # begun at 11:00 with its first stage
    decision = a_decision(job, seen(train=a_run()), NOON - timedelta(seconds=1))
    assert (decision.stop, decision.requeue_after) == ((), timedelta(seconds=1))


def test_over_its_deadline_a_job_stops_what_runs_and_then_fails() -> None:
    begun = NOON - timedelta(minutes=1)
    job, decision = live(training(active_deadline_seconds=3600), seen(train=a_run()), seen(train=a_run()), now=begun)
    message = "The job took longer than runPolicy.activeDeadlineSeconds (3600 s)."
    assert (decision.stop, job.status.phase) == (TRAIN_1, Phase.TRAINING)
    assert job.status.message == f"Being stopped. {message}"
    job, decision = live(job, seen(train=an_exit(143)), now=after(seconds=5))
    assert (job.status.phase, job.status.message) == (Phase.FAILED, message)
    assert job.status.attempts[-1].reason == "DeadlineExceeded"
    assert all(attempt.finished_at for attempt in job.status.attempts)


def test_over_its_deadline_nothing_more_is_started() -> None:
    job = a_job(at="train", active_deadline_seconds=3600)
    assert a_decision(job).start is None
    assert a_decision(job).status.phase is Phase.FAILED


def test_a_job_that_finished_in_time_is_not_failed_by_a_late_look() -> None:
    job = a_job(at="publish", active_deadline_seconds=3700)
    job, _ = live(job, seen(), now=NOON)
    late = a_decision(job, seen(publish=done("publish")), after(days=1))
    assert late.status.phase is Phase.SUCCEEDED


def test_the_nearer_of_two_clocks_says_when_to_look_again() -> None:
    job = training(active_deadline_seconds=3700, stall_timeout_seconds=600)
    assert a_decision(job, seen(train=a_run(step=1))).requeue_after == timedelta(seconds=100)
    job = training(active_deadline_seconds=7200, stall_timeout_seconds=600)
    assert a_decision(job, seen(train=a_run(step=1))).requeue_after == timedelta(seconds=600)


# ---------------------------------------------------------------- suspension


def test_a_suspended_job_starts_nothing() -> None:
    decision = a_decision(a_job(suspend=True))
    assert (decision.start, decision.status.phase) == (None, Phase.SUSPENDED)
    assert is_true(decision.status, "Suspended")


def test_suspending_stops_what_runs_and_keeps_what_was_reached() -> None:
    job, decision = live(switched(training(), suspend=True), seen(train=a_run(step=420)))
    assert (decision.stop, job.status.phase) == (TRAIN_1, Phase.SUSPENDED)
    job, decision = live(job, seen(train=an_exit(143, step=425)))
    assert (decision.start, decision.stop, job.status.phase) == (None, (), Phase.SUSPENDED)
    stopped = job.status.attempts[-1]
    assert (stopped.reason, stopped.charged, stopped.last_step) == ("Suspended", False, 425)


def test_resuming_continues_with_the_next_attempt_and_charges_nothing() -> None:
    job, _ = live(switched(training(), suspend=True), seen(train=a_run(step=420)), seen(train=an_exit(143, step=425)))
    job, decision = live(switched(job, suspend=False), seen(), now=after(hours=8))
    assert decision.start == AttemptName(Stage.TRAIN, 2)
    assert (job.status.phase, job.status.restarts.charged) == (Phase.TRAINING, 0)
    assert not is_true(job.status, "Suspended")


def test_suspensions_are_taken_out_of_the_deadline() -> None:
    job, _ = live(switched(training(active_deadline_seconds=7200), suspend=True), seen())
    job, decision = live(switched(job, suspend=False), seen(), now=after(hours=8))
    assert job.status.suspended_seconds == 8 * 3600
    assert decision.requeue_after is not None
    assert decision.requeue_after == timedelta(hours=1)  # at noon one of its two hours was over


def test_suspensions_add_up() -> None:
    job = training()
    for hour in (0, 10):
        job, _ = live(switched(job, suspend=True), seen(), now=after(hours=hour))
        job, _ = live(switched(job, suspend=False), seen(), now=after(hours=hour + 2))
    assert job.status.suspended_seconds == 4 * 3600


def test_resuming_before_the_stop_went_through_waits_for_it() -> None:
    job, _ = live(switched(training(), suspend=True), seen(train=a_run(step=420)))
    job, decision = live(switched(job, suspend=False), seen(train=a_run(step=421)))
    assert (decision.start, decision.stop) == (None, TRAIN_1)
    job, decision = live(job, seen(train=an_exit(143)))
    assert decision.start == AttemptName(Stage.TRAIN, 2)


def test_a_stage_that_finishes_while_suspended_is_not_done_again() -> None:
    job, _ = live(switched(training(), suspend=True), seen(train=a_run(step=1199)), seen(train=done("train")))
    assert (is_true(job.status, "Trained"), job.status.phase) == (True, Phase.SUSPENDED)
    _, decision = live(switched(job, suspend=False), seen())
    assert decision.start == AttemptName(Stage.EVALUATE, 1)


def test_the_last_stage_that_finishes_while_suspended_ends_the_job() -> None:
    job, _ = live(a_job(at="publish"), seen())
    job, _ = live(switched(job, suspend=True), seen(publish=a_run()), seen(publish=done("publish")))
    assert job.status.phase is Phase.SUCCEEDED
    assert not is_true(job.status, "Suspended")


def test_suspending_what_waits_for_room_gives_its_place_up() -> None:
    job = a_job(at="train", attempts=[an_attempt(started=None)], suspend=True)
    assert a_decision(job, seen(train=a_wait())).stop == TRAIN_1


# ---------------------------------------------------------------- half a gang


def half(since: datetime) -> AttemptSeen:
    return replace(a_wait(since=since, what="room: 1 Insufficient nvidia.com/gpu"), half_since=since)


def test_half_a_gang_may_wait_for_the_other_half_for_five_minutes() -> None:
    decision = a_decision(training(), seen(train=half(NOON)), after(minutes=4, seconds=59))
    assert decision.stop == ()
    assert decision.requeue_after is not None


def test_half_a_gang_lets_go_of_its_machines_and_comes_back_later_uncharged() -> None:
    job, decision = live(training(), seen(train=half(NOON)), now=after(minutes=8))
    assert decision.stop == TRAIN_1
    job, decision = live(job, seen(), now=after(minutes=8))
    waited = job.status.attempts[-1]
    assert (waited.reason, waited.charged) == ("NoRoom", False)
    assert "1 Insufficient nvidia.com/gpu" in (waited.message or "")
    assert (decision.start, decision.requeue_after) == (None, timedelta(seconds=30))
    job, decision = live(job, seen(), now=after(minutes=8, seconds=31))
    assert decision.start == AttemptName(Stage.TRAIN, 2)


def test_two_jobs_that_wait_for_each_other_do_not_let_go_at_the_same_time() -> None:
    def lets_go_after(uid: str) -> timedelta | None:
        job = training()
        job = job.model_copy(update={"metadata": job.metadata.model_copy(update={"uid": uid})})
        return a_decision(job, seen(train=half(NOON)), NOON).requeue_after

    assert len({lets_go_after(f"uid-{number}") for number in range(20)}) > 15
