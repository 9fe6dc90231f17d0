"""Which of the named namespaces can be served: one that is gone, or refuses us, must not take the others with it.

kopf ends, and the process with it, where a single watch is refused for a minute; a team that deletes its namespace deletes
the operator's Role in it. So before a leader watches, each namespace is asked for, and those that refuse are left out and
told of. They are asked again every minute, and as soon as one can be served the process ends, to begin anew with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from finetune_api.errors import ClusterError, NotFound, Refused
from finetune_operator.kinds import FINE_TUNE_JOB, Kind

AGAIN_SECONDS = 60.0


class NamespaceFound(Exception):
    """A namespace that could not be served can be now."""


class Lister(Protocol):
    """What is needed of the cluster."""

    async def lists(self, kind: Kind, namespace: str) -> None:
        """Ask for a listing. Raises: Refused, NotFound."""


class Served:
    """The namespaces of an installation that serves some.

    Args:
        report: is told of each namespace that is left out, and why.
    """

    def __init__(self, cluster: Lister, named: Sequence[str], report: Callable[[str, ClusterError], None]) -> None:
        self._cluster, self._named, self._report = cluster, named, report
        self._left_out: list[str] = []

    @property
    def left_out(self) -> int:
        """How many are not served now."""
        return len(self._left_out)

    async def look(self) -> list[str]:
        """Those that can be served now, at least one: as long as there is none, it waits. Raises: ClusterError."""
        while True:
            refusals = {namespace: await self._refusal(namespace) for namespace in self._named}
            self._left_out = [namespace for namespace, refusal in refusals.items() if refusal]
            for namespace, refusal in refusals.items():
                if refusal:
                    self._report(namespace, refusal)
            if served := [namespace for namespace in self._named if namespace not in self._left_out]:
                return served
            await asyncio.sleep(AGAIN_SECONDS)

    async def watch(self) -> None:
        """Ask for those that were left out, for ever. Raises: NamespaceFound."""
        while self._left_out:
            await asyncio.sleep(AGAIN_SECONDS)
            for namespace in self._left_out:
                try:
                    if await self._refusal(namespace) is None:
                        raise NamespaceFound(f'namespace "{namespace}" can be served now')
                except ClusterError:
                    continue  # no answer is none

    async def _refusal(self, namespace: str) -> ClusterError | None:
        try:
            await self._cluster.lists(FINE_TUNE_JOB, namespace)
        except (Refused, NotFound) as error:
            return error
        return None
