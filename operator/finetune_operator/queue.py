"""One job is reconciled by one worker at a time, and a burst of events costs one reconcile.

An event only says that something changed: the key alone goes in, equal keys fall together, and the worker reads the present.
A key that fails waits longer each time; its neighbours do not. Nothing is saved: a restart lists every live job anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple


class Key(NamedTuple):
    """Which job."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class WorkQueue:
    """Keys that are due, keys that wait for their time, keys in work.

    A key that is added while a worker holds it is handled once more afterwards, so nothing that happens during a reconcile
    is missed. Of several times the earliest counts. Events do not shorten the back-off of a failing key: a stream of them,
    progress for one, would undo it.

    Args:
        clock: seconds that only rise; those of the event loop.
        jitter: a factor around 1, anew for each delay, so that what failed together does not come back together.
        first_seconds: back-off after the first failure, doubled with each further one up to `most_seconds`.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        first_seconds: float = 0.5,
        most_seconds: float = 120.0,
    ) -> None:
        self._clock, self._jitter = clock, jitter
        self._first, self._most = first_seconds, most_seconds
        self._due: dict[Key, float] = {}
        """Keys that wait for a worker, in order, and since when."""
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._in_work: dict[Key, float] = {}
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._arrived = asyncio.Event()
        self._closed = False

    def add(self, key: Key, *, urgent: bool = False, within: float = 0.0) -> None:
        """Something changed: look at it as soon as a worker is free.

        Args:
            urgent: a person changed the job, so that what failed before may well work now: its back-off ends.
            within: seconds that it may wait, so that what else changes in this time costs no look of its own.
        """
        if urgent:
            self._failures.pop(key, None)
        if key in self._failures and key in self._later:
            return
        if within > 0:
            if key not in self._due:
                self.add_after(key, within)
            return
        self._forget_timer(key)
        self._put(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at it after so long, unless it is looked at earlier anyway."""
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        old = self._later.get(key)
        if old is not None:
            if old.when() <= at:
                return
            old.cancel()
        self._later[key] = loop.call_at(at, self._time_has_come, key)

    async def get(self) -> Key | None:
        """The key that has waited longest; the caller says `done` or `failed` afterwards. None once it is closed."""
        while not self._due and not self._closed:
            self._arrived.clear()
            await self._arrived.wait()
        if self._closed:
            return None
        key = next(iter(self._due))
        del self._due[key]
        self._in_work[key] = self._clock()
        return key

    def done(self, key: Key) -> None:
        """The worker is through; earlier failures are forgotten."""
        self._failures.pop(key, None)
        self._leave(key)

    def failed(self, key: Key, *, at_least: float = 0.0) -> float:
        """The worker could not: try again after a while, `at_least` so many seconds. Returns the delay."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, min(self._most, self._first * 2.0 ** min(count - 1, 32)) * self._jitter())
        self._again.discard(key)  # it is looked at anyway, and not before its time
        self._leave(key)
        self._forget_timer(key)
        self.add_after(key, delay)
        return delay

    def close(self) -> None:
        """Give out no more keys: whoever works ends its key, and a restart finds the others anew."""
        self._closed = True
        self._arrived.set()

    @property
    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self._due)

    @property
    def oldest_seconds(self) -> float:
        """How long the first of them has waited."""
        return self._clock() - next(iter(self._due.values())) if self._due else 0.0

    @property
    def longest_work_seconds(self) -> float:
        """How long the slowest worker has been at its key."""
        return self._clock() - min(self._in_work.values()) if self._in_work else 0.0

    def _put(self, key: Key) -> None:
        if key in self._in_work:
            self._again.add(key)
        else:
            self._due.setdefault(key, self._clock())
            self._arrived.set()

    def _leave(self, key: Key) -> None:
        self._in_work.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self._put(key)

    def _time_has_come(self, key: Key) -> None:
        self._later.pop(key, None)
        self._put(key)

    def _forget_timer(self, key: Key) -> None:
        timer = self._later.pop(key, None)
        if timer is not None:
            timer.cancel()
