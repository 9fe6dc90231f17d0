"""Names, labels and owner that every child carries: by them children are found again, told apart and collected.

A name is deterministic, so that creating twice is creating once and a child is read by GET instead of searched by LIST;
it contains the attempt, so that a zombie of an older attempt shares neither host name nor directory with the next.
"""

from __future__ import annotations

from typing import Any

from finetune_api import meta
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.stages import Stage

Manifest = dict[str, Any]
"""An object of the API, as it is sent and as a golden file holds it."""


def child_name(job: str, attempt: AttemptName) -> str:
    """Name of the child Job of an attempt, and of the ConfigMap with its orders: `<job>-<stage>-<attempt>`."""
    return f"{job}-{attempt.stage}-{attempt.number}"


def claim_name(job: str) -> str:
    """Name of the claim made for a job that names none."""
    return f"{job}-workspace"


def stage_name(job: str, stage: Stage) -> str:
    """Name of what all attempts of a stage share: its NetworkPolicy, and for train the headless Service."""
    return f"{job}-{stage}"


def job_labels(job: FineTuneJob) -> dict[str, str]:
    """Labels of what belongs to the whole job."""
    return {meta.JOB_LABEL: job.name}


def stage_labels(job: FineTuneJob, stage: Stage) -> dict[str, str]:
    """Labels of what belongs to one stage, and what selects its pods."""
    return {**job_labels(job), meta.STAGE_LABEL: str(stage)}


def attempt_labels(job: FineTuneJob, attempt: AttemptName) -> dict[str, str]:
    """Labels of what belongs to one attempt."""
    return {**stage_labels(job, attempt.stage), meta.ATTEMPT_LABEL: str(attempt.number)}


def child_metadata(job: FineTuneJob, name: str, labels: dict[str, str]) -> Manifest:
    """Metadata of a child: in the job's namespace, owned by the job, so that it goes when the job goes.

    Without blockOwnerDeletion, which on OpenShift only somebody may set who may change the owner's finalizers.
    """
    owner = {
        "apiVersion": meta.API_VERSION,
        "kind": meta.KIND,
        "name": job.name,
        "uid": job.metadata.uid or "",
        "controller": True,
    }
    return {"name": name, "namespace": job.metadata.namespace or "", "labels": labels, "ownerReferences": [owner]}
