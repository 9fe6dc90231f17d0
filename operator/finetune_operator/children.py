"""Which child Jobs and pods of a job are looked at: few, by name, as they are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from finetune_api import meta
from finetune_api.errors import NotFound
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.stages import Stage
from finetune_operator.doubts import has_ended
from finetune_operator.kinds import CHILD_JOB, POD, Kind, Manifest, Ref
from finetune_operator.render import child_name

_YOUNG = timedelta(minutes=1)
"""A job of this age without a status is new; an older one may have lost it, and then its children are searched."""


class Reader(Protocol):
    """What looking needs of the cluster. Each method raises ClusterError."""

    async def get(self, ref: Ref) -> Manifest:
        """Read one object. Raises: NotFound."""

    async def find(self, kind: Kind, namespace: str, *, labels: Mapping[str, str]) -> list[Manifest]:
        """Read all that carry these labels."""


async def children(cluster: Reader, job: FineTuneJob, now: datetime) -> tuple[list[Manifest], list[Manifest]]:
    """The child Jobs that can matter, by name, and the pods of those that have not ended.

    By name, because a search by label scans the namespace: 37 ms instead of 3 at 4,000 Jobs.
    """
    namespace, attempts = job.metadata.namespace or "", job.status.attempts
    if not attempts:
        created = job.metadata.creation_timestamp
        if created is None or now - created < _YOUNG:
            return [], []
        jobs = await cluster.find(CHILD_JOB, namespace, labels={meta.JOB_LABEL: job.name})
        alive = [child for child in jobs if not has_ended(child)]
        return jobs, [pod for child in alive for pod in await cluster.find(POD, namespace, labels=_labels(child))]
    jobs, pods = [], []
    for attempt in _that_can_matter(attempts):
        name = AttemptName(Stage(attempt.stage), attempt.number)
        try:
            child = await cluster.get(Ref(CHILD_JOB, namespace, child_name(job.name, name)))
            jobs.append(child)
            matters = attempt.finished_at is None or not has_ended(child)
        except NotFound:  # its pods may outlive it; of one that was only noted there are none
            matters = attempt.finished_at is None and bool(attempt.started_at or attempt.reason)
        if matters:
            labels = {meta.JOB_LABEL: job.name, meta.STAGE_LABEL: attempt.stage, meta.ATTEMPT_LABEL: str(attempt.number)}
            pods += await cluster.find(POD, namespace, labels=labels)
    return jobs, pods


def _that_can_matter(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those whose child Jobs are looked at: the open ones, and of each the one before, which should be over.

    Where it was taken for ended a moment before a queue took it back, it is not, and would be let go beside its successor.
    """
    found: list[Attempt] = []
    for before, attempt in zip((None, *attempts), attempts, strict=False):
        if attempt.finished_at is None:
            found += [before, attempt] if before and before.stage == attempt.stage else [attempt]
    return found or list(attempts[-1:])


def _labels(child: Manifest) -> dict[str, str]:
    labels = child["metadata"].get("labels") or {}
    return {label: labels[label] for label in (meta.JOB_LABEL, meta.STAGE_LABEL, meta.ATTEMPT_LABEL) if label in labels}
