"""Which replica acts: a coordination.k8s.io Lease, and the promise that the old leader has stopped before a new one begins.

Expiry is judged by this process's own clock since it last saw the record change, so clocks of two machines never meet. Each
write carries the version that was read: of two candidates one loses. The leader gives up after `renew_seconds` without
renewal, which is shorter than the `duration_seconds` after which another may start. An overlap would still be harmless to
jobs: children have deterministic names, and a status is written only over the version it was decided from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from finetune_api.errors import ClusterError, Conflict, NotFound
from finetune_operator.kinds import LEASE, Manifest, Ref


class LeaseLost(Exception):
    """Somebody else leads, or may by now. The only right answer is to stop writing and to leave the process."""


class Store(Protocol):
    """What a lease needs of the cluster; with a limiter of its own, or a renewal waits behind reconciles."""

    async def get(self, ref: Ref) -> Manifest:
        """Read it. Raises: NotFound."""

    async def create(self, manifest: Manifest) -> None:
        """Create it. Raises: Conflict if somebody was faster."""

    async def patch(self, ref: Ref, body: Manifest, *, version: str) -> Manifest:
        """Change it. Raises: Conflict if somebody was faster."""


@dataclass(slots=True)
class Lease:
    """One replica's claim.

    Args:
        identity: of this process; no two processes ever share one.
        monotonic: seconds that only rise.
        wall: aware, UTC; for people who read the record.
        jitter: a factor around 1.
        report: is told why the lease cannot be read or written. That somebody was faster is ordinary.
    """

    store: Store
    ref: Ref
    identity: str
    monotonic: Callable[[], float]
    wall: Callable[[], datetime]
    jitter: Callable[[], float]
    report: Callable[[ClusterError], None] = lambda error: None
    duration_seconds: int = 15
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0
    release_seconds: float = 2.0
    """Longest time of a release that helps nobody any more: an outage must not delay the end of the process."""
    gap_seconds: float = 60.0
    """A lease that was renewed or released so long before it was taken was nobody's: more than any hand-over takes."""
    gap_until: datetime | None = field(default=None, init=False)
    """When we took it after such a gap; None if it came from hand to hand. By two machines' clocks: they tell, no more."""
    _seen: tuple[str, str] = field(default=("", ""), init=False)
    _seen_at: float = field(default=float("-inf"), init=False)
    _renewed_at: float = field(default=float("-inf"), init=False)

    def is_leader(self) -> bool:
        """Asked before every write: a process that was paused wakes up believing that it leads."""
        return self.monotonic() - self._renewed_at < self.renew_seconds

    async def acquire(self) -> None:
        """Wait until we lead."""
        while not await self.try_once():  # noqa: ASYNC110  # a lease can only be asked
            await asyncio.sleep(self.retry_seconds * self.jitter())

    async def keep(self) -> None:
        """Renew for as long as it goes. Raises: LeaseLost."""
        while True:
            await asyncio.sleep(self.retry_seconds)
            try:
                async with asyncio.timeout(max(0.1, self._renewed_at + self.renew_seconds - self.monotonic())):
                    while not await self.try_once():  # noqa: ASYNC110
                        await asyncio.sleep(self.retry_seconds)
            except TimeoutError:
                raise LeaseLost(f"no renewal within {self.renew_seconds:.0f} s") from None

    async def release(self) -> None:
        """Let the next one start at once instead of after `duration_seconds`.

        Tried for as long as our claim keeps the others waiting: a fixed time passes unused on a machine that is busy with
        something else, and then they wait for nothing.
        """
        held_seconds = self._renewed_at + self.duration_seconds - self.monotonic()
        self._renewed_at = float("-inf")  # first, so that nothing is written any more
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self.release_seconds, held_seconds)):
                while not await self._released():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

    async def _released(self) -> bool:
        try:
            lease = await self.store.get(self.ref)
            if lease["spec"].get("holderIdentity") == self.identity:
                freed = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(self.wall())}
                await self._write(lease, freed)
        except ClusterError:
            return False
        return True

    async def try_once(self) -> bool:
        """Renew or take over, if we may. Returns whether we lead. Raises: LeaseLost if we led and somebody else does."""
        begun = self.monotonic()  # before the request: the server may have written at once and answered late
        try:
            won = await self._step()
        except Conflict:  # somebody was faster: next round
            return False
        except ClusterError as error:
            self.report(error)
            return False
        if won:
            self._renewed_at = begun
        return won

    async def _step(self) -> bool:
        now = micro_time(self.wall())
        ours: Manifest = {"holderIdentity": self.identity, "leaseDurationSeconds": self.duration_seconds, "renewTime": now}
        try:
            lease = await self.store.get(self.ref)
        except NotFound:
            metadata = {"name": self.ref.name, "namespace": self.ref.namespace}
            spec = {**ours, "acquireTime": now, "leaseTransitions": 0}
            await self.store.create({"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": spec})
            self.gap_until = self.wall()
            return True
        spec = lease.get("spec") or {}
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        if (holder, renewed) != self._seen:
            self._seen, self._seen_at = (holder, renewed), self.monotonic()
        if holder == self.identity:
            await self._write(lease, {"renewTime": now})
            return True
        if self.is_leader():
            raise LeaseLost(f"the lease is held by {holder}")
        if holder and self.monotonic() - self._seen_at < spec.get("leaseDurationSeconds", self.duration_seconds):
            return False
        transitions = (spec.get("leaseTransitions") or 0) + 1
        await self._write(lease, {**ours, "acquireTime": now, "leaseTransitions": transitions})
        self.gap_until = self.wall() if self._was_nobodys(renewed) else None
        return True

    def _was_nobodys(self, renewed: str) -> bool:
        try:
            since = datetime.fromisoformat(renewed)
        except ValueError:
            return True
        return since.tzinfo is None or self.wall() - since > timedelta(seconds=self.gap_seconds)

    async def _write(self, lease: Manifest, spec: Manifest) -> None:
        await self.store.patch(self.ref, {"spec": spec}, version=lease["metadata"]["resourceVersion"])


def micro_time(moment: datetime) -> str:
    """Kubernetes' MicroTime: exactly six digits, or the server answers 500; isoformat drops a zero fraction."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
