"""Who would carry the job out: the definition, the operator, the namespace, the queue, and the right to submit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import ValidationError

from finetune_api import meta
from finetune_api.errors import ClusterError, NotFound
from finetune_cli.cluster.api import Api
from finetune_cli.cluster.kinds import DEPLOYMENT, NAMESPACE
from finetune_cli.cluster.preflight.findings import Finding, problem, unseen, warning
from finetune_cli.cluster.preflight.subject import Subject
from finetune_operator.kinds import FINE_TUNE_JOB, Kind, Manifest
from finetune_operator.settings import PREFIX, Settings, read_settings

_OPERATOR = {"app.kubernetes.io/name": "finetune-operator"}
_LEVEL_LABEL = "pod-security.kubernetes.io/enforce"
_QUEUES = ("kueue.x-k8s.io/v1beta2", "kueue.x-k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class Installation:
    """The operator as its Deployment shows it, and what it was installed with."""

    settings: Settings
    seen: str
    """In words; empty where it could not be seen."""
    findings: tuple[Finding, ...] = ()


async def definition(api: Api) -> list[Finding]:
    """Whether the server knows the resource in our version."""
    if await api.serves(meta.API_VERSION):
        return []
    versions = await api.versions(meta.GROUP)
    if versions:
        served = ", ".join(versions)
        return [problem("apiVersion", f"the cluster serves {meta.GROUP} as {served}, and this program speaks {meta.VERSION}")]
    return [
        problem(
            "kind",
            f"{api.place} knows no FineTuneJobs; install the operator's chart (helm/finetune-operator), which brings them",
        )
    ]


async def installation(api: Api, namespace: str) -> Installation:
    """The operator that serves a namespace; its settings, or the chart's where they cannot be seen."""
    try:
        deployments = await api.find_all(DEPLOYMENT, labels=_OPERATOR)
    except ClusterError as error:
        if error.status != 403:
            raise
        words = (
            "the operator and its settings: you may not list Deployments of all namespaces; the chart's defaults are assumed"
        )
        return Installation(_settings({}), "", (unseen("", words),))
    if not deployments:
        words = "no operator is installed (no Deployment with the label app.kubernetes.io/name=finetune-operator)"
        return Installation(_settings({}), "", (problem("", f"{words}: nobody would carry out the job"),))
    installed = [(one, _settings(_environment(one))) for one in deployments]
    serving = [(one, s) for one, s in installed if not s.watch_namespaces or namespace in s.watch_namespaces]
    if not serving:
        served = ", ".join(sorted({name for _, s in installed for name in s.watch_namespaces}))
        words = f"the operator serves the namespaces {served} alone, and not {namespace}"
        return Installation(installed[0][1], "", (problem("metadata.namespace", words),))
    one, settings = serving[0]
    metadata = one["metadata"]
    release = (metadata.get("labels") or {}).get("app.kubernetes.io/version", "")
    seen = f"operator {release} in {metadata['namespace']}".replace("  ", " ")
    return Installation(settings, seen, tuple(_state(one, release)))


def _state(deployment: Manifest, release: str) -> list[Finding]:
    found = []
    if not (deployment.get("status") or {}).get("availableReplicas"):
        found.append(warning("", "the operator is installed, and no pod of it is ready"))
    try:
        ours = version("finetune-operator")
    except PackageNotFoundError:
        ours = release
    if release and release != ours:
        found.append(
            warning("", f"the operator is of version {release} and this program of {ours}: they may know different fields")
        )
    return found


def _environment(deployment: Manifest) -> dict[str, str]:
    """The settings that stand in a Deployment."""
    containers = deployment["spec"]["template"]["spec"].get("containers") or ()
    return {
        str(entry["name"]): str(entry["value"])
        for container in containers
        for entry in container.get("env") or ()
        if str(entry.get("name", "")).startswith(PREFIX) and "value" in entry
    }


def _settings(environment: dict[str, str]) -> Settings:
    """Settings of an installation; those of another version that are not known here are left out."""
    known = {k: v for k, v in environment.items() if k.removeprefix(PREFIX).lower() in Settings.model_fields}
    needed = {
        "NAMESPACE": "finetune-system",
        "POD_NAME": "operator",
        "TRAINER_IMAGE": "trainer",
        "OPERATOR_LABELS": json.dumps(_OPERATOR),
    }
    usual = {f"{PREFIX}{name}": value for name, value in needed.items()}
    try:
        return read_settings({**usual, **known})
    except (ValidationError, ValueError):
        return read_settings(usual)


async def the_namespace(api: Api, name: str) -> tuple[str, list[Finding]]:
    """Its Pod Security level in words, and what is wrong with it."""
    try:
        found = await api.get(NAMESPACE, name)
    except NotFound:
        return "", [problem("metadata.namespace", f"there is no namespace {name}")]
    except ClusterError as error:
        if error.status != 403:
            raise
        return "", []
    if found["metadata"].get("deletionTimestamp"):
        return "", [problem("metadata.namespace", f"the namespace {name} is being deleted")]
    level = (found["metadata"].get("labels") or {}).get(_LEVEL_LABEL)
    return f"Pod Security {level}" if level else "", []


async def rights(api: Api, subject: Subject) -> list[Finding]:
    """Whether this person may submit the job."""
    if await api.may("create", FINE_TUNE_JOB, subject.namespace):
        return []
    return [problem("", f"you may not create FineTuneJobs in namespace {subject.namespace}")]


async def queue(api: Api, subject: Subject) -> list[Finding]:
    """The Kueue queue that is to admit the pods."""
    name, field = subject.job.spec.scheduling.queue_name, "spec.scheduling.queueName"
    if name is None:
        return []
    served = [one for one in _QUEUES if await api.serves(one)]
    if not served:
        return [warning(field, "the cluster has no Kueue: nothing would hold the pods back until there is room")]
    try:
        local = await api.get(Kind(served[0], "LocalQueue", "localqueues"), name, subject.namespace)
    except NotFound:
        return [
            problem(field, f'there is no LocalQueue "{name}" in namespace {subject.namespace}: the job would wait for ever')
        ]
    active: dict[str, Any] = next(
        (c for c in (local.get("status") or {}).get("conditions") or () if c.get("type") == "Active"), {}
    )
    if active.get("status") == "False":
        return [warning(field, f'the queue "{name}" admits nothing now: {active.get("message") or active.get("reason")}')]
    return []
