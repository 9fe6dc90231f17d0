"""Keys wait, fall together, come back later and never meet themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from finetune_api.errors import ClusterError, Conflict
from finetune_operator.queue import Key, WorkQueue
from finetune_operator.workers import work

A, B = Key("ml", "a"), Key("ml", "b")


def a_queue(**more: float) -> WorkQueue:
    return WorkQueue(clock=lambda: asyncio.get_running_loop().time(), jitter=lambda: 1.0, **more)


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type]


async def nothing_comes(queue: WorkQueue, seconds: float = 0.02) -> bool:
    try:
        await asyncio.wait_for(queue.get(), seconds)
    except TimeoutError:
        return True
    return False


def test_a_burst_of_events_is_one_walk() -> None:
    async def test() -> None:
        queue = a_queue()
        for _ in range(100):
            queue.add(A)
        assert await queue.get() == A
        queue.done(A)
        assert await nothing_comes(queue)

    in_a_loop(test)


def test_what_happens_during_a_walk_is_looked_at_after_it_and_not_beside_it() -> None:
    async def test() -> None:
        queue = a_queue()
        queue.add(A)
        assert await queue.get() == A
        queue.add(A)
        queue.add(A)
        assert await nothing_comes(queue)
        queue.done(A)
        assert await queue.get() == A
        queue.done(A)
        assert await nothing_comes(queue)

    in_a_loop(test)


def test_first_come_first_served() -> None:
    async def test() -> None:
        queue = a_queue()
        queue.add(B)
        queue.add(A)
        queue.add(B)
        assert [await queue.get(), await queue.get()] == [B, A]

    in_a_loop(test)


def test_of_several_times_the_earliest_counts() -> None:
    async def test() -> None:
        queue = a_queue()
        queue.add_after(A, 60)
        queue.add_after(A, 0.01)
        queue.add_after(A, 60)
        assert await queue.get() == A
        queue.done(A)
        queue.add_after(B, 60)
        queue.add(B)
        assert await queue.get() == B

    in_a_loop(test)


def test_a_key_that_fails_waits_longer_each_time_and_its_neighbours_do_not() -> None:
    async def test() -> None:
        queue = a_queue(first_seconds=0.5, most_seconds=3)
        delays = []
        for _ in range(5):
            queue.add(A, urgent=False)
            queue._due.clear()
            queue._in_work[A] = 0.0
            delays.append(queue.failed(A))
        assert delays == [0.5, 1.0, 2.0, 3.0, 3.0]
        queue.add(B)
        assert await queue.get() == B

    in_a_loop(test)


def test_events_do_not_shorten_a_back_off_but_a_changed_job_does() -> None:
    async def test() -> None:
        queue = a_queue(first_seconds=60)
        queue.add(A)
        assert await queue.get() == A
        queue.failed(A)
        queue.add(A)
        assert await nothing_comes(queue)
        queue.add(A, urgent=True)
        assert await queue.get() == A

    in_a_loop(test)


def test_the_server_s_retry_after_is_kept() -> None:
    async def test() -> None:
        queue = a_queue()
        queue.add(A)
        await queue.get()
        assert queue.failed(A, at_least=7.0) == 7.0

    in_a_loop(test)


def test_a_success_forgets_the_failures() -> None:
    async def test() -> None:
        queue = a_queue(first_seconds=0.01)
        queue.add(A)
        for wanted in (0.01, 0.02):
            await queue.get()
            assert queue.failed(A) == pytest.approx(wanted)
        await queue.get()
        queue.done(A)
        queue.add(A)
        await queue.get()
        assert queue.failed(A) == pytest.approx(0.01)

    in_a_loop(test)


def test_several_workers_share_the_keys_and_stop_when_it_is_closed() -> None:
    async def test() -> None:
        queue = a_queue()
        walked: list[Key] = []
        at_work: set[Key] = set()

        async def walk(key: Key) -> timedelta | None:
            assert key not in at_work, "one worker per key"
            at_work.add(key)
            await asyncio.sleep(0.001)
            at_work.remove(key)
            walked.append(key)
            return None

        loop = asyncio.get_running_loop()
        told: list[str] = []
        workers = [
            asyncio.create_task(
                work(queue, walk, monotonic=loop.time, jitter=lambda: 1.0, measured=lambda s, result: told.append(result))
            )
            for _ in range(4)
        ]
        keys = [Key("ml", f"j{i}") for i in range(20)]
        for _ in range(3):
            for key in keys:
                queue.add(key)
            await asyncio.sleep(0.002)
        while len(at_work) or queue.depth:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        queue.close()
        await asyncio.gather(*workers)
        assert set(walked) == set(keys)
        assert set(told) == {"ok"}

    in_a_loop(test)


def test_a_deadline_is_looked_at_early_rather_than_late() -> None:
    async def test() -> None:
        for factor, days in ((1.2, 30.0), (0.8, 24.0)):
            queue = a_queue()

            async def walk(key: Key, queue: WorkQueue = queue) -> timedelta | None:
                queue.close()
                return timedelta(days=30)

            queue.add(A)
            loop = asyncio.get_running_loop()
            await work(queue, walk, monotonic=loop.time, jitter=lambda f=factor: f, measured=lambda s, result: None)
            assert queue._later[A].when() - loop.time() == pytest.approx(days * 86400, abs=60)

    in_a_loop(test)


def test_each_kind_of_error_is_tried_again_and_counted_for_itself() -> None:
    async def test() -> None:
        queue = a_queue(first_seconds=0.001)
        errors: list[Exception | None] = [Conflict("x"), ClusterError("x"), KeyError("x"), None]
        told: list[str] = []

        async def walk(key: Key) -> timedelta | None:
            error = errors[len(told)]
            if error:
                raise error
            queue.close()
            return None

        queue.add(A)
        clock = asyncio.get_running_loop().time
        await work(queue, walk, monotonic=clock, jitter=lambda: 1.0, measured=lambda s, result: told.append(result))
        assert told == ["conflict", "retry", "bug", "ok"]

    in_a_loop(test)
