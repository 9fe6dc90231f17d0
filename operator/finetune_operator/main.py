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
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import kopf
from prometheus_client import disable_created_metrics

from finetune_api.errors import ClusterError, FinetuneError
from finetune_operator.brain.transitions import Transition
from finetune_operator.cluster import KubernetesCluster, Limiter, connect
from finetune_operator.kinds import FINE_TUNE_JOB, LEASE, SECRET, Ref
from finetune_operator.lease import Lease, LeaseLost
from finetune_operator.logs import log_as_json, log_transition
from finetune_operator.membership import Members
from finetune_operator.metrics import Metrics
from finetune_operator.probes import ProbeServer
from finetune_operator.progress_server import ProgressServer
from finetune_operator.queue import Key, WorkQueue
from finetune_operator.reconcile import Reconciler
from finetune_operator.reports import Reports
from finetune_operator.settings import Settings, read_settings
from finetune_operator.tls import Certificates
from finetune_operator.watches import Wakeups, kopf_settings, register
from finetune_operator.workers import WALK_SECONDS, work

_LEASE_CALLS, _REPORT_CALLS = (20.0, 20.0), (100.0, 200.0)
"""Calls a second and in a burst. The Lease has its own: a renewal must not wait behind reconciles."""
_STOP_SECONDS = 20.0
"""How long running reconciles may take to end."""
_log = logging.getLogger("finetune.operator")


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

    async def run(self) -> None:
        """Serve, wait for the lease, lead. Raises: Stopped in the ordinary case, LeaseLost, ClusterError, kopf's own."""
        settings, metrics = self._settings, self._metrics
        async with await connect(settings.kubeconfig) as client:

            def cluster(limits: tuple[float, float], may_write: Callable[[], bool] = lambda: True) -> KubernetesCluster:
                return KubernetesCluster(client, Limiter(*limits, time.monotonic), may_write=may_write, count=metrics.call)

            identity = f"{settings.pod_name}-{uuid.uuid4().hex[:6]}"
            ref = Ref(LEASE, settings.namespace, settings.lease_name)
            lease = Lease(cluster(_LEASE_CALLS), ref, identity, monotonic=time.monotonic, wall=wall, jitter=jitter)
            reporting = cluster(_REPORT_CALLS)
            if not await reporting.serves(FINE_TUNE_JOB):
                raise ClusterError("the API server does not know FineTuneJobs: install the CRD first", status=404)
            certificates = Certificates(
                reporting,
                Ref(SECRET, settings.namespace, settings.ca_secret),
                settings.ca_config_map,
                settings.progress_names,
                clock=wall,
                monotonic=time.monotonic,
            )
            await certificates.look()
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
            self._watch_gauges(lease, reports, certificates)
            probes = ProbeServer(metrics, healthy=self._trouble, ready=lambda: _no_certificate(certificates))
            calls = (settings.api_calls_per_second, 2 * settings.api_calls_per_second)
            reconciler = self._reconciler(cluster(calls, lease.is_leader), certificates, reports)
            # All interfaces: the pod's address is not known here, and a NetworkPolicy says who may come.
            await probes.start("0.0.0.0", settings.probe_port)
            await server.start("0.0.0.0", settings.progress_port, certificates.context)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(reports.flush_for_ever())
                    group.create_task(certificates.look_for_ever(_tell_certificate_trouble))
                    await self._acquire(lease)
                    await self._lead(group, lease, reconciler, reports)
            finally:
                await lease.release()
                await server.stop()
                await probes.stop()

    def _reconciler(self, cluster: KubernetesCluster, certificates: Certificates, reports: Reports) -> Reconciler:
        def announce(key: Key, transition: Transition) -> None:
            log_transition(_log, key, transition)
            self._metrics.transition(transition)
            if transition.reason in ("Succeeded", "Rejected", "Failed"):
                reports.forget(key)

        reporter = ("finetune.dev/operator", self._settings.pod_name)
        return Reconciler(cluster, self._settings.render, wall, certificates.publish, announce, reporter)

    async def _acquire(self, lease: Lease) -> None:
        """Wait until we lead. Raises: Stopped."""
        waiting, stopping = asyncio.create_task(lease.acquire()), asyncio.create_task(self._stop.wait())
        _log.info("standing by", extra={"identity": lease.identity})
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not waiting.done():
                waiting.cancel()
        if self._stop.is_set():
            raise Stopped
        await waiting
        _log.info("leading", extra={"identity": lease.identity})

    async def _lead(self, group: asyncio.TaskGroup, lease: Lease, reconciler: Reconciler, reports: Reports) -> None:
        """Everything that only a leader does; always ends with an exception, so that no half of it lives on."""
        measured = self._metrics.reconciled
        workers = [
            group.create_task(
                work(self._queue, reconciler.reconcile, monotonic=time.monotonic, jitter=jitter, measured=measured)
            )
            for _ in range(self._settings.workers)
        ]
        group.create_task(lease.keep())
        await asyncio.sleep(0)  # kopf cancels every task that is younger than itself when it ends: ours are older
        wakeups = Wakeups(self._queue, lambda kind: self._metrics.wakes.labels(kind).inc())
        registry = kopf.OperatorRegistry()
        register(registry, self._login)
        namespaces = self._settings.watch_namespaces
        where: dict[str, Any] = {"namespaces": namespaces} if namespaces else {"clusterwide": True}
        await kopf.operator(
            registry=registry, settings=kopf_settings(), memo=wakeups, standalone=True, stop_flag=self._stop, **where
        )
        self._queue.close()
        await asyncio.wait(workers, timeout=_STOP_SECONDS)
        await reports.flush()
        raise Stopped

    def _login(self, **arguments: Any) -> kopf.ConnectionInfo | None:
        if self._settings.kubeconfig is not None:
            os.environ["KUBECONFIG"] = str(self._settings.kubeconfig)
            return kopf.login_with_kubeconfig(**arguments)
        return kopf.login_with_service_account(**arguments)

    def _watch_gauges(self, lease: Lease, reports: Reports, certificates: Certificates) -> None:
        watch = self._metrics.watch
        watch("leader", "Whether this replica leads.", lambda: float(lease.is_leader()))
        watch("queue_depth", "Jobs that wait to be looked at.", lambda: float(self._queue.depth))
        watch("queue_oldest_seconds", "How long the first of them has waited.", lambda: self._queue.oldest_seconds)
        watch("progress_jobs", "Jobs that have reported to this replica.", lambda: float(reports.jobs))
        watch(
            "progress_oldest_unwritten_seconds",
            "Age of the oldest report that is not in its status yet.",
            reports.oldest_unwritten_seconds,
        )
        watch("certificate_seconds_left", "Until the progress server's certificate expires.", certificates.seconds_left)

    def _trouble(self) -> str | None:
        hanging = self._queue.longest_work_seconds
        return f"a reconcile has not ended for {hanging:.0f} s" if hanging > 2 * WALK_SECONDS else None


def _no_certificate(certificates: Certificates) -> str | None:
    return None if certificates.seconds_left() > 0 else "the progress server has no valid certificate"


def _tell_certificate_trouble(error: ClusterError) -> None:
    _log.warning("certificates could not be looked at", extra={"status": error.status, "detail": error.message})


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
    except* (LeaseLost, FinetuneError) as group:
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
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter, that nobody reads
    return asyncio.run(_main(settings))


if __name__ == "__main__":
    sys.exit(main())
