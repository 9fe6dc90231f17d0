from __future__ import annotations

import pytest

from finetune_api.errors import Transient
from finetune_trainer.sources.patience import PATIENCE, Again, Patience, patiently


def failing(times: int, *, after: float | None = None) -> list[Again]:
    return [Again(Transient("x broke."), after=after) for _ in range(times)]


def test_by_default_half_a_minute_is_waited_in_all() -> None:
    slept: list[float] = []

    with pytest.raises(Transient, match=r"x broke \(6 tries\)\."):
        patiently(_raising(failing(99)), Patience(sleep=slept.append))

    assert slept == [1, 2, 4, 8, 15]
    assert sum(slept) == PATIENCE.total_wait == 30


def test_waits_that_a_server_asks_for_count_towards_the_whole() -> None:
    slept: list[float] = []

    with pytest.raises(Transient, match=r"\(3 tries; it asks to wait 12 s\)"):
        patiently(_raising(failing(99, after=12)), Patience(sleep=slept.append))

    assert slept == [12, 12]


def test_a_try_that_got_further_starts_the_count_anew() -> None:
    reached = iter([0, 10, 20, 30, 30, 30])
    slept: list[float] = []

    with pytest.raises(Transient, match=r"\(3 tries\)"):
        patiently(_raising(failing(99)), Patience(attempts=3, sleep=slept.append), progress=lambda: next(reached))

    assert slept == [1, 1, 1, 2]


def _raising(problems: list[Again]):  # type: ignore[no-untyped-def]  # raises only
    def action() -> None:
        raise problems.pop()

    return action
