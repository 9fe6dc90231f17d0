"""The newest progress report of every job, and its way into the status.

Writing each report would be a write per job every five seconds: a thousand jobs would need two hundred writes a second. So
the newest report is kept in memory, where metrics read it, and goes into `status.progress` at most every few seconds per
job and within a budget over all jobs, the ones that waited longest first. A report is written only over the version of the
job in which its attempt was seen to be the open one: what a zombie of an older attempt says never gets there. What is written
has the time at which it was taken: by a pod's own clock, which may be slow by an hour, a training would hang that does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import ValidationError

from finetune_api.contract.progress import TrainerStatus
from finetune_api.errors import ClusterError, Conflict, NotFound
from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus, Progress
from finetune_operator.brain.reports import duration, to_progress
from finetune_operator.brain.stages import Stage
from finetune_operator.kinds import FINE_TUNE_JOB, Manifest, Ref
from finetune_operator.queue import Key

_STEPS_FOR_A_RATE = 5
"""So many steps must lie between two reports before a rate is computed from them."""

_AT_ONCE = 16
"""Writes in flight: one after the other they would wait for each answer, and a second's budget would take several."""

_OVERTAKEN = timedelta(minutes=1)
"""A report that is older by less was late on its way; by more, the pod's clock was put back."""

_FORGOTTEN_SECONDS = 3600.0
"""A job of which so long nothing was heard has ended, on another replica perhaps."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports: a pod of this attempt of this job, as the API server vouches for it."""

    key: Key
    job_uid: str
    stage: str
    attempt: int


class StatusWriter(Protocol):
    """What flushing needs of the cluster, with a limiter of its own. Needs no leadership: the version guards the write."""

    async def get(self, ref: Ref) -> Manifest:
        """Read the job. Raises: NotFound."""

    async def apply_progress(self, namespace: str, name: str, progress: Manifest, *, version: str) -> Manifest:
        """Write status.progress over this version. Raises: Conflict."""


@dataclass(slots=True)
class _Entry:
    reporter: Reporter
    first: Progress
    """With the time of the pod's clock, as the next."""
    sent: Progress
    newest: Progress
    """What was sent, with the time at which it was taken."""
    written: Progress | None = None
    due_at: float = 0.0
    version: str | None = None
    """Version of the job in which this attempt is the open one and the status holds what we wrote; None: look first."""


