"""Events of the watches become keys, or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from finetune_operator.census import Census
from finetune_operator.queue import Key, WorkQueue
from finetune_operator.watches import Wakeups, wake_child, wake_job


def test_a_restart_asks_nothing_about_jobs_that_have_ended() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)
        wakeups = Wakeups(queue, lambda kind: None, Census(asyncio.get_running_loop().time), gather_seconds=0.0)
        over = {"status": {"phase": "Succeeded", "completionTime": "2026-11-30T12:00:00Z"}, "metadata": {"generation": 1}}
        wake_child(wakeups, Key("ml", "a"), "jobs", None, ended=True)
        wake_job(wakeups, Key("ml", "a"), over, None)
        wake_child(wakeups, Key("ml", "a"), "pods", None, ended=True)
        assert (queue.depth, len(queue._later)) == (0, 0)
        wake_child(wakeups, Key("ml", "a"), "jobs", None, ended=False)
        assert queue.depth == 1, "a child that still runs is looked at"
        wake_job(wakeups, Key("ml", "b"), {**over, "spec": {"runPolicy": {"ttlSecondsAfterFinished": 60}}}, None)
        wake_job(wakeups, Key("ml", "a"), over, "DELETED")
        assert Key("ml", "a") not in wakeups.ended, "a new job of its name is a new job"
        assert queue.depth == 2, "one that is to be removed too"

    asyncio.run(test())


def test_a_report_wakes_nobody_and_everything_else_does() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)
        wakeups, key = (
            Wakeups(queue, lambda kind: None, Census(asyncio.get_running_loop().time), gather_seconds=0.0),
            Key("ml", "a"),
        )

        async def wakes(body: dict[str, Any], event: str | None = "MODIFIED") -> bool:
            wake_job(wakeups, key, body, event)
            if queue.depth == 0:
                return False
            queue.done(await queue.get() or key)
            return True

        job = {"metadata": {"uid": "u", "generation": 1}, "status": {"phase": "Training", "observedGeneration": 1}}
        reported = {**job, "status": {**job["status"], "progress": {"step": 7}}}
        assert await wakes(job, None)
        assert not await wakes(reported)
        assert await wakes(reported, None), "a listing after a gap says nothing of what was missed"
        assert await wakes({**reported, "metadata": {"uid": "u", "generation": 2}})
        assert await wakes({**reported, "status": {**reported["status"], "phase": "Pending"}})

    asyncio.run(test())


def test_what_is_on_its_way_is_looked_at_once_and_what_has_ended_at_once() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)
        wakeups, key = (
            Wakeups(queue, lambda kind: None, Census(asyncio.get_running_loop().time), gather_seconds=0.05),
            Key("ml", "a"),
        )

        async def look() -> None:
            queue.done(await asyncio.wait_for(queue.get(), 60) or key)

        for _ in range(3):
            wake_child(wakeups, key, "pods", "MODIFIED", ended=False)
        assert queue.depth == 0, "it waits for what comes next"
        await look()
        await asyncio.sleep(0.1)
        assert queue.depth == 0, "three events, one look"
        wakeups.seen[key] = 1
        for event, ended in (("MODIFIED", True), ("DELETED", False)):
            wake_child(wakeups, key, "pods", event, ended=ended)
            assert queue.depth == 1, "an end is looked at without waiting"
            await look()

    asyncio.run(test())


def test_what_goes_together_with_its_job_is_one_look() -> None:
    """Four child Jobs and as many pods: a team that tidies a thousand jobs away would cost nine thousand looks."""

    async def test() -> None:
        queue, wakeups = a_queue_that_is_woken()
        wake_job(wakeups, KEY, {"metadata": {"generation": 1}, "status": {"phase": "Training"}}, None)
        wake_job(wakeups, KEY, {"metadata": {"generation": 1}}, "DELETED")
        looks = 0
        for _ in range(8):
            wake_child(wakeups, KEY, "pods", "DELETED", ended=False)
            while queue.depth:
                queue.done(await queue.get() or KEY)
                looks += 1
        assert looks == 1, "that of the job itself"
        assert await asyncio.wait_for(queue.get(), 5) == KEY

    asyncio.run(test())


def test_a_label_without_a_value_names_no_job() -> None:
    """Anybody who may create a pod may write it; a request without a name lists every job of the namespace."""

    async def test() -> None:
        queue, wakeups = a_queue_that_is_woken()
        for event, ended in ((None, True), (None, False), ("ADDED", False), ("MODIFIED", True), ("DELETED", False)):
            wake_child(wakeups, Key("ml", ""), "pods", event, ended=ended)
        assert (queue.depth, len(queue._later), len(wakeups.suspects)) == (0, 0, 0)

    asyncio.run(test())


def test_an_event_that_may_wait_does_not_shorten_the_pause_after_a_failure() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0, first_seconds=60)
        key = Key("ml", "a")
        queue.add(key)
        queue.failed(await queue.get() or key)
        queue.add(key, within=0.01)
        await asyncio.sleep(0.05)
        assert queue.depth == 0

    asyncio.run(test())


def test_a_child_that_outlived_its_job_is_looked_at_whichever_of_them_is_listed_first() -> None:
    """A leader that died between the end of a job and that of its pods: they would hold their machines for ever."""

    async def test() -> None:
        for job_first in (True, False):
            queue, wakeups = a_queue_that_is_woken()
            if job_first:
                wake_job(wakeups, KEY, OVER, None)
            wake_child(wakeups, KEY, "pods", None, ended=False)
            if not job_first:
                wake_job(wakeups, KEY, OVER, None)
            assert await asyncio.wait_for(queue.get(), 60) == KEY

    asyncio.run(test())


def test_what_could_not_be_done_for_a_job_is_tried_again_after_its_end() -> None:
    """Its end is written, and the call that stops its pods failed: then comes the event of our own write."""

    async def test() -> None:
        queue, wakeups = a_queue_that_is_woken()
        wake_job(wakeups, KEY, {"metadata": {"generation": 1}, "status": {"phase": "Training"}}, "MODIFIED")
        assert await asyncio.wait_for(queue.get(), 60) == KEY
        queue.failed(KEY)
        wake_job(wakeups, KEY, OVER, "MODIFIED")
        assert await asyncio.wait_for(queue.get(), 60) == KEY

    asyncio.run(test())


def test_an_ended_child_in_a_listing_is_looked_at_if_its_job_goes_on() -> None:
    async def test() -> None:
        queue, wakeups = a_queue_that_is_woken()
        wake_child(wakeups, KEY, "jobs", None, ended=True)
        assert queue.depth == 0
        assert await asyncio.wait_for(queue.get(), 60) == KEY

    asyncio.run(test())


def test_a_job_that_was_changed_after_its_end_is_looked_at_once() -> None:
    async def test() -> None:
        queue, wakeups = a_queue_that_is_woken()
        told = {**OVER["status"], "observedGeneration": 1}
        wake_job(wakeups, KEY, {"metadata": {"generation": 2}, "status": told}, "MODIFIED")
        assert queue.depth == 1
        queue.done(await queue.get() or KEY)
        wake_job(wakeups, KEY, {"metadata": {"generation": 2}, "status": {**told, "observedGeneration": 2}}, "MODIFIED")
        assert queue.depth == 0

    asyncio.run(test())


KEY = Key("ml", "a")
OVER: dict[str, Any] = {
    "status": {"phase": "Succeeded", "completionTime": "2026-11-30T12:00:00Z"},
    "metadata": {"generation": 1},
}


def a_queue_that_is_woken() -> tuple[WorkQueue, Wakeups]:
    """With times short enough to wait for."""
    clock = asyncio.get_running_loop().time
    queue = WorkQueue(clock=clock, jitter=lambda: 1.0, first_seconds=0.02)
    return queue, Wakeups(queue, lambda kind: None, Census(clock), gather_seconds=0.02, listing_seconds=0.05)
