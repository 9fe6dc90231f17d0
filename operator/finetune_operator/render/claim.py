"""The volume that the stages of a job share."""

from __future__ import annotations

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.render.child import Manifest, child_metadata, claim_name, job_labels
from finetune_operator.render.settings import RenderSettings

WORKSPACE = "/workspace"


def workspace_claim(job: FineTuneJob, settings: RenderSettings) -> Manifest | None:
    """The claim made for a job and removed with it; None where the job names one of its own."""
    wanted = job.spec.workspace
    if wanted.claim_name is not None:
        return None
    mode = wanted.access_mode or ("ReadWriteMany" if job.spec.resources.nodes > 1 else "ReadWriteOnce")
    spec: Manifest = {
        "accessModes": [mode],
        "resources": {"requests": {"storage": wanted.size or settings.workspace_size}},
    }
    storage_class = wanted.storage_class_name or settings.storage_class_name
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": child_metadata(job, claim_name(job.name), job_labels(job)),
        "spec": spec,
    }


def used_claim(job: FineTuneJob) -> str:
    """Name of the claim that is mounted as the workspace."""
    return job.spec.workspace.claim_name or claim_name(job.name)


def workspace_path(job: FineTuneJob) -> str:
    """The workspace as the pods see it.

    A claim of the user's may serve several jobs, one after another under the same name: each works in a folder of its own,
    or a new job would resume from the checkpoints of an older one.
    """
    if job.spec.workspace.claim_name is None:
        return WORKSPACE
    return f"{WORKSPACE}/{job.name}-{(job.metadata.uid or '')[:8]}"
