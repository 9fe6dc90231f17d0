"""The operator: one process that takes reports always, and acts on jobs while it leads.

Every replica serves progress reports, probes and metrics. The one that holds the Lease also watches and reconciles. Whatever
ends there, ends the process: kopf after an error it cannot mend, the Lease when it is lost. Half an operator would look alive.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import kopf

from finetune_api.errors import ClusterError, FinetuneError
from finetune_api.v1alpha1.status import TERMINAL_PHASES
from finetune_operator.brain.transitions import Transition
from finetune_operator.census import Census
from finetune_operator.cluster import KubernetesCluster, Limiter, connect
from finetune_operator.gauges import watch_gauges
from finetune_operator.job_series import JobSeries
from finetune_operator.kinds import FINE_TUNE_JOB, LEASE, SECRET, Ref
from finetune_operator.lease import Lease, LeaseLost
from finetune_operator.listening import ALL
from finetune_operator.logs import log_as_json, log_transition
from finetune_operator.membership import Members
from finetune_operator.metrics import Metrics
from finetune_operator.outages import telling, until_answered
from finetune_operator.probes import ProbeServer
from finetune_operator.progress_server import ProgressServer
from finetune_operator.queue import Key, WorkQueue
from finetune_operator.reconcile import Reconciler
from finetune_operator.reports import Reports
from finetune_operator.served import NamespaceFound, Served
from finetune_operator.settings import Settings, read_settings
from finetune_operator.tls import Certificates
from finetune_operator.watches import KINDS_WATCHED, Wakeups, kopf_settings, listening, register
from finetune_operator.workers import WALK_SECONDS, work

_LEASE_CALLS = (20.0, 20.0)
"""Calls a second and in a burst. The Lease has its own: a renewal must not wait behind reconciles."""
_ASKING_CALLS = 100.0
"""Beside the writes of progress: whose a token is, and which version a job has before its first write."""
_STOP_SECONDS = 20.0
"""How long running reconciles may take to end."""
BLIND_SECONDS = 600.0
"""How long a watch may be missing: a first listing of a large cluster may take minutes, and after five its pages expire."""
_KOPF_SECONDS = 10.0
"""How long kopf may take to end once it is cancelled; its own patience with a task is 5 s."""
_log = logging.getLogger("finetune.operator")


_T = TypeVar("_T")


class Stopped(Exception):
    """Told to stop, and done with what was in work."""


def wall() -> datetime:
    """The time, aware, UTC."""
    return datetime.now(UTC)


def jitter() -> float:
    """A factor around 1."""
    return random.uniform(0.8, 1.2)


class Operator:
    """One process."""

    def __init__(self, settings: Settings, stop: asyncio.Event) -> None:
        self._settings, self._stop = settings, stop
        self._metrics = Metrics()
        self._queue = WorkQueue(clock=time.monotonic, jitter=jitter)
        self._census = Census(time.monotonic)
        series = JobSeries(settings.metrics_jobs)
        self._metrics.add(series)
        self._wakeups = Wakeups(self._queue, lambda kind: self._metrics.wakes.labels(kind).inc(), self._census, series)
        self._logged_in = False
        self._login_refused = asyncio.Event()

    async def run(self) -> None:
        """Serve, wait for the lease, lead. Raises: Stopped in the ordinary case, LeaseLost, ClusterError, kopf's own."""
        settings, metrics = self._settings, self._metrics
        async with await connect(settings.kubeconfig) as client:

            def cluster(limits: tuple[float, float], may_write: Callable[[], bool] = lambda: True) -> KubernetesCluster:
                return KubernetesCluster(client, Limiter(*limits, time.monotonic), may_write=may_write, count=metrics.call)

            identity = f"{settings.pod_name}-{uuid.uuid4().hex[:6]}"
            ref = Ref(LEASE, settings.namespace, settings.lease_name)
            lease = Lease(
                cluster(_LEASE_CALLS),
                ref,
                identity,
                monotonic=time.monotonic,
                wall=wall,
                jitter=jitter,
                report=telling(_log, "the lease cannot be taken"),
            )
            told = settings.progress_writes_per_second + _ASKING_CALLS
            reporting = cluster((told, 2 * told))
            certificates = Certificates(
                reporting,
                Ref(SECRET, settings.namespace, settings.ca_secret),
                settings.ca_config_map,
                settings.progress_names,
                clock=wall,
                monotonic=time.monotonic,
            )
            reports = Reports(
                reporting,
                monotonic=time.monotonic,
                wall=wall,
                count=metrics.flush,
                every_seconds=settings.progress_seconds,
                per_second=settings.progress_writes_per_second,
            )
            members = Members(reporting, audience=settings.token_audience, monotonic=time.monotonic)
            server = ProgressServer(
                members,
                reports,
                monotonic=time.monotonic,
                count=metrics.report,
                count_refused=metrics.connection_refused,
            )
            served = Served(reporting, settings.watch_namespaces, _tell_left_out)
            watch_gauges(metrics, self._census, self._queue, lease, reports, certificates, served)
            probes = ProbeServer(metrics, healthy=self._trouble, ready=lambda: _no_certificate(certificates))
            calls = (settings.api_calls_per_second, 2 * settings.api_calls_per_second)
            reconciler = self._reconciler(cluster(calls, lease.is_leader), certificates, reports)
            # A NetworkPolicy says who may come.
            await probes.start(ALL, settings.probe_port)
            try:
                await self._unless_stopped(until_answered(lambda: _make_ready(reporting, certificates), _log, jitter))
                await server.start(ALL, settings.progress_port, certificates.context)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(reports.flush_for_ever())
                        group.create_task(certificates.look_for_ever(telling(_log, "certificates could not be looked at")))
                        group.create_task(self._close_doors(server, probes))
                        await self._acquire(lease)
                        await self._lead(group, lease, reconciler, reports, served)
                finally:
                    await lease.release()
            finally:
                await server.stop()
                await probes.stop()

    def _reconciler(self, cluster: KubernetesCluster, certificates: Certificates, reports: Reports) -> Reconciler:
        def announce(key: Key, transition: Transition) -> None:
            log_transition(_log, key, transition)
            self._metrics.transition(transition)
            if transition.reason in TERMINAL_PHASES:
                reports.forget(key)

        def gone(key: Key) -> None:
            self._wakeups.forget(key)
            reports.forget(key)
            certificates.doubt(key.namespace)

        reporter = ("finetune.dev/operator", self._settings.pod_name)
        return Reconciler(cluster, self._settings.render, wall, certificates.publish, announce, gone, reporter)

    async def _close_doors(self, server: ProgressServer, probes: ProbeServer) -> None:
        """Let connections end as soon as we are told to stop.

        kopf waits 5 s for each task that is younger than itself, and one that only waits for the next scrape would have the
        next leader wait for nothing. Then it cancels them, and their connections would stay open and never answer again.
        """
        await self._stop.wait()
        await server.stop()
        await probes.stop()

    async def _acquire(self, lease: Lease) -> None:
        """Wait until we lead. Raises: Stopped."""
        _log.info("standing by", extra={"identity": lease.identity})
        await self._unless_stopped(lease.acquire())
        _log.info("leading", extra={"identity": lease.identity})

    async def _unless_stopped(self, what: Coroutine[Any, Any, _T]) -> _T:
        """What is waited for. Raises: Stopped if we are told to stop before it is there."""
        waiting, stopping = asyncio.create_task(what), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not waiting.done():
                waiting.cancel()
        if self._stop.is_set():
            raise Stopped
        return await waiting

    async def _lead(
        self, group: asyncio.TaskGroup, lease: Lease, reconciler: Reconciler, reports: Reports, served: Served
    ) -> None:
        """Everything that only a leader does; always ends with an exception, so that no half of it lives on."""
        measured = self._metrics.reconciled
        workers = [
            group.create_task(
                work(self._queue, reconciler.reconcile, monotonic=time.monotonic, jitter=jitter, measured=measured)
            )
            for _ in range(self._settings.workers)
        ]
        group.create_task(lease.keep())
        # Else kopf makes an identity from the user's name, and the pod's user has none.
        where: dict[str, Any] = {"identity": lease.identity}
        if self._settings.watch_namespaces:
            where["namespaces"] = await self._unless_stopped(served.look())
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
        await reports.flush()
        raise Stopped

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
        expected, complete_at = KINDS_WATCHED * len(where.get("namespaces", "1")), time.monotonic()
        while time.monotonic() - complete_at < BLIND_SECONDS:
            await asyncio.sleep(min(5.0, BLIND_SECONDS / 4))
            if self._wakeups.open_streams >= expected or self._stop.is_set():
                complete_at = time.monotonic()

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

    def _trouble(self) -> str | None:
        hanging = self._queue.longest_work_seconds
        return f"a reconcile has not ended for {hanging:.0f} s" if hanging > 2 * WALK_SECONDS else None