class Reports:
    """Newest report per job.

    Args:
        monotonic: seconds that only rise.
        wall: aware, UTC.
        count: is told what became of each write.
        every_seconds: between two writes for one job.
        per_second: writes over all jobs.
    """

    def __init__(
        self,
        cluster: StatusWriter,
        *,
        monotonic: Callable[[], float],
        wall: Callable[[], datetime],
        count: Callable[[str], None] = lambda result: None,
        every_seconds: float = 4.0,
        per_second: int = 200,
    ) -> None:
        self._cluster, self._monotonic, self._wall, self._count = cluster, monotonic, wall, count
        self._every, self._per_second = every_seconds, per_second
        self._entries: dict[Key, _Entry] = {}

    def take(self, reporter: Reporter, report: TrainerStatus) -> None:
        """Keep a report if it is the newest of its attempt; one of an earlier stage or attempt than is known is dropped."""
        sent = to_progress(report)
        known = self._entries.get(reporter.key)
        if known is None or known.reporter.job_uid != reporter.job_uid or _place(known.reporter) < _place(reporter):
            taken = sent.model_copy(update={"updated_at": self._wall()})
            self._entries[reporter.key] = _Entry(reporter, sent, sent, taken, due_at=self._monotonic())
            return
        put_back = _moment(known.sent) - _moment(sent)
        if _place(reporter) < _place(known.reporter) or sent == known.sent or timedelta(0) < put_back < _OVERTAKEN:
            return
        if put_back > timedelta(0) or _begins_anew(known.sent, sent):
            known.first = sent
        known.sent = sent
        known.newest = _with_eta(known.first, sent).model_copy(update={"updated_at": self._wall()})

    def newest(self, key: Key) -> Progress | None:
        """What a job reported last to this replica."""
        entry = self._entries.get(key)
        return entry.newest if entry else None

    def forget(self, key: Key) -> None:
        """The job has ended or is gone."""
        self._entries.pop(key, None)

    @property
    def jobs(self) -> int:
        """Jobs that have reported."""
        return len(self._entries)

    def oldest_unwritten_seconds(self) -> float:
        """Age of the oldest report that waits for its write."""
        waiting = [_moment(entry.newest) for entry in self._entries.values() if entry.newest != entry.written]
        return max(0.0, (self._wall() - min(waiting)).total_seconds()) if waiting else 0.0

    async def flush_for_ever(self) -> None:
        """Write what is due, a second's budget at a time."""
        while True:
            begun = self._monotonic()
            await self.flush()
            await asyncio.sleep(max(0.05, 1.0 - (self._monotonic() - begun)))

    async def flush(self) -> None:
        """Write the reports that are due, those that waited longest first, as many as one second may."""
        now = self._monotonic()
        for key in [key for key, entry in self._entries.items() if now - entry.due_at > _FORGOTTEN_SECONDS]:
            self.forget(key)
        due = [(e.due_at, key) for key, e in self._entries.items() if e.newest != e.written and e.due_at <= now]
        gate = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for _, key in sorted(due)[: self._per_second]:
                group.create_task(self._flush_one(key, now, gate))

    async def _flush_one(self, key: Key, now: float, gate: asyncio.Semaphore) -> None:
        async with gate:
            entry = self._entries.get(key)
            if entry is None:
                return
            entry.due_at = now + self._every
            try:
                result = await self._write(key, entry)
            except NotFound:
                self.forget(key)
                result = "gone"
            except Conflict:
                entry.version, entry.due_at, result = None, now, "conflict"
            except (ClusterError, ValidationError):  # a status that we cannot read is the reconciler's to tell
                entry.version, result = None, "error"
            self._count(result)

    async def _write(self, key: Key, entry: _Entry) -> str:
        if entry.version is None:
            raw = await self._cluster.get(Ref(FINE_TUNE_JOB, key.namespace, key.name))
            status = FineTuneJobStatus.model_validate(raw.get("status") or {})
            if raw["metadata"]["uid"] != entry.reporter.job_uid or not _is_open(entry.reporter, status.attempts):
                self.forget(key)
                return "stale"
            entry.version = raw["metadata"]["resourceVersion"]
            if status.progress is not None and _moment(status.progress) >= _moment(entry.newest):
                entry.written = entry.newest  # another replica knows more
                return "older"
        report = entry.newest
        body: Manifest = report.model_dump(mode="json", by_alias=True, exclude_none=True)
        answer = await self._cluster.apply_progress(key.namespace, key.name, body, version=entry.version)
        entry.version, entry.written = answer["metadata"]["resourceVersion"], report
        return "written"


def _place(reporter: Reporter) -> tuple[int, int]:
    """Where in the life of a job; a stage that is none comes before all, since whoever may make Jobs could name one."""
    stages = [stage.value for stage in Stage]
    return stages.index(reporter.stage) if reporter.stage in stages else -1, reporter.attempt


def _is_open(reporter: Reporter, attempts: tuple[Attempt, ...]) -> bool:
    return any((a.stage, a.number) == (reporter.stage, reporter.attempt) and a.finished_at is None for a in attempts)


def _moment(progress: Progress) -> datetime:
    assert progress.updated_at is not None  # the protocol demands it
    return progress.updated_at


def _begins_anew(before: Progress, sent: Progress) -> bool:
    """Whether an attempt that a queue took back has gone on: the time that it waited is no time that steps took."""
    fell = before.step is not None and sent.step is not None and sent.step < before.step
    return fell or (sent.resumed_from_step is not None and sent.resumed_from_step != before.resumed_from_step)


def _with_eta(first: Progress, newest: Progress) -> Progress:
    """Time left from the steps between two reports: a trainer that resumed counts the steps it did not do itself."""
    if first.step is None or newest.step is None or newest.total_steps is None:
        return newest
    steps = newest.step - first.step
    if steps < _STEPS_FOR_A_RATE:
        return newest
    per_step = (_moment(newest) - _moment(first)).total_seconds() / steps
    left = round(max(0, newest.total_steps - newest.step) * per_step)
    return newest.model_copy(update={"eta_seconds": left, "eta": duration(left)})
