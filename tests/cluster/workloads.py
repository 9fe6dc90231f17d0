"""Manifests that tests run: pods that every namespace under the `restricted` standard takes, and Jobs of two ranks."""

from __future__ import annotations

import copy
from typing import Any

from cluster.kube import Manifest

USER = 65532
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
LEAVE_SOON = [
    {"key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    for trouble in ("not-ready", "unreachable")
]
"""Given up five seconds after the loss of a node, instead of five minutes."""
FOREVER = ["python", "-c", "import time; print('up', flush=True); time.sleep(3600)"]


def a_pod_spec(
    image: str,
    command: list[str],
    *,
    claims: dict[str, str] | None = None,
    config_maps: dict[str, str] | None = None,
    environment: dict[str, str] | None = None,
    limits: dict[str, Any] | None = None,
    grace_seconds: int = 1,
    **more: Any,
) -> Manifest:
    """The spec of a pod with one container and a writable /tmp.

    Args:
        claims, config_maps: name to directory.
        limits: resources, for instance {"nvidia.com/gpu": 1}.
        more: further fields of the spec.
    """
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": "/tmp"}]
    for number, (claim, path) in enumerate((claims or {}).items()):
        volumes.append({"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": f"claim-{number}", "mountPath": path})
    for number, (config_map, path) in enumerate((config_maps or {}).items()):
        volumes.append({"name": f"config-{number}", "configMap": {"name": config_map}})
        mounts.append({"name": f"config-{number}", "mountPath": path})
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [{"name": name, "value": value} for name, value in {"HOME": "/tmp", **(environment or {})}.items()],
        "resources": {"requests": {"cpu": "50m"}, "limits": limits or {}},
        "volumeMounts": mounts,
        "securityContext": copy.deepcopy(SAFE),
    }
    return {
        "containers": [container],
        "volumes": volumes,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace_seconds,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": copy.deepcopy(LEAVE_SOON),
        **more,
    }


def a_pod(
    name: str, image: str, command: list[str] | None = None, *, labels: dict[str, str] | None = None, **spec: Any
) -> Manifest:
    """A pod; without a command it runs until it is ended."""
    metadata = {"name": name, "labels": {"app": name, **(labels or {})}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": a_pod_spec(image, command or FOREVER, **spec)}


def on_node(number: int) -> Manifest:
    """A selector of one of our own nodes."""
    return {"kubernetes.io/hostname": f"node{number}"}


def two_ranks(name: str, pod_spec: Manifest, *, deadline_seconds: int = 600) -> list[Manifest]:
    """A headless Service and an Indexed Job of two pods on two nodes; the first failed pod ends it.

    Pod i is reached as NAME-i.NAME; the variables tell torch where rank 0 is.
    """
    labels = {"test": name}
    spread = [{"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}]
    container = pod_spec["containers"][0]
    container["env"] += [{"name": "MASTER_ADDR", "value": f"{name}-0.{name}"}, {"name": "MASTER_PORT", "value": "29500"}]
    apart = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": spread}}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completions": 2,
            "parallelism": 2,
            "completionMode": "Indexed",
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": deadline_seconds,
            "template": {"metadata": {"labels": labels}, "spec": {**pod_spec, "subdomain": name, **apart}},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": labels},
    }
    return [service, job]


def a_claim(name: str, *, storage_class: str | None = None, size: str = "1Gi", mode: str = "ReadWriteMany") -> Manifest:
    """A claim; without a class it takes the cluster's default one."""
    spec: Manifest = {"accessModes": [mode], "resources": {"requests": {"storage": size}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def a_config_map(name: str, **files: str) -> Manifest:
    """Small files; `__` in a name is a dot, since keywords have none."""
    data = {key.replace("__", "."): text for key, text in files.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def no_egress(name: str, selector: dict[str, str], *, allow: list[Manifest] | None = None) -> Manifest:
    """A policy by which these pods reach nothing, or only what is allowed."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": selector}, "policyTypes": ["Egress"], "egress": allow or []},
    }
