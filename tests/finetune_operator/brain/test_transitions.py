"""What people follow as Events and lines: each thing said once, with its numbers, when it has happened."""

from __future__ import annotations

from builders import NOON, a_job, a_run, an_attempt, an_exit, done, live, seen
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus, Phase
from finetune_operator.brain.observation import Observation
from finetune_operator.brain.transitions import Transition, transitions


def story(job: FineTuneJob, *observations: Observation) -> list[Transition]:
    told = []
    for found in observations:
        before = job.status
        job, _ = live(job, found)
        told += transitions(before, job.status)
    return told


def a_status(*attempts: Attempt, phase: Phase = Phase.TRAINING, message: str = "") -> FineTuneJobStatus:
    return FineTuneJobStatus(phase=phase, attempts=attempts, message=message)


def test_a_whole_life_is_told_line_by_line() -> None:
    told = story(
        a_job(),
        seen(),
        seen(prepare=done("prepare")),
        seen(train=a_run(step=420)),
        seen(train=an_exit(143, reason="Disrupted", detail="node gpu-07 was drained", step=431)),
        seen(train=done("train", 2)),
        seen(evaluate=done("evaluate")),
        seen(publish=done("publish")),
    )
    assert [(event.level, event.message) for event in told] == [
        ("Normal", "prepare attempt 1 starts"),
        ("Normal", "prepare is done"),
        ("Normal", "train attempt 1 starts"),
        ("Warning", "train attempt 1 ended at step 431: node gpu-07 was drained. Not charged."),
        ("Normal", "train attempt 2 starts"),
        ("Normal", "train is done"),
        ("Normal", "evaluate attempt 1 starts"),
        ("Normal", "evaluate is done"),
        ("Normal", "publish attempt 1 starts"),
        ("Normal", "publish is done"),
        ("Normal", "Published to pvc://models/support. Verdict: Improved."),
    ]


def test_nothing_new_is_nothing_to_tell() -> None:
    job, _ = live(a_job(at="train"), seen())
    assert transitions(job.status, job.status) == []


def test_progress_is_no_event() -> None:
    job, _ = live(a_job(at="train"), seen(), seen(train=a_run(step=5)))
    later, _ = live(job, seen(train=a_run(step=6)))
    assert later.status.progress != job.status.progress
    assert transitions(job.status, later.status) == []


def test_an_attempt_that_is_no_longer_kept_is_not_told_again() -> None:
    ten = [an_attempt(number=n, reason="Disruption") for n in range(1, 11)]
    eleventh = an_attempt(number=11)
    told = transitions(a_status(*ten), a_status(*ten[1:], eleventh))
    assert [event.message for event in told] == ["train attempt 11 starts"]


def test_a_charged_failure_does_not_say_that_it_is_not_and_carries_its_facts() -> None:
    open_, ended = an_attempt(number=2), an_attempt(number=2, reason="Unknown", message="exit code 1!", step=431)
    (event,) = transitions(a_status(open_), a_status(ended))
    assert event.message == "train attempt 2 ended at step 431: exit code 1!"
    assert event.facts == {"stage": "train", "attempt": 2, "step": 431, "seconds": 2940, "class": "Unknown"}
    assert (event.level, event.reason) == ("Warning", "AttemptFailed")


def test_a_stop_on_request_is_no_warning() -> None:
    (event,) = transitions(a_status(an_attempt()), a_status(an_attempt(reason="Suspended", step=7)))
    assert (event.level, event.reason, event.message) == ("Normal", "AttemptStopped", "train attempt 1 stopped at step 7")


def test_suspension_and_its_end_are_told() -> None:
    suspended = a_status(phase=Phase.SUSPENDED, message="Suspended; what was reached is kept.")
    assert [event.reason for event in transitions(a_status(), suspended)] == ["Suspended"]
    assert [event.reason for event in transitions(suspended, a_status())] == ["Resumed"]


def test_a_job_that_fails_while_suspended_is_not_said_to_continue() -> None:
    suspended, failed = a_status(phase=Phase.SUSPENDED), a_status(phase=Phase.FAILED, message="too late")
    assert [(event.level, event.reason) for event in transitions(suspended, failed)] == [("Warning", "Failed")]


def test_a_rejection_is_a_warning_with_its_numbers() -> None:
    job, _ = live(a_job(at="evaluate"), seen(), now=NOON)
    told = story(job, seen(evaluate=done("evaluate", passed=False)))
    assert [event.reason for event in told] == ["Completed", "Rejected"]
    assert told[-1].level == "Warning"
    assert "gates[0] asks for 0.020" in told[-1].message