def _no_certificate(certificates: Certificates) -> str | None:
    return None if certificates.seconds_left() > 0 else "the progress server has no valid certificate"


async def _make_ready(cluster: KubernetesCluster, certificates: Certificates) -> None:
    """What must be true before reports can be taken. Raises: ClusterError."""
    if not await cluster.serves(FINE_TUNE_JOB):
        raise ClusterError("the API server does not know FineTuneJobs: install the CRD first", status=404)
    await certificates.look()


def _tell_left_out(namespace: str, error: ClusterError) -> None:
    _log.warning("a namespace is not served", extra={"namespace": namespace, "status": error.status, "detail": error.message})


async def _main(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)  # kopf puts its own in their place while we lead
    code = 1
    try:
        await Operator(settings, stop).run()
    except* Stopped:
        _log.info("stopped")
        code = 0
    except* (LeaseLost, NamespaceFound, FinetuneError) as group:
        for error in group.exceptions:
            _log.error("ends, to be started again", extra={"detail": str(error), "kind": type(error).__name__})
    return code


def main() -> int:
    """Run until told to stop. Exit code 0 then, 64 for a wrong setting, 1 for everything that a restart may mend."""
    try:
        settings = read_settings(os.environ)
    except FinetuneError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    log_as_json(settings.log_level)
    try:
        return asyncio.run(_main(settings))
    except Exception:  # the last line, too, is one that can be found and counted
        _log.exception("ends on an error, to be started again")
        return 1


if __name__ == "__main__":
    sys.exit(main())
