"""What only the leader does: watch, be woken, walk. Whatever of it ends, ends all of it.

kopf watches. It ends by itself after an error it cannot mend; where it does not, we end it: a leader that sees nothing is
healthy by every probe, and holds the lease.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

import kopf

from finetune_api.errors import ClusterError
from finetune_operator.lease import Lease
from finetune_operator.outages import until_answered
from finetune_operator.queue import WorkQueue
from finetune_operator.reconcile import Reconciler
from finetune_operator.served import Served
from finetune_operator.settings import Settings
from finetune_operator.watches import KINDS_WATCHED, Wakeups, kopf_settings, listening, register
from finetune_operator.workers import work

_log = logging.getLogger("finetune.operator")

BLIND_SECONDS = 600.0
"""How long a watch may be missing: a first listing of a large cluster may take minutes, and after five its pages expire."""
_STOP_SECONDS = 20.0
"""How long running reconciles may take to end."""
_KOPF_SECONDS = 10.0
"""How long kopf may take to end once it is cancelled; its own patience with a task is 5 s."""

_T = TypeVar("_T")


class Stopped(Exception):
    """Told to stop, and done with what was in work."""


async def unless_stopped(what: Coroutine[Any, Any, _T], stop: asyncio.Event) -> _T:
    """What is waited for. Raises: Stopped if we are told to stop before it is there."""
    waiting, stopping = asyncio.create_task(what), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not waiting.done():
            waiting.cancel()
    if stop.is_set():
        raise Stopped
    return await waiting


class Leader:
    """The leading half of a process.

    Args:
        stop: set when the process is told to stop; kopf sets it where it is the one that is told.
        measured: is told seconds and result of each walk.
        monotonic: seconds that only rise.
        jitter: a factor around 1.
    """

    def __init__(
        self,
        settings: Settings,
        stop: asyncio.Event,
        queue: WorkQueue,
        wakeups: Wakeups,
        measured: Callable[[float, str], None],
        *,
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._settings, self._stop, self._queue, self._wakeups = settings, stop, queue, wakeups
        self._measured, self._monotonic, self._jitter = measured, monotonic, jitter
        self._logged_in = False
        self._login_refused = asyncio.Event()

    async def lead(self, group: asyncio.TaskGroup, lease: Lease, reconciler: Reconciler, served: Served) -> None:
        """Watch and walk until told to stop; what is in work then is ended first.

        Args:
            group: ends with the first of our tasks that fails, so that no half of a leader lives on.
        Raises: Stopped, if told before it has begun; ClusterError, what kopf ends with; the group LeaseLost, NamespaceFound.
        """
        walks = partial(work, self._queue, reconciler.reconcile, measured=self._measured)
        workers = [
            group.create_task(walks(monotonic=self._monotonic, jitter=self._jitter)) for _ in range(self._settings.workers)
        ]
        group.create_task(lease.keep())
        # Else kopf makes an identity from the user's name, and the pod's user has none.
        where: dict[str, Any] = {"identity": lease.identity}
        if self._settings.watch_namespaces:
            looked = until_answered(served.look, _log, self._jitter)  # one that is away for longer takes the lease from us
            where["namespaces"] = await unless_stopped(looked, self._stop)
            group.create_task(served.watch())
        else:
            where["clusterwide"] = True
        await asyncio.sleep(0)  # kopf cancels every task that is younger than itself when it ends: ours are older
        registry = kopf.OperatorRegistry()
        register(registry, self._login)

        @kopf.on.cleanup(registry=registry)
        async def ends(**_: Any) -> None:
            self._stop.set()  # on a signal it is kopf that is told

        await self._watch(registry, where)
        self._queue.close()
        await asyncio.wait(workers, timeout=_STOP_SECONDS)

    async def _watch(self, registry: kopf.OperatorRegistry, where: Mapping[str, Any]) -> None:
        """Run kopf until it ends. Raises: what it ends with; ClusterError if the login is refused, or a watch is lost for good.

        A watcher of kopf's that connects anew in the moment in which kopf ends overhears that it is told to end, and kopf
        waits for it for ever: the lease would stay in our hands, and nobody would watch.
        """
        refused, blind = asyncio.create_task(self._login_refused.wait()), asyncio.create_task(self._blind(where))
        watching = asyncio.create_task(
            kopf.operator(
                registry=registry, settings=kopf_settings(), memo=self._wakeups, standalone=True, stop_flag=self._stop, **where
            )
        )
        try:
            await asyncio.wait({watching, refused, blind}, return_when=asyncio.FIRST_COMPLETED)
            if refused.done():
                raise ClusterError("the API server refuses the operator's login", status=401, reason="Unauthorized")
            if blind.done():
                raise ClusterError(f"a watch was missing for {BLIND_SECONDS:.0f} s")
            await watching
        finally:
            refused.cancel()
            blind.cancel()
            watching.cancel()
            await asyncio.wait({watching}, timeout=_KOPF_SECONDS)

    async def _blind(self, where: Mapping[str, Any]) -> None:
        """Until a watch has been missing for too long."""
        expected, complete_at = KINDS_WATCHED * len(where.get("namespaces", "1")), self._monotonic()
        while self._monotonic() - complete_at < BLIND_SECONDS:
            await asyncio.sleep(min(5.0, BLIND_SECONDS / 4))
            if self._wakeups.open_streams >= expected or self._stop.is_set():
                complete_at = self._monotonic()

    async def _login(self, **arguments: Any) -> kopf.AiohttpSession | None:
        def connection() -> kopf.ConnectionInfo | None:
            if self._settings.kubeconfig is not None:
                os.environ["KUBECONFIG"] = str(self._settings.kubeconfig)
                return kopf.login_with_kubeconfig(**arguments)
            return kopf.login_with_service_account(**arguments)

        info = connection()
        if info is None or self._logged_in:
            self._login_refused.set()  # each request carries the newest token: another one would be refused as well
            return None
        self._logged_in = True
        return listening(info, self._wakeups, connection)
