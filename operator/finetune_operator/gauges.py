"""What is read of a process's parts whenever Prometheus asks."""

from __future__ import annotations

from finetune_operator.census import Census
from finetune_operator.lease import Lease
from finetune_operator.metrics import Metrics
from finetune_operator.queue import WorkQueue
from finetune_operator.reports import Reports
from finetune_operator.served import Served
from finetune_operator.tls import Certificates


def watch_gauges(
    metrics: Metrics,
    census: Census,
    queue: WorkQueue,
    lease: Lease,
    reports: Reports,
    certificates: Certificates,
    served: Served,
) -> None:
    """Have the parts read by these metrics."""
    watch = metrics.watch
    watch("namespaces_left_out", "Namespaces of watchNamespaces that the leader cannot serve.", lambda: float(served.left_out))
    watch("leader", "Whether this replica leads.", lambda: float(lease.is_leader()))
    each = metrics.watch_each
    each("jobs", "Jobs, by phase; New is one that nobody has taken up yet.", "phase", census.counts)
    each(
        "jobs_oldest_seconds",
        "How long a job has been in this phase at most, since this process began.",
        "phase",
        census.oldest_seconds,
    )
    watch("queue_depth", "Jobs that wait to be looked at.", lambda: float(queue.depth))
    watch("queue_oldest_seconds", "How long the first of them has waited.", lambda: queue.oldest_seconds)
    watch("progress_jobs", "Jobs that have reported to this replica.", lambda: float(reports.jobs))
    watch(
        "progress_oldest_unwritten_seconds",
        "Age of the oldest report that is not in its status yet.",
        reports.oldest_unwritten_seconds,
    )
    watch("certificate_seconds_left", "Until the progress server's certificate expires.", certificates.seconds_left)
