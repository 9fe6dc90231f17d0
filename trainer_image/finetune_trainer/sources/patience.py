"""A server that fails once usually answers a second later; one that fails for a minute is somebody's outage.

So each request outward is tried a few times within half a minute and then given up as Transient: the operator starts the
stage again later, and nothing here waits for hours where nobody sees it. Waiting is bounded, whatever a server asks for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from finetune_api.errors import Transient

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with a server.

    Args:
        attempts: tries in a row that bring nothing, before giving up.
        first_wait: seconds before the second try; doubled each time.
        total_wait: seconds of waiting in all, between two successes.
        timeout: seconds of silence on one connection.
        sleep: waits so many seconds.
    """

    attempts: int = 6
    first_wait: float = 1.0
    total_wait: float = 30.0
    timeout: float = 60.0
    sleep: Callable[[float], None] = time.sleep


PATIENCE = Patience()


class Again(Exception):
    """This try failed, another may work. Never leaves this package: `patiently` turns it into its `problem`.

    Args:
        problem: what is raised when no further try is made.
        after: seconds that the server asked for (Retry-After), if it did.
    """

    def __init__(self, problem: Transient, *, after: float | None = None) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.after = after


def patiently(action: Callable[[], Result], patience: Patience, *, progress: Callable[[], int] = lambda: 0) -> Result:
    """Do `action`, again after each `Again`, until it works or patience ends.

    Args:
        action: one try.
        patience: how often and how long.
        progress: bytes reached so far. A try that got further than all before it starts the count anew, so that a large
            file comes through a line that breaks every few minutes.
    Returns: what `action` returns.
    Raises: the Transient inside the last `Again`, with the number of tries; whatever else `action` raises, at once.
    """
    failures, waited, best = 0, 0.0, progress()
    while True:
        try:
            return action()
        except Again as again:
            if (reached := progress()) > best:
                failures, waited, best = 0, 0.0, reached
            failures += 1
            left = patience.total_wait - waited
            wait = min(patience.first_wait * 2 ** (failures - 1), left) if again.after is None else again.after
            if failures >= patience.attempts or left <= 0 or wait > left:
                raise _given_up(again, failures) from None
            patience.sleep(wait)
            waited += wait


def _given_up(again: Again, failures: int) -> Transient:
    problem = again.problem
    tries = "1 try" if failures == 1 else f"{failures} tries"
    wish = f"; it asks to wait {again.after:.0f} s" if again.after is not None else ""
    return Transient(f"{problem.message.rstrip('.')} ({tries}{wish}).", field=problem.field, hint=problem.hint)
