"""The newest report of each job, and its way from memory into the status."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from builders import NOON, after
from fakes import Clock, FakeCluster, stamp
from finetune_api.contract.progress import ProgressReport
from finetune_operator.kinds import FINE_TUNE_JOB, Manifest, Ref
from finetune_operator.reports import Reports
from reporting import KEY, Place, a_report, at_a_server, place_reporter


def test_an_older_report_never_follows_a_newer_one() -> None:
    async def test(place: Place) -> None:
        assert await place.post(a_report(20, second=30)) == 200
        assert await place.post(a_report(10, second=10)) == 200
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert newest.step == 20

    at_a_server(test)


def test_a_pod_whose_clock_is_ahead_reports_as_of_now() -> None:
    async def test(place: Place) -> None:
        report = a_report()
        report["trainerStatus"]["lastUpdatedTime"] = "2036-01-01T00:00:00Z"
        assert await place.post(report) == 200
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert newest.updated_at == after(hours=1)

    at_a_server(test)


def test_a_pod_whose_clock_is_slow_reports_as_of_now() -> None:
    """By its own clock a healthy training would not have reported for an hour, and would be ended as one that hangs."""

    async def test(place: Place) -> None:
        await place.post(a_report(10, second=0))
        await place.reports.flush()
        progress = place.cluster.status(place.job).progress
        assert progress is not None
        assert progress.updated_at == after(hours=1)

    at_a_server(test)


def test_a_report_that_is_sent_again_is_no_news() -> None:
    now = [after(minutes=1)]
    clock = Clock()
    cluster = FakeCluster(clock)
    reports = Reports(cluster, monotonic=clock.monotonic, wall=lambda: now[0])
    reporter = place_reporter(cluster, "support")
    for minute, step, told in ((1, 10, 1), (2, 10, 1), (3, 11, 3)):
        now[0] = after(minutes=minute)
        reports.take(reporter, ProgressReport.model_validate(a_report(step)).trainer_status)
        newest = reports.newest(KEY)
        assert newest is not None
        assert newest.updated_at == after(minutes=told)


def test_a_pod_whose_clock_is_put_back_is_still_heard() -> None:
    async def test(place: Place) -> None:
        report = a_report(10)
        report["trainerStatus"]["lastUpdatedTime"] = "2026-11-30T15:00:00Z"
        await place.post(report)
        for step, second in ((20, 0), (30, 20)):
            await place.post(a_report(step, second=second))
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert (newest.step, newest.eta_seconds) == (30, 140), "10 steps took 20 s, and 70 are left"

    at_a_server(test)


@pytest.mark.parametrize(("stage", "attempt"), [("prepare", 3), ("train", 1), ("none", 9)])
def test_what_a_zombie_of_an_earlier_stage_or_attempt_says_changes_nothing(stage: str, attempt: int) -> None:
    clock = Clock()
    cluster = FakeCluster(clock)
    reports = Reports(cluster, monotonic=clock.monotonic, wall=lambda: after(hours=1))
    of_now = replace(place_reporter(cluster, "support"), attempt=2)
    said = [(of_now, 10, 0), (replace(of_now, stage=stage, attempt=attempt), 90, 30), (of_now, 20, 40)]
    for reporter, step, second in said:
        reports.take(reporter, ProgressReport.model_validate(a_report(step, second=second)).trainer_status)
        newest = reports.newest(KEY)
        assert newest is not None
        assert newest.step != 90
    assert newest is not None
    assert newest.eta_seconds == 320, "10 steps took 40 s, and 80 are left"
    reports.take(replace(of_now, stage="evaluate", attempt=1), ProgressReport.model_validate(a_report(1)).trainer_status)
    newest = reports.newest(KEY)
    assert newest is not None
    assert newest.step == 1


@pytest.mark.parametrize(("begins_at", "resumed"), [(20, None), (31, 30)], ids=["of an own program", "from its last step"])
def test_the_hours_in_which_a_queue_held_an_attempt_are_no_time_that_steps_took(begins_at: int, resumed: int | None) -> None:
    clock = Clock()
    cluster = FakeCluster(clock)
    reports = Reports(cluster, monotonic=clock.monotonic, wall=clock)
    reporter = place_reporter(cluster, "support")
    for step, time in ((10, "12:00:00"), (30, "12:00:20"), (begins_at, "15:00:00"), (begins_at + 10, "15:00:20")):
        report = a_report(step)
        report["trainerStatus"]["lastUpdatedTime"] = f"2026-11-30T{time}Z"
        if resumed and time > "15":
            report["trainerStatus"]["metrics"].append({"name": "resumed_from_step", "value": str(resumed)})
        reports.take(reporter, ProgressReport.model_validate(report).trainer_status)
    newest = reports.newest(KEY)
    assert newest is not None
    assert newest.eta_seconds == 2 * (100 - begins_at - 10), "10 steps took 20 s"


def test_a_status_that_cannot_be_read_ends_nothing() -> None:
    async def test(place: Place) -> None:
        await place.post()
        place.cluster.objects[place.job]["status"]["attempts"] = "none"
        await place.reports.flush()

    place = at_a_server(test)
    assert place.flushed == {"error": 1}


def test_a_job_is_written_every_few_seconds_at_most() -> None:
    async def test(place: Place) -> None:
        for second in range(4):
            await place.post(a_report(second, second=second))
            await place.reports.flush()
            place.clock.pass_by(seconds=1)
        assert place.flushed == {"written": 1}
        place.clock.pass_by(seconds=1)
        await place.reports.flush()
        assert place.flushed == {"written": 2}
        assert sum(call.startswith("get FineTuneJob") for call in place.cluster.calls) == 2, "once for membership, once to look"

    at_a_server(test)


def test_what_the_status_tells_of_a_job_that_reports_each_five_seconds_is_never_older_than_seven() -> None:
    """A report waits for the next look of the writer, and never for the job's turn."""
    clock, ages = Clock(), list[float]()
    cluster = FakeCluster(clock)
    reports = Reports(cluster, monotonic=clock.monotonic, wall=clock)
    reporter = place_reporter(cluster, "support")

    async def pass_two_minutes() -> None:
        for tenth in range(1200):
            if tenth % 50 == 3:
                report = a_report(tenth // 50 + 1, second=tenth // 50)
                reports.take(reporter, ProgressReport.model_validate(report).trainer_status)
            if tenth % 11 == 0:  # a second, and what writing takes
                await reports.flush()
            written = cluster.status(Ref(FINE_TUNE_JOB, KEY.namespace, KEY.name)).progress
            if written and written.updated_at:
                ages.append((clock.now - written.updated_at).total_seconds())
            clock.pass_by(milliseconds=100)

    asyncio.run(pass_two_minutes())
    assert len(ages) > 1000
    assert max(ages) < 7


def test_what_an_attempt_says_that_is_over_gets_nowhere() -> None:
    async def test(place: Place) -> None:
        await place.post()
        over = {"stage": "train", "number": 1, "startedAt": stamp(NOON), "finishedAt": stamp(NOON), "reason": "Stall"}
        place.attempts(over, {"stage": "train", "number": 2})
        await place.reports.flush()
        assert place.cluster.status(place.job).progress is None

    place = at_a_server(test)
    assert place.flushed == {"stale": 1}


def test_an_attempt_that_ends_between_two_writes_does_not_get_the_second() -> None:
    async def test(place: Place) -> None:
        await place.post()
        await place.reports.flush()
        over = {"stage": "train", "number": 1, "startedAt": stamp(NOON), "finishedAt": stamp(NOON), "reason": "Stall"}
        raw = place.cluster.objects[place.job]
        raw["status"].pop("progress")
        place.attempts(over, {"stage": "train", "number": 2})
        await place.post(a_report(50, second=40))
        place.clock.pass_by(seconds=6)
        await place.reports.flush()
        await place.reports.flush()
        assert place.cluster.status(place.job).progress is None

    place = at_a_server(test)
    assert place.flushed == {"written": 1, "conflict": 1, "stale": 1}


def test_what_another_replica_wrote_later_stays() -> None:
    async def test(place: Place) -> None:
        await place.post(a_report(10, second=10))
        raw = place.cluster.objects[place.job]
        raw["status"]["progress"] = {"step": 30, "updatedAt": "2026-11-30T13:00:01Z"}
        await place.reports.flush()
        progress = place.cluster.status(place.job).progress
        assert progress is not None
        assert progress.step == 30

    place = at_a_server(test)
    assert place.flushed == {"older": 1}


def test_the_time_left_after_a_resume_counts_the_steps_of_this_attempt_alone() -> None:
    async def test(place: Place) -> None:
        await place.post(a_report(80, second=0))
        await place.post(a_report(90, second=50))
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert newest.eta_seconds == 50, "10 steps took 50 s, and 10 are left"

    at_a_server(test)


def test_more_jobs_than_a_second_may_write_take_turns() -> None:
    clock = Clock()
    cluster = FakeCluster(clock)
    written: list[str] = []
    reports = Reports(cluster, monotonic=clock.monotonic, wall=lambda: after(hours=1), per_second=3)
    place = Place()
    for number in range(7):
        reporter = place_reporter(cluster, f"job-{number}")
        reports.take(reporter, ProgressReport.model_validate(a_report()).trainer_status)

    async def turns() -> None:
        for _ in range(3):
            before = len(cluster.statuses)
            await reports.flush()
            written.append(str(len(cluster.statuses) - before))
            clock.pass_by(seconds=1)

    asyncio.run(turns())
    assert written == ["3", "3", "1"]
    assert place.cluster.statuses == []


class Slow:
    """An API server that answers once four writes wait for it."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster, self._waiting = cluster, asyncio.Barrier(4)

    async def get(self, ref: Ref) -> Manifest:
        return await self._cluster.get(ref)

    async def apply_progress(self, namespace: str, name: str, progress: Manifest, *, version: str) -> Manifest:
        await self._waiting.wait()
        return await self._cluster.apply_progress(namespace, name, progress, version=version)


def test_writes_do_not_wait_for_one_another() -> None:
    clock = Clock()
    cluster = FakeCluster(clock)

    async def turn() -> None:
        reports = Reports(Slow(cluster), monotonic=clock.monotonic, wall=lambda: after(hours=1))
        for number in range(4):
            reporter = place_reporter(cluster, f"job-{number}")
            reports.take(reporter, ProgressReport.model_validate(a_report()).trainer_status)
        async with asyncio.timeout(60):
            await reports.flush()

    asyncio.run(turn())
    assert len(cluster.statuses) == 4
