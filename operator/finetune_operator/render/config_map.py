"""The orders of one attempt, as its pods mount them."""

from __future__ import annotations

from pathlib import PurePosixPath

from finetune_api import meta
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.configure import configure
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import Plan
from finetune_operator.render.child import Manifest, attempt_labels, child_metadata, child_name
from finetune_operator.render.claim import workspace_path
from finetune_operator.render.sources import mounts

ORDERS_FOLDER, ORDERS_FILE = str(PurePosixPath(meta.CONFIG_PATH).parent), PurePosixPath(meta.CONFIG_PATH).name


def orders(job: FineTuneJob, plan: Plan, attempt: AttemptName) -> Manifest:
    """The ConfigMap with job.json. Immutable: what an attempt was told stays true, and kubelets need not watch it."""
    config = configure(
        job, plan, attempt.stage, attempt.number, workspace=workspace_path(job), mounts=mounts(job, attempt.stage)
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(job, child_name(job.name, attempt), attempt_labels(job, attempt)),
        "immutable": True,
        "data": {ORDERS_FILE: config.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n"},
    }
