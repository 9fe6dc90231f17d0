"""The pod of a stage: it runs under the `restricted` standard, knows its orders, and holds nothing that it does not need.

What a user may add is a list of fields, and ours come last: no label, variable or volume of a manifest can take the place
of one on which the operator or the pod's safety depends.
"""

from __future__ import annotations

from typing import Any

from finetune_api import meta
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.running import PodTemplate, Raw
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.stages import STAGES, Stage
from finetune_operator.render.child import Manifest, attempt_labels, stage_name
from finetune_operator.render.environment import environment
from finetune_operator.render.resources import room
from finetune_operator.render.settings import RenderSettings
from finetune_operator.render.sources import secrets
from finetune_operator.render.volumes import volume_mounts, volumes

CONTAINER = "trainer"
_LOST_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def pod_template(job: FineTuneJob, plan: Plan, attempt: AttemptName, settings: RenderSettings) -> Manifest:
    """The template of an attempt's pods."""
    template = job.spec.pod_template or PodTemplate()
    metadata: Manifest = {"labels": {**(template.labels or {}), **attempt_labels(job, attempt)}}
    if template.annotations:
        metadata["annotations"] = dict(template.annotations)
    spec: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": settings.grace_seconds,
        "securityContext": _pod_security(settings),
        "tolerations": _tolerations(job, settings),
        **_placement(job, attempt),
        "containers": [_container(job, plan, attempt, settings, template)],
        "volumes": [*template.volumes, *volumes(job, plan, attempt, settings)],
    }
    if STAGES[attempt.stage].distributed and job.spec.resources.nodes > 1:
        spec["subdomain"] = stage_name(job.name, attempt.stage)
    for key, value in (
        ("serviceAccountName", template.service_account_name),
        ("runtimeClassName", template.runtime_class_name),
    ):
        if value:
            spec[key] = value
    pull_secrets = [*template.image_pull_secrets, *settings.image_pull_secrets]
    if pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in dict.fromkeys(pull_secrets)]
    return {"metadata": metadata, "spec": spec}


def _container(job: FineTuneJob, plan: Plan, attempt: AttemptName, settings: RenderSettings, template: PodTemplate) -> Manifest:
    own = job.spec.command if attempt.stage is Stage.TRAIN else None
    program = own or ("python", "-m", "finetune_trainer", str(attempt.stage), "--config", meta.CONFIG_PATH)
    # An image with a program of its own need not hold our trainer: it trains, and the other stages run in ours.
    foreign = job.spec.command is not None and attempt.stage is not Stage.TRAIN
    named = [{"prefix": prefix, "secretRef": {"name": name}} for prefix, name in secrets(job, attempt.stage)]
    referred: list[Raw] = [*template.env_from, *named]
    return {
        "name": CONTAINER,
        "image": settings.trainer_image if foreign or job.spec.image is None else job.spec.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": list(program),
        "env": environment(job, plan, attempt, settings),
        **({"envFrom": referred} if referred else {}),
        "resources": room(job, plan, attempt.stage, settings).as_resources(),
        "volumeMounts": [*template.volume_mounts, *volume_mounts(job, plan, attempt, settings)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def _pod_security(settings: RenderSettings) -> Manifest:
    """No user is named: the image has a numeric one, and OpenShift assigns its own."""
    security: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if settings.fs_group is not None:
        # OnRootMismatch: a recursive chown of a large workspace takes minutes at each attempt.
        security |= {"fsGroup": settings.fs_group, "fsGroupChangePolicy": "OnRootMismatch"}
    return security


def _tolerations(job: FineTuneJob, settings: RenderSettings) -> list[Manifest]:
    """The user's, and short ones for a lost node unless the user has said how long to wait for it."""
    said = [dict(toleration) for toleration in job.spec.scheduling.tolerations]
    known = {toleration.get("key") for toleration in said}
    ours = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": settings.lost_node_seconds}
        for key in _LOST_NODE
        if key not in known
    ]
    return [*said, *ours]


def _placement(job: FineTuneJob, attempt: AttemptName) -> Manifest:
    """The same for every stage: a volume that is bound where prepare lands must be reachable where training runs."""
    wanted = job.spec.scheduling
    placed: dict[str, Any] = {
        "priorityClassName": wanted.priority_class_name,
        "schedulerName": wanted.scheduler_name,
        "nodeSelector": wanted.node_selector,
        "affinity": _affinity(job, attempt),
    }
    return {key: value for key, value in placed.items() if value}


def _affinity(job: FineTuneJob, attempt: AttemptName) -> Manifest:
    """The user's, and training pods apart from each other where there is room for that.

    Preferred and not required: on a cluster of one node a job of two still runs.
    """
    said: Manifest = dict(job.spec.scheduling.affinity or {})
    if "podAntiAffinity" in said or not STAGES[attempt.stage].distributed or job.spec.resources.nodes == 1:
        return said
    apart = {
        "labelSelector": {"matchLabels": attempt_labels(job, attempt)},
        "topologyKey": "kubernetes.io/hostname",
    }
    preferred = [{"weight": 100, "podAffinityTerm": apart}]
    return {**said, "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
