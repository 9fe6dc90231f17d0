"""Keys from the queue through the reconciler, with one place that knows what an error means for the next try."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from finetune_api.errors import ClusterError, Conflict
from finetune_operator.queue import Key, WorkQueue

WALK_SECONDS = 120.0
"""Longest time of one walk; each of its calls has a deadline of its own."""
_log = logging.getLogger("finetune.workers")


async def work(
    queue: WorkQueue,
    reconcile: Callable[[Key], Awaitable[timedelta | None]],
    *,
    monotonic: Callable[[], float],
    jitter: Callable[[], float],
    measured: Callable[[float, str], None],
) -> None:
    """Take keys until the queue is closed; a key in work is ended first.

    Args:
        measured: is told seconds and result of each walk: ok, conflict, retry or bug.
    """
    while (key := await queue.get()) is not None:
        begun = monotonic()
        try:
            async with asyncio.timeout(WALK_SECONDS):
                again = await reconcile(key)
        except Conflict as error:
            queue.failed(key, at_least=error.retry_after or 0.0)
            result = "conflict"  # somebody else wrote: ordinary, and not worth a line
        except (ClusterError, TimeoutError) as error:
            told = error if isinstance(error, ClusterError) else ClusterError(f"took longer than {WALK_SECONDS:.0f} s")
            delay = queue.failed(key, at_least=told.retry_after or 0.0)
            fields = {"job": str(key), "status": told.status, "reason": told.reason, "detail": told.message}
            _log.warning("will be tried again", extra={**fields, "seconds": round(delay, 1)})
            result = "retry"
        except Exception:  # a bug must not take the other jobs with it; it is told whole
            queue.failed(key)
            _log.exception("a bug while reconciling", extra={"job": str(key)})
            result = "bug"
        else:
            queue.done(key)
            if again is not None:
                # Never later: it may be a deadline, and a fifth of a month is days.
                queue.add_after(key, again.total_seconds() * (min(1.0, jitter()) if again > timedelta(minutes=1) else 1.0))
            result = "ok"
        measured(monotonic() - begun, result)
