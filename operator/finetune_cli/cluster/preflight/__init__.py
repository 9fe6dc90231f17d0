"""A look at the cluster before a job is submitted: everything that would be found out later, one failure at a time.

It asks and tries and keeps nothing. What a person may not see is said to be unseen and never taken for well; what only time
can tell (an image that cannot be pulled, a host that does not answer) is not looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field

from finetune_api.errors import ClusterError, InvalidSpec
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.cluster.api import Api
from finetune_cli.cluster.preflight import installation, nodes, quotas, references, storage, trial
from finetune_cli.cluster.preflight.findings import Finding, Level, problem, unseen, warning
from finetune_cli.cluster.preflight.subject import subject
from finetune_operator.brain.machine import beyond_a_node
from finetune_operator.kinds import Manifest

__all__ = ["Answer", "Finding", "Level", "preflight"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found."""

    seen: tuple[str, ...] = ()
    """Against what it was found: context, namespace, operator."""
    findings: tuple[Finding, ...] = field(default=())

    def of(self, level: Level) -> list[Finding]:
        """Those of one weight, in the order of the manifest's fields."""
        return sorted(one for one in self.findings if one.level is level)

    @property
    def fits(self) -> bool:
        """Whether nothing stands in the job's way."""
        return not self.of(Level.PROBLEM)


async def preflight(api: Api, job: FineTuneJob, raw: Manifest) -> Answer:
    """Look at everything that a job needs.

    Args:
        job: with the namespace it is meant for.
        raw: as the person wrote it.
    Raises: ClusterError if the server does not answer.
    """
    namespace = job.metadata.namespace or ""
    release, undefined, installed, (level, findings) = await asyncio.gather(
        api.version(),
        installation.definition(api),
        installation.installation(api, namespace),
        installation.the_namespace(api, namespace),
    )
    seen = (
        f"{api.place} {release}",
        f"namespace {namespace}{f' ({level})' if level else ''}",
        *([installed.seen] if installed.seen else []),
    )
    found = [*undefined, *installed.findings, *findings]
    if findings:  # without its namespace nothing else can be looked at
        return Answer(seen, tuple(found))
    try:
        # Where the operator is not seen, what a node has is the chart's default, by which nothing can be refused.
        tell = problem if installed.seen else warning
        found += [tell(one.field, one.message) for one in beyond_a_node(job.spec.resources, installed.settings.machine)]
        wanted = subject(job, raw, installed.settings)
    except InvalidSpec as error:
        return Answer(seen, (*found, *(problem(one.field, one.message) for one in error.problems)))
    looks: list[tuple[str, Awaitable[list[Finding]]]] = [
        ("quotas", quotas.quotas(api, wanted)),
        ("limit ranges", quotas.limit_ranges(api, wanted)),
        ("storage", storage.storage(api, wanted)),
        ("nodes", nodes.nodes(api, wanted)),
        ("the queue", installation.queue(api, wanted)),
        ("your rights", installation.rights(api, wanted)),
        ("pods", trial.pods(api, wanted)),
        *([] if undefined else [("the manifest on the server", trial.apply(api, wanted))]),
        *((f"{one.kind.name} {one.name}", references.look_at(api, wanted, one)) for one in references.references(wanted)),
    ]
    found += [finding for one in await asyncio.gather(*(_look(api, what, look) for what, look in looks)) for finding in one]
    return Answer(seen, _once(found))


async def _look(api: Api, what: str, look: Awaitable[list[Finding]]) -> list[Finding]:
    """One look; what we may not see is said."""
    try:
        return await look
    except ClusterError as error:
        if error.status != 403:
            raise
        return [unseen("", f"{what}: {api.explained(error).message.removeprefix('not allowed: ')}")]


def _once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What two looks found alike is said once: the server's own words give way to ours about the same field."""
    return tuple(dict.fromkeys(findings))
