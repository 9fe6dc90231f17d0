"""The names by which the pods of a training attempt find each other."""

from __future__ import annotations

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.stages import Stage
from finetune_operator.render.child import Manifest, child_metadata, child_name, stage_labels, stage_name

RENDEZVOUS_PORT = 29500


def headless_service(job: FineTuneJob) -> Manifest:
    """One for all attempts of train: pods are told apart by their host name, which contains the attempt.

    Names are published before a pod is ready, since no rank is ready before it has found the others.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(job, stage_name(job.name, Stage.TRAIN), stage_labels(job, Stage.TRAIN)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": stage_labels(job, Stage.TRAIN),
        },
    }


def first_pod(job: FineTuneJob, attempt: AttemptName) -> str:
    """Name of the first pod of an attempt, as its peers resolve it."""
    if job.spec.resources.nodes == 1:
        return "127.0.0.1"
    return f"{child_name(job.name, attempt)}-0.{stage_name(job.name, attempt.stage)}"
