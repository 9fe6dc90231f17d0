"""The child Job of one attempt: all pods or none, and the first that fails ends it.

A Job of Kubernetes would restart single pods of a gang, count restarts in its own way and forget why. So each attempt is a
Job of its own that never retries, and its failure policy only makes the reason readable: which rule matched tells a
mistake of the user and a disruption apart even when the pods are gone.
"""

from __future__ import annotations

from finetune_api.contract.exit_codes import ExitCode
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.stages import STAGES
from finetune_operator.render.child import Manifest, attempt_labels, child_metadata, child_name
from finetune_operator.render.pod import CONTAINER, pod_template
from finetune_operator.render.settings import RenderSettings

_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_QUEUE_LABELS = (_QUEUE_LABEL, "kueue.x-k8s.io/priority-class", "kueue.x-k8s.io/max-exec-time-seconds")
"""Labels that Kueue reads from a Job when it is created. What it writes later is its own."""


def child_job(job: FineTuneJob, plan: Plan, attempt: AttemptName, settings: RenderSettings) -> Manifest:
    """The batch/v1 Job of an attempt; every stage has the same shape, training with several pods.

    Without TTL, deadline or `suspend`: a finished child that vanishes would be started again, the deadline covers all
    attempts and is ours, and `suspend` belongs to Kueue.
    """
    pods = job.spec.resources.nodes if STAGES[attempt.stage].distributed else 1
    labels = {**_queue_labels(job), **attempt_labels(job, attempt)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": child_metadata(job, child_name(job.name, attempt), labels),
        "spec": {
            "completionMode": "Indexed",
            "completions": pods,
            "parallelism": pods,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _rules()},
            "template": pod_template(job, plan, attempt, settings),
        },
    }


def _rules() -> list[Manifest]:
    """Never Ignore, which would replace one pod of a gang."""
    mistakes = [int(ExitCode.USER_ERROR), int(ExitCode.DATA_ERROR)]
    return [
        {"action": "FailJob", "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": mistakes}},
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _queue_labels(job: FineTuneJob) -> dict[str, str]:
    found = {name: job.metadata.labels[name] for name in _QUEUE_LABELS if name in job.metadata.labels}
    queue = job.spec.scheduling.queue_name
    return {**found, _QUEUE_LABEL: queue} if queue else found
