"""Who calls the API server, and how often: each subject within a budget of its own.

Calls within a budget are served in order, so whoever shares one waits for the others. A renewal of the lease must not wait
behind reconciles; and whose a token is can be asked by anybody who can open a connection: thousands of made-up tokens must
delay neither the progress that is written nor the certificates without which no pod is started.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finetune_operator.cluster import KubernetesCluster, Limiter
from finetune_operator.exchange import Client
from finetune_operator.settings import Settings

_LEASE_CALLS, _TOKEN_CALLS, _KEEPING_CALLS = 20.0, 200.0, 100.0
"""A second, in the mean. A new pod's first report costs four of the second kind, and one a minute from then on."""
_CALLS_OF_A_REPORT = 2
"""Which version a job has before its first write, and the write."""


@dataclass(frozen=True, slots=True)
class Callers:
    """Clusters to call, by what for."""

    lease: KubernetesCluster
    walks: KubernetesCluster
    """Writes as long as this replica leads."""
    progress: KubernetesCluster
    tokens: KubernetesCluster
    keeping: KubernetesCluster
    """Certificates, and what can be served at all."""


def callers(
    client: Client,
    settings: Settings,
    *,
    leads: Callable[[], bool],
    monotonic: Callable[[], float],
    count: Callable[[str, str, int], None] = lambda verb, plural, status: None,
) -> Callers:
    """All callers of a process; each may spend two seconds' calls in a burst.

    Args:
        leads: whether this replica may act on jobs, asked before each write.
        monotonic: seconds that only rise.
        count: is told verb, plural and HTTP status of each call.
    """

    def within(per_second: float, may_write: Callable[[], bool] = lambda: True) -> KubernetesCluster:
        return KubernetesCluster(client, Limiter(per_second, 2 * per_second, monotonic), may_write=may_write, count=count)

    return Callers(
        lease=within(_LEASE_CALLS),
        walks=within(settings.api_calls_per_second, leads),
        progress=within(_CALLS_OF_A_REPORT * settings.progress_writes_per_second),
        tokens=within(_TOKEN_CALLS),
        keeping=within(_KEEPING_CALLS),
    )
