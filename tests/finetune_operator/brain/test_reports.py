"""A progress report becomes numbers that the API server takes, whatever a trainer sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from finetune_api.contract.progress import ReportedMetric, TrainerStatus
from finetune_operator.brain.reports import duration, to_progress

MOMENT = datetime(2026, 11, 30, 14, 0, tzinfo=timezone(timedelta(hours=2)))


def a_report(**metrics: str) -> TrainerStatus:
    named = tuple(ReportedMetric(name=name, value=value) for name, value in metrics.items())
    return TrainerStatus(last_updated_time=MOMENT, progress_percentage=35, estimated_remaining_seconds=840, metrics=named)


def test_a_report_is_rounded_and_in_utc() -> None:
    said = a_report(
        current_step="420.0",
        total_steps="1200",
        current_epoch="0.70123",
        loss="1.032149",
        learning_rate="0.000198765",
        tokens_per_second="5432.123",
    )
    progress = to_progress(said)
    assert (progress.step, progress.total_steps, progress.percent, progress.epoch) == (420, 1200, 35, 0.7)
    assert (progress.loss, progress.learning_rate, progress.tokens_per_second) == (1.0321, 0.0001988, 5432.1)
    assert (progress.eta_seconds, progress.eta) == (840, "14m")
    assert progress.updated_at == datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
    assert progress.updated_at.tzinfo is UTC


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e300", "much", ""])
def test_what_can_be_no_count_is_left_out_and_the_rest_stays(value: str) -> None:
    progress = to_progress(a_report(current_step=value, loss="1.5"))
    assert (progress.step, progress.loss) == (None, 1.5)


def test_no_step_done_yet_is_a_number() -> None:
    assert to_progress(a_report(current_step="0")).step == 0


@pytest.mark.parametrize(("said", "step"), [("400.0", 400), ("0.0", None), ("nan", None), ("-3", None)])
def test_where_an_attempt_began_is_told_if_it_was_not_at_the_beginning(said: str, step: int | None) -> None:
    assert to_progress(a_report(resumed_from_step=said)).resumed_from_step == step


def test_a_report_may_say_nothing_but_its_time() -> None:
    progress = to_progress(TrainerStatus(last_updated_time=MOMENT))
    assert (progress.percent, progress.eta, progress.step) == (None, None, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h00m"),
        (11_100, "3h05m"),
        (86_399, "23h59m"),
        (86_400, "1d00h"),
        (187_200, "2d04h"),
    ],
)
def test_a_span_is_written_as_people_say_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
