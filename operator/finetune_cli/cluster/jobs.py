"""Reading jobs for people: whose they are, what is wrong with their spec, and one clear sentence where there is none."""

from __future__ import annotations

from finetune_api.errors import NotFound, UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.cluster.api import Api
from finetune_operator.kinds import FINE_TUNE_JOB, Manifest
from finetune_operator.stored import unread


async def job_named(api: Api, name: str) -> tuple[FineTuneJob, Manifest]:
    """A job of the namespace, read and as the server holds it.

    Raises: UserError if there is none of this name.
    """
    try:
        raw = await api.get(FINE_TUNE_JOB, name, api.namespace)
    except NotFound:
        raise UserError(
            f"there is no FineTuneJob {name} in namespace {api.namespace} ({api.place})",
            hint="finetune status -A lists those of all namespaces.",
        ) from None
    return read(raw), raw


async def all_jobs(api: Api, namespace: str | None) -> list[tuple[FineTuneJob, Manifest]]:
    """The jobs of a namespace or, for None, of all, in the order of their names."""
    return in_order(await api.find_all(FINE_TUNE_JOB, namespace))


def in_order(found: list[Manifest]) -> list[tuple[FineTuneJob, Manifest]]:
    """Jobs by namespace and name."""
    jobs = [(read(raw), raw) for raw in found]
    return sorted(jobs, key=lambda pair: (pair[0].metadata.namespace or "", pair[0].name))


def read(raw: Manifest) -> FineTuneJob:
    """A job as far as it can be understood: of one with an invalid spec name and status are."""
    return unread(raw)[0]
