"""What a process does while the API server does not answer: it waits, and says so once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from finetune_api.errors import ClusterError

_AGAIN_SECONDS = 2.0

_T = TypeVar("_T")


async def until_answered(what: Callable[[], Awaitable[_T]], log: logging.Logger, jitter: Callable[[], float]) -> _T:
    """Do it as soon as the API server answers; returns what comes of it. Raises: ClusterError for what it refuses.

    A process that ended instead would be started again ever more rarely, and would be late by minutes after an outage.
    """
    tell = telling(log, "waits for the API server")
    while True:
        try:
            return await what()
        except ClusterError as error:
            if 0 < error.status < 500 and error.status != 429:
                raise
            tell(error)
            await asyncio.sleep(max(_AGAIN_SECONDS, error.retry_after or 0.0) * jitter())


def telling(log: logging.Logger, message: str) -> Callable[[ClusterError], None]:
    """Logs an error, and the next one only if it is another."""
    told: set[tuple[int, str]] = set()

    def tell(error: ClusterError) -> None:
        if (error.status, error.reason) not in told:
            told.clear()
            told.add((error.status, error.reason))
            log.warning(message, extra={"status": error.status, "reason": error.reason, "detail": error.message})

    return tell
