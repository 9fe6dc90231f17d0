"""What a person sees of a run: a line per transition and one now and then; numbers that can be read."""

from __future__ import annotations

import io
from datetime import datetime, timedelta

import pytest

from builders import NOON, a_job, a_plan, a_run, a_workstation, live, seen, some_facts
from finetune_api.v1alpha1.status import FineTuneJobStatus, Phase, Progress
from finetune_cli.console import PlainLines, plan_lines, print_result, progress_text
from finetune_operator.brain.transitions import Transition
from known_models import smollm_135m


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def a_status(step: int, phase: Phase = Phase.TRAINING) -> FineTuneJobStatus:
    return FineTuneJobStatus(phase=phase, progress=Progress(step=step, total_steps=1200))


def test_a_line_has_its_time_and_is_out_at_once() -> None:
    out = io.StringIO()
    PlainLines(out, Watch()).say(Transition("Normal", "Started", "train attempt 1 starts"))
    assert out.getvalue() == "12:00:00 train attempt 1 starts\n"


def test_progress_is_a_line_every_thirty_seconds_and_only_if_there_is_news() -> None:
    out, watch = io.StringIO(), Watch()
    lines = PlainLines(out, watch)
    for seconds, step in ((0, 5), (1, 6), (29, 7), (30, 8), (70, 8), (80, 9)):
        watch.now = NOON + timedelta(seconds=seconds)
        lines.show(a_status(step))
    assert out.getvalue().splitlines() == [
        "12:00:00 train step 5/1200",
        "12:00:30 train step 8/1200",
        "12:01:20 train step 9/1200",
    ]


@pytest.mark.parametrize("status", [FineTuneJobStatus(), FineTuneJobStatus(phase=Phase.TRAINING), a_status(5, Phase.PENDING)])
def test_where_nothing_is_reported_nothing_is_said(status: FineTuneJobStatus) -> None:
    out = io.StringIO()
    PlainLines(out, Watch()).show(status)
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (
            Progress(step=420, total_steps=1200, loss=1.0322, tokens_per_second=5432.1, eta_seconds=840, percent=35),
            "step 420/1200, loss 1.032, 5,432 tokens/s, 14m left",
        ),
        (Progress(percent=35), "35 %"),
        (Progress(step=1200, total_steps=1200, percent=100, eta_seconds=0), "step 1200/1200"),
        (Progress(step=0, total_steps=10), "step 0/10"),
        (Progress(), "at work"),
    ],
)
def test_progress_says_what_is_known(progress: Progress, text: str) -> None:
    assert progress_text(progress) == text


def test_a_result_without_a_baseline_has_no_comparison_to_show() -> None:
    job, _ = live(a_job(at="publish"), seen(), seen(publish=a_run()))
    assert job.status.evaluation is not None
    alone = {"base": {}, "delta": {}, "verdict": None, "gates": ()}
    status = job.status.model_copy(update={"evaluation": job.status.evaluation.model_copy(update=alone)})
    out = io.StringIO()
    print_result(status, {}, out)
    assert "Verdict" not in out.getvalue()
    assert "loss" in out.getvalue()


def test_words_from_elsewhere_are_no_markup_of_ours() -> None:
    status = FineTuneJobStatus(phase=Phase.FAILED, message="spec.datasets[0]: [bold]row 7[/bold] is broken")
    out = io.StringIO()
    print_result(status, {"logs": "/tmp/[red]x"}, out)
    assert out.getvalue() == "Failed: spec.datasets[0]: [bold]row 7[/bold] is broken\nlogs  /tmp/[red]x\n"


def test_a_plan_says_epochs_in_the_right_number() -> None:
    def steps(epochs: int) -> str:
        job = a_job(training={"epochs": epochs}, resources={"gpusPerNode": 0})
        return plan_lines(a_plan(job, some_facts(smollm_135m()), a_workstation()))[1]

    assert "(1 epoch)" in steps(1)
    assert "(2 epochs)" in steps(2)
