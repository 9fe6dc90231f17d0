"""Child Jobs, pods and Events as an API server of 1.36 gives them: what a kubelet and the controllers write, no more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from builders import NOON, a_result
from finetune_api import meta
from finetune_api.contract.result import ErrorClass, StageError, StageResult, encode
from finetune_operator.render import Manifest
from rendered import UID

CREATED = NOON - timedelta(minutes=10)
IMAGE = "registry.example/finetune-trainer:0.1.0"


def stamp(moment: datetime) -> str:
    """A time as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def a_condition(kind: str, status: str = "True", *, at: datetime = CREATED, reason: str = "", message: str = "") -> Manifest:
    """A condition of a Job or a pod."""
    words = {key: value for key, value in (("reason", reason), ("message", message)) if value}
    return {"type": kind, "status": status, "lastTransitionTime": stamp(at), **words}


def a_child(
    stage: str = "train",
    number: int = 1,
    *,
    width: int = 2,
    conditions: tuple[Manifest, ...] = (),
    owner: str = UID,
    labels: dict[str, str] | None = None,
    suspended: bool = False,
    deleted_at: datetime | None = None,
) -> Manifest:
    """The child Job of an attempt."""
    name = f"support-{stage}-{number}"
    named = {meta.JOB_LABEL: "support", meta.STAGE_LABEL: stage, meta.ATTEMPT_LABEL: str(number), **(labels or {})}
    owners = [{"apiVersion": meta.API_VERSION, "kind": meta.KIND, "name": "support", "uid": owner, "controller": True}]
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-of-{name}",
        "creationTimestamp": stamp(CREATED),
        "labels": named,
        "ownerReferences": owners,
    }
    if deleted_at:
        metadata["deletionTimestamp"] = stamp(deleted_at)
    status: Manifest = {"conditions": list(conditions), "ready": 0, "uncountedTerminatedPods": {}}
    if not suspended:
        status["startTime"] = stamp(CREATED)
    spec = {"completionMode": "Indexed", "completions": width, "parallelism": width, "backoffLimit": 0, "suspend": suspended}
    return {"metadata": metadata, "spec": spec, "status": status}


def a_pod(
    index: int = 0,
    *,
    state: Manifest | None = None,
    phase: str = "Running",
    stage: str = "train",
    number: int = 1,
    conditions: tuple[Manifest, ...] = (),
    reason: str | None = None,
    message: str | None = None,
    deleted_at: datetime | None = None,
    grace_seconds: int = 120,
    node: str | None = None,
) -> Manifest:
    """A pod of an attempt; without a state of its container no kubelet has looked at it yet.

    Args:
        deleted_at: when it was told to stop; the API shows the time by which it has to be gone.
    """
    child = f"support-{stage}-{number}"
    node = node or f"node-{index}"
    metadata: Manifest = {
        "name": f"{child}-{index}-x7k2p",
        "namespace": "team",
        "uid": f"uid-of-{child}-{index}",
        "creationTimestamp": stamp(CREATED),
        "labels": {
            meta.JOB_LABEL: "support",
            meta.STAGE_LABEL: stage,
            meta.ATTEMPT_LABEL: str(number),
            "batch.kubernetes.io/job-completion-index": str(index),
        },
        "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
        "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": child, "uid": f"uid-of-{child}", "controller": True}
        ],
    }
    if deleted_at:
        metadata |= {
            "deletionTimestamp": stamp(deleted_at + timedelta(seconds=grace_seconds)),
            "deletionGracePeriodSeconds": grace_seconds,
        }
    known = {c["type"] for c in conditions}
    placed = [a_condition("PodScheduled", at=CREATED + timedelta(seconds=1))] if "PodScheduled" not in known else []
    status: Manifest = {"phase": phase, "conditions": [*placed, *conditions]}
    for key, value in (("reason", reason), ("message", message)):
        if value:
            status[key] = value
    if state is not None:
        running = "running" in state
        status["containerStatuses"] = [
            {"name": "trainer", "image": IMAGE, "ready": running, "started": running, "restartCount": 0, "state": state}
        ]
    spec = {"nodeName": node} if "PodScheduled" not in known else {}
    return {"metadata": metadata, "spec": spec, "status": status}


def running(index: int = 0, *, since: datetime = NOON - timedelta(minutes=9), **more: Any) -> Manifest:
    """A pod at work."""
    return a_pod(index, state={"running": {"startedAt": stamp(since)}}, **more)


def waiting(index: int = 0, reason: str = "ContainerCreating", message: str | None = None, **more: Any) -> Manifest:
    """A pod on a node whose container does not run yet."""
    words = {"reason": reason, **({"message": message} if message else {})}
    return a_pod(index, state={"waiting": words}, phase="Pending", **more)


def unplaced(index: int = 0, message: str = "", reason: str = "Unschedulable", *, at: datetime = CREATED) -> Manifest:
    """A pod without a node."""
    condition = a_condition("PodScheduled", "False", at=at, reason=reason, message=message)
    return a_pod(index, phase="Pending", conditions=(condition,))


def ended(
    index: int = 0,
    code: int = 0,
    *,
    at: datetime = NOON,
    said: str = "",
    word: str | None = None,
    **more: Any,
) -> Manifest:
    """A pod whose container has ended.

    Args:
        said: the termination message.
        word: the container's reason, such as OOMKilled.
    """
    told = {
        "exitCode": code,
        "reason": word or ("Completed" if code == 0 else "Error"),
        "startedAt": stamp(NOON - timedelta(minutes=9)),
        "finishedAt": stamp(at),
        "message": said,
    }
    return a_pod(index, state={"terminated": told}, phase="Succeeded" if code == 0 else "Failed", **more)


def result(stage: str = "train") -> str:
    """The termination message of a stage that did its work."""
    return encode(a_result(stage))


def error(kind: ErrorClass, message: str = "it broke") -> str:
    """The termination message of a stage that did not."""
    return encode(StageResult(stage="train", error=StageError(error_class=kind, message=message)))


def an_event(about: Manifest, reason: str, message: str, *, at: datetime = NOON) -> Manifest:
    """A core/v1 Event about an object."""
    return {
        "metadata": {"name": "support.18", "namespace": "team"},
        "involvedObject": {"uid": about["metadata"]["uid"]},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "firstTimestamp": stamp(at - timedelta(minutes=1)),
        "lastTimestamp": stamp(at),
        "eventTime": None,
    }
