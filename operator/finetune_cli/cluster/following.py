"""Logs of a job's pods: of all pods of an attempt together, from one attempt and stage into the next.

A pod that has not started says nothing, one whose node is lost cannot be read, and one that is gone took its log along; each
time a person would stare at an empty screen. So whatever keeps a line from coming is said, on stderr, once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from finetune_api import meta
from finetune_api.errors import ClusterError, NotFound, UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, Phase
from finetune_cli.attempts import Wish, chosen, is_last, successor
from finetune_cli.cluster.api import Api, may_pass
from finetune_cli.cluster.jobs import job_named
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.stages import Stage
from finetune_operator.kinds import CHILD_JOB, EVENT, POD
from finetune_operator.observe.objects import Pod, owner_of
from finetune_operator.observe.start import why_not_running
from finetune_operator.render import child_name

LOOK_SECONDS = 1.0
T = TypeVar("T")
Stream = tuple[Pod, bytes, AsyncIterator[bytes]]
"""A pod, the first line of its log, and the others."""


class Logs:
    """What was asked for, and what has been said about it already.

    Args:
        rank: only of the pod in which it runs.
    """

    def __init__(self, api: Api, job: str, wish: Wish, *, rank: int | None = None) -> None:
        self._api, self._name, self._wish, self._rank = api, job, wish, rank
        self._noted: set[str] = set()

    # ------------------------------------------------------------ what there is

    async def show(self) -> int:
        """Everything that the attempt's pods have said so far, in the order of time.

        Raises: UserError if there is no pod that could have said anything.
        """
        job, _ = await job_named(self._api, self._name)
        attempt = chosen(job, self._wish)
        pods = await self._pods(job, attempt)
        begun = [pod for pod in pods if pod.has_started]
        if not begun:
            raise UserError(await self._why_nothing(job, attempt, pods))
        self._announce(attempt, begun)
        failed = 0
        streams = []
        for pod in begun:
            try:
                streams.append(await _begun(pod, self._api.log(self._api.namespace, pod.name, follow=False)))
            except ClusterError as error:
                failed += 1
                self._unreadable(pod, error)
        async for pod, line in _in_order_of_time([stream for stream in streams if stream]):
            self._write(attempt, pod, line, several=self._several(job, attempt))
        return 1 if failed else 0

    async def _why_nothing(self, job: FineTuneJob, attempt: Attempt, pods: list[Pod]) -> str:
        what = f"{attempt.stage} attempt {attempt.number}"
        if attempt.finished_at is None:
            return f"{what} has not started: {await self._why_waiting(job, attempt, pods)}"
        told = f" What was written down of it: {attempt.reason}{f': {attempt.message}' if attempt.message else ''}"
        labels = f"{meta.JOB_LABEL}={job.name}, {meta.STAGE_LABEL}={attempt.stage}, {meta.ATTEMPT_LABEL}={attempt.number}"
        return (
            f"the pods of {what} are gone, and their logs with them; if the cluster collects logs, look there for pods with"
            f" the labels {labels}.{told}"
        )

    # ------------------------------------------------------------ what comes

    async def follow(self) -> int:
        """Go on until nothing can come any more; 1 if the log of a pod could not be had."""
        job, _ = await job_named(self._api, self._name)
        while not job.status.attempts and not (job.status.phase and job.status.phase.terminal):
            self._note(f"{job.name} has not begun: {job.status.message or 'nobody has looked at it yet'}")
            job = await self._again()
        attempt = chosen(job, self._wish)
        whole = True
        while True:
            whole &= await self._follow(job, attempt)
            job = await self._again(at_once=True)
            while (following := successor(job, attempt, self._wish)) is None:
                if is_last(job, self._wish):
                    self._note(f"{job.name}: {job.status.phase}. {job.status.message or ''}".rstrip())
                    return 0 if whole else 1
                if job.status.phase is Phase.SUSPENDED:
                    self._note(f"{job.name} is suspended; waiting for it to go on")
                job = await self._again()
            attempt = following

    async def _follow(self, job: FineTuneJob, attempt: Attempt) -> bool:
        """One attempt to its end. Returns whether all of its logs could be had."""
        streams: dict[str, asyncio.Task[bool]] = {}
        async with asyncio.TaskGroup() as group:
            over = False
            while True:
                pods = await self._patiently(partial(self._pods, job, attempt))
                news = [pod for pod in pods if pod.has_started and pod.name not in streams]
                self._announce(attempt, news)
                for pod in news:
                    streams[pod.name] = group.create_task(self._stream(attempt, pod, self._several(job, attempt)))
                if over:
                    break
                job = await self._again(at_once=True)
                over = _is_over(job, attempt)
                if over:  # a stage of seconds may have come and gone since the pods were listed: once more
                    continue
                if any(not pod.has_started for pod in pods) or not pods:
                    what = f"{attempt.stage} attempt {attempt.number} has not started"
                    self._note(f"{what}: {await self._patiently(partial(self._why_waiting, job, attempt, pods))}")
                await asyncio.sleep(LOOK_SECONDS)
        if not streams:
            self._note(await self._why_nothing(job, _as_it_is(job, attempt), []))
        return bool(streams) and all(stream.result() for stream in streams.values())

    async def _stream(self, attempt: Attempt, pod: Pod, several: bool) -> bool:
        """A pod's log to its end, taken up again where a connection broke. Returns whether it is whole."""
        last = ""
        while True:
            broken = False
            try:
                async for line in self._api.log(self._api.namespace, pod.name, follow=True, since=last):
                    stamp = line.partition(b" ")[0].decode(errors="replace")
                    if stamp > last:
                        last = stamp
                        self._write(attempt, pod, line, several=several)
            except ClusterError as error:
                if error.status in (401, 403):
                    raise
                broken = True
                if not isinstance(error, NotFound):
                    self._unreadable(pod, error)
            now = await self._find(pod)
            if now is not None and now.has_ended and not broken:
                return True
            if now is None or (broken and now.gone_by is not None):
                if broken:
                    self._note(f"pod {pod.name} is gone; what it said last may be missing")
                return not broken
            await asyncio.sleep(LOOK_SECONDS)

    async def _find(self, pod: Pod) -> Pod | None:
        """The pod as it is now; None if it is gone."""
        found = await self._patiently(partial(self._api.find, POD, pod.name, self._api.namespace))
        return Pod(found) if found and found["metadata"].get("uid") == pod.uid else None

    async def _again(self, *, at_once: bool = False) -> FineTuneJob:
        """The job as it is now, or as it is in a while."""
        if not at_once:
            await asyncio.sleep(LOOK_SECONDS)
        return (await self._patiently(partial(job_named, self._api, self._name)))[0]

    async def _patiently(self, question: Callable[[], Awaitable[T]]) -> T:
        """An answer, however long the server is away."""
        while True:
            try:
                return await question()
            except ClusterError as error:
                if not may_pass(error):
                    raise
                self._note(f"{self._api.explained(error)}; trying again")
                await asyncio.sleep(LOOK_SECONDS)

    # ------------------------------------------------------------ pods

    async def _pods(self, job: FineTuneJob, attempt: Attempt) -> list[Pod]:
        """The pods of an attempt, in the order of their indexes; of the one rank that was asked for."""
        labels = {meta.JOB_LABEL: job.name, meta.STAGE_LABEL: attempt.stage, meta.ATTEMPT_LABEL: str(attempt.number)}
        found = await self._api.find_all(POD, self._api.namespace, labels=labels)
        child = child_name(job.name, AttemptName(Stage(attempt.stage), attempt.number))
        pods = sorted((Pod(raw) for raw in found if owner_of(raw).get("name") == child), key=lambda pod: (pod.index, pod.name))
        if self._rank is None:
            return pods
        nodes = job.spec.resources.nodes if attempt.stage == Stage.TRAIN else 1
        ranks = (job.status.plan.world_size if job.status.plan else None) or nodes
        ranks = ranks if attempt.stage == Stage.TRAIN else 1
        if self._rank >= ranks:
            raise UserError(
                f"{attempt.stage} has {ranks} rank{'s' if ranks > 1 else ''}, counted from 0; there is no {self._rank}"
            )
        return [pod for pod in pods if pod.index == self._rank // max(1, ranks // nodes)]

    def _several(self, job: FineTuneJob, attempt: Attempt) -> bool:
        """Whether lines of several pods come together: then each says whose it is, from the first on."""
        return self._rank is None and attempt.stage == Stage.TRAIN and job.spec.resources.nodes > 1

    async def _why_waiting(self, job: FineTuneJob, attempt: Attempt, pods: list[Pod]) -> str:
        name = child_name(job.name, AttemptName(Stage(attempt.stage), attempt.number))
        usual = job.status.message or "it is being created"
        events = []
        try:
            child = await self._api.find(CHILD_JOB, name, self._api.namespace)
            if child is None:
                return usual
            for uid in [child["metadata"].get("uid"), *(pod.uid for pod in pods if not pod.has_started)]:
                events += await self._api.find_all(EVENT, self._api.namespace, fields=f"involvedObject.uid={uid}")
        except ClusterError as error:
            if error.status == 403:  # whoever may read logs alone gets the operator's words
                return usual
            raise
        wait = why_not_running(child, pods, events)
        return wait.why if wait else "it is about to"

    # ------------------------------------------------------------ words

    def _announce(self, attempt: Attempt, pods: list[Pod]) -> None:
        for pod in pods:
            where = f" on {pod.node}" if pod.node else ""
            self._note(f"--- {attempt.stage} attempt {attempt.number}, pod {pod.name}{where}")

    def _unreadable(self, pod: Pod, error: ClusterError) -> None:
        lost = pod.node and error.status >= 500
        why = f"its node {pod.node} does not answer ({error.message})" if lost else str(self._api.explained(error))
        self._note(f"the log of pod {pod.name} cannot be read: {why}")

    def _note(self, text: str) -> None:
        """Say it, unless it was said."""
        if text not in self._noted:
            self._noted.add(text)
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    @staticmethod
    def _write(attempt: Attempt, pod: Pod, line: bytes, *, several: bool) -> None:
        text = line.partition(b" ")[2].decode(errors="replace")
        sys.stdout.write(f"{attempt.stage}-{attempt.number}-{pod.index} | {text}\n" if several else f"{text}\n")
        sys.stdout.flush()


def _as_it_is(job: FineTuneJob, attempt: Attempt) -> Attempt:
    named = [one for one in job.status.attempts if (one.stage, one.number) == (attempt.stage, attempt.number)]
    return named[0] if named else attempt


def _is_over(job: FineTuneJob, attempt: Attempt) -> bool:
    phase = job.status.phase
    return _as_it_is(job, attempt).finished_at is not None or (phase is not None and phase.terminal)


async def _begun(pod: Pod, lines: AsyncIterator[bytes]) -> Stream | None:
    """A log whose first line has come; None if it is empty. Raises: ClusterError if it cannot be had."""
    async for line in lines:
        return pod, line, lines
    return None


async def _in_order_of_time(streams: list[Stream]) -> AsyncIterator[tuple[Pod, bytes]]:
    """The lines of several logs, each of which is in order."""
    heads = list(streams)
    while heads:
        first = min(range(len(heads)), key=lambda index: _told_at(heads[index][1]))
        pod, line, lines = heads[first]
        yield pod, line
        following = await _begun(pod, lines)
        if following:
            heads[first] = following
        else:
            del heads[first]


def _told_at(line: bytes) -> float:
    """When a line was written, in seconds; nodes write their own time zones."""
    try:
        return datetime.fromisoformat(line.partition(b" ")[0].decode()).timestamp()
    except ValueError:
        return 0.0
