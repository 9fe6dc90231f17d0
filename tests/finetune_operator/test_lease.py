"""One leader at a time, judged by each candidate's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from builders import NOON
from fakes import Clock, FakeCluster, Fault
from finetune_api.errors import ClusterError
from finetune_operator.kinds import LEASE, Ref
from finetune_operator.lease import Lease, LeaseLost, micro_time

REF = Ref(LEASE, "finetune-system", "finetune-operator")


@dataclass
class Candidates:
    """Replicas over one cluster, with one clock."""

    clock: Clock
    cluster: FakeCluster

    def one(self, identity: str) -> Lease:
        return Lease(self.cluster, REF, identity, monotonic=self.clock.monotonic, wall=self.clock, jitter=lambda: 1.0)


@pytest.fixture
def candidates() -> Candidates:
    clock = Clock()
    return Candidates(clock, FakeCluster(clock))


def run(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(call)


def test_the_first_leads_and_the_second_waits(candidates: Candidates) -> None:
    first, second = candidates.one("a"), candidates.one("b")
    assert run(first.try_once())
    assert not run(second.try_once())
    assert first.is_leader()
    assert not second.is_leader()


def test_a_leader_that_renews_keeps_the_others_away(candidates: Candidates) -> None:
    first, second = candidates.one("a"), candidates.one("b")
    run(first.try_once())
    for _ in range(20):
        candidates.clock.pass_by(seconds=5)
        assert run(first.try_once())
        assert not run(second.try_once())


def test_silence_is_followed_by_a_new_leader_after_the_old_one_has_stopped(candidates: Candidates) -> None:
    first, second = candidates.one("a"), candidates.one("b")
    run(first.try_once())
    run(second.try_once())
    candidates.clock.pass_by(seconds=10)
    assert not first.is_leader(), "it stops by itself, without asking anybody"
    assert not run(second.try_once())
    candidates.clock.pass_by(seconds=5)
    assert run(second.try_once())
    assert candidates.cluster.objects[REF]["spec"]["leaseTransitions"] == 1


def test_expiry_counts_from_when_a_change_was_seen_and_not_from_what_another_clock_says(candidates: Candidates) -> None:
    first = candidates.one("a")
    run(first.try_once())
    candidates.cluster.objects[REF]["spec"]["renewTime"] = "2001-01-01T00:00:00.000000Z"
    assert not run(candidates.one("b").try_once()), "a wall clock that is decades behind proves nothing"


def test_who_takes_it_from_hand_to_hand_knows_of_no_gap(candidates: Candidates) -> None:
    first, second, third = candidates.one("a"), candidates.one("b"), candidates.one("c")
    run(first.try_once())
    run(second.try_once())
    candidates.clock.pass_by(seconds=16)  # the first was killed
    assert run(second.try_once())
    candidates.clock.pass_by(seconds=5)
    run(second.release())
    assert run(third.try_once())
    assert (second.gap_until, third.gap_until) == (None, None)


def test_who_takes_what_was_nobodys_for_a_while_knows_since_when_somebody_is_there(candidates: Candidates) -> None:
    first, second = candidates.one("a"), candidates.one("b")
    run(first.try_once())
    assert first.gap_until == NOON, "there was none before"
    run(first.release())
    candidates.clock.pass_by(minutes=31)
    assert run(second.try_once())
    assert second.gap_until == candidates.clock()
    candidates.clock.pass_by(seconds=5)
    assert run(second.try_once())
    assert second.gap_until == candidates.clock() - timedelta(seconds=5), "a renewal is none"


def test_a_record_without_a_time_that_can_be_read_was_nobodys(candidates: Candidates) -> None:
    run(candidates.one("a").try_once())
    candidates.cluster.objects[REF]["spec"].update(holderIdentity="", renewTime="yesterday")
    second = candidates.one("b")
    assert run(second.try_once())
    assert second.gap_until == NOON


def test_after_a_clean_release_the_next_one_leads_at_once(candidates: Candidates) -> None:
    first, second = candidates.one("a"), candidates.one("b")
    run(first.try_once())
    run(second.try_once())
    run(first.release())
    assert not first.is_leader()
    assert run(second.try_once())


def test_a_release_whose_first_call_fails_is_tried_again(candidates: Candidates) -> None:
    first, second = candidates.one("a"), candidates.one("b")
    run(first.try_once())
    candidates.cluster.fault = Fault(len(candidates.cluster.calls) + 1, "before")
    run(first.release())
    assert run(second.try_once())


def test_a_release_is_given_the_time_in_which_others_would_wait() -> None:
    async def test() -> None:
        clock, cluster = Clock(), FakeCluster(Clock())
        loop = asyncio.get_running_loop()
        lease = Lease(cluster, REF, "a", monotonic=loop.time, wall=clock, jitter=lambda: 1.0, release_seconds=0.01)
        await lease.acquire()

        async def late(ref: Ref) -> Any:
            await asyncio.sleep(0.1)
            return await cluster.get(ref)

        lease.store = _Reading(cluster, late)
        await lease.release()
        assert cluster.objects[REF]["spec"]["holderIdentity"] == ""

    asyncio.run(test())


def test_a_release_that_helps_nobody_is_soon_given_up() -> None:
    async def test() -> None:
        clock, cluster = Clock(), FakeCluster(Clock())
        loop = asyncio.get_running_loop()
        lease = Lease(cluster, REF, "a", monotonic=loop.time, wall=clock, jitter=lambda: 1.0, release_seconds=0.01)
        lease.duration_seconds = 0
        await lease.acquire()

        async def unanswered(ref: Ref) -> Any:
            await asyncio.Event().wait()

        lease.store = _Reading(cluster, unanswered)
        await lease.release()
        assert cluster.objects[REF]["spec"]["holderIdentity"] == "a"

    asyncio.run(asyncio.wait_for(test(), 60))


def test_whoever_did_not_lead_releases_nothing(candidates: Candidates) -> None:
    first, second = candidates.one("a"), candidates.one("b")
    run(first.try_once())
    run(second.release())
    assert candidates.cluster.objects[REF]["spec"]["holderIdentity"] == "a"


def test_of_two_at_once_one_wins(candidates: Candidates) -> None:
    first, second = candidates.one("a"), candidates.one("b")
    run(first.try_once())
    run(first.release())

    async def both() -> list[bool]:
        read = await candidates.cluster.get(REF)

        async def stale(ref: Ref) -> Any:
            return read

        second.store = _Reading(candidates.cluster, stale)
        return [await first.try_once(), await second.try_once()]

    assert run(both()) == [True, False]
    assert candidates.cluster.objects[REF]["spec"]["holderIdentity"] == "a"


@dataclass
class _Reading:
    """The cluster, as somebody sees it who read a moment too early."""

    cluster: FakeCluster
    get: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)


def test_a_leader_that_finds_another_holder_gives_up(candidates: Candidates) -> None:
    first = candidates.one("a")
    run(first.try_once())
    candidates.cluster.objects[REF]["spec"]["holderIdentity"] = "b"
    with pytest.raises(LeaseLost, match="held by b"):
        run(first.try_once())


def test_an_outage_shorter_than_the_deadline_is_survived(candidates: Candidates) -> None:
    first = candidates.one("a")
    run(first.try_once())
    candidates.cluster.fault = Fault(len(candidates.cluster.calls) + 1, "before")
    candidates.clock.pass_by(seconds=5)
    assert not run(first.try_once())
    assert first.is_leader()
    assert run(first.try_once())


def test_an_answer_that_was_lost_does_not_prolong_the_claim(candidates: Candidates) -> None:
    first = candidates.one("a")
    run(first.try_once())
    candidates.clock.pass_by(seconds=9)
    candidates.cluster.fault = Fault(len(candidates.cluster.calls) + 2, "after")
    assert not run(first.try_once())
    candidates.clock.pass_by(seconds=1)
    assert not first.is_leader()


def test_keeping_ends_with_an_error_when_nothing_answers() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        clock = Clock()
        lease = Lease(FakeCluster(clock), REF, "a", monotonic=loop.time, wall=clock, jitter=lambda: 1.0)
        lease.renew_seconds, lease.retry_seconds = 0.2, 0.02
        await lease.acquire()

        async def unanswered(ref: Ref) -> Any:
            raise ClusterError("the API server did not answer")

        lease.store = _Reading(FakeCluster(clock), unanswered)
        with pytest.raises(LeaseLost, match="no renewal"):
            await lease.keep()

    asyncio.run(asyncio.wait_for(test(), 60))


def test_times_have_six_digits() -> None:
    assert micro_time(NOON) == "2026-11-30T12:00:00.000000Z"
