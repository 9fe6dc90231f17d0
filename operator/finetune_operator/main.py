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
from datetime import UTC, datetime

from finetune_api.errors import ClusterError, FinetuneError
from finetune_api.v1alpha1.status import TERMINAL_PHASES
from finetune_operator.brain.transitions import Transition
from finetune_operator.callers import callers
from finetune_operator.census import Census
from finetune_operator.cluster import KubernetesCluster
from finetune_operator.exchange import connect
from finetune_operator.gauges import watch_gauges
from finetune_operator.job_series import JobSeries
from finetune_operator.kinds import FINE_TUNE_JOB, LEASE, SECRET, Ref
from finetune_operator.leading import Leader, Stopped, unless_stopped
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
from finetune_operator.watches import Wakeups
from finetune_operator.workers import WALK_SECONDS

_log = logging.getLogger("finetune.operator")
_LEVELS_OF_JSON = 10_000
"""What the API server takes where a definition says no more than "as in a pod". Python's reader ends at 1,000, with an error
that blinds kopf's watch for every job."""
_FRAMES_A_LEVEL = 3


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
        self._leader = Leader(
            settings, stop, self._queue, self._wakeups, self._metrics.reconciled, monotonic=time.monotonic, jitter=jitter
        )

    async def run(self) -> None:
        """Serve, wait for the lease, lead. Raises: Stopped in the ordinary case, LeaseLost, ClusterError, kopf's own."""
        settings, metrics = self._settings, self._metrics
        async with await connect(settings.kubeconfig) as client:
            identity = f"{settings.pod_name}-{uuid.uuid4().hex[:6]}"
            ref = Ref(LEASE, settings.namespace, settings.lease_name)
            calls = callers(client, settings, leads=lambda: lease.is_leader(), monotonic=time.monotonic, count=metrics.call)
            lease = Lease(
                calls.lease,
                ref,
                identity,
                monotonic=time.monotonic,
                wall=wall,
                jitter=jitter,
                report=telling(_log, "the lease cannot be taken"),
            )
            certificates = Certificates(
                calls.keeping,
                Ref(SECRET, settings.namespace, settings.ca_secret),
                settings.ca_config_map,
                settings.progress_names,
                clock=wall,
                monotonic=time.monotonic,
            )
            reports = Reports(
                calls.progress,
                monotonic=time.monotonic,
                wall=wall,
                count=metrics.flush,
                every_seconds=settings.progress_seconds,
                per_second=settings.progress_writes_per_second,
            )
            members = Members(calls.tokens, audience=settings.token_audience, monotonic=time.monotonic)
            server = ProgressServer(
                members,
                reports,
                monotonic=time.monotonic,
                count=metrics.report,
                count_refused=metrics.connection_refused,
            )
            served = Served(calls.keeping, settings.watch_namespaces, _tell_left_out)
            watch_gauges(metrics, self._census, self._queue, lease, reports, certificates, served)
            probes = ProbeServer(metrics, healthy=self._trouble, ready=lambda: _no_certificate(certificates))
            reconciler = self._reconciler(calls.walks, certificates, reports, lease)
            # A NetworkPolicy says who may come.
            await probes.start(ALL, settings.probe_port)
            try:
                ready = until_answered(lambda: _make_ready(calls.keeping, certificates), _log, jitter)
                await unless_stopped(ready, self._stop)
                await server.start(ALL, settings.progress_port, certificates.context)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(server.until_broken())
                        group.create_task(reports.flush_for_ever())
                        group.create_task(certificates.look_for_ever(telling(_log, "certificates could not be looked at")))
                        group.create_task(self._close_doors(server, probes))
                        await self._acquire(lease)
                        await self._leader.lead(group, lease, reconciler, served)
                        await reports.flush()
                        raise Stopped
                finally:
                    await lease.release()
            finally:
                await server.stop()
                await probes.stop()

    def _reconciler(self, cluster: KubernetesCluster, certificates: Certificates, reports: Reports, lease: Lease) -> Reconciler:
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
        return Reconciler(
            cluster,
            self._settings.render,
            wall,
            certificates.publish,
            announce,
            gone,
            heard_since=lambda: lease.gap_until,
            held=self._wakeups.held,
            reporter=reporter,
        )

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
        await unless_stopped(lease.acquire(), self._stop)
        _log.info("leading", extra={"identity": lease.identity})

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
    sys.setrecursionlimit(_LEVELS_OF_JSON * _FRAMES_A_LEVEL)
    try:
        return asyncio.run(_main(settings))
    except Exception:  # the last line, too, is one that can be found and counted
        _log.exception("ends on an error, to be started again")
        return 1


if __name__ == "__main__":
    sys.exit(main())
