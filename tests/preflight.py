"""What stands in a cluster that `finetune validate --cluster` asks, and what it found there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from builders import a_manifest

if TYPE_CHECKING:
    from conftest import Desk, Ran

NODES, CLASSES, CLAIMS = ("v1", "nodes"), ("storage.k8s.io/v1", "storageclasses"), ("v1", "persistentvolumeclaims")
SECRETS, MAPS, ACCOUNTS = ("v1", "secrets"), ("v1", "configmaps"), ("v1", "serviceaccounts")
QUOTAS, RANGES, DEPLOYMENTS = ("v1", "resourcequotas"), ("v1", "limitranges"), ("apps/v1", "deployments")


def a_node(name: str = "n1", *, gpus: int = 8, memory: str = "512Gi", labels: dict[str, str] | None = None, **spec: Any) -> Any:
    has = {"cpu": "64", "memory": memory, "nvidia.com/gpu": str(gpus)}
    return {"metadata": {"name": name, "namespace": "", "labels": labels or {}}, "spec": spec, "status": {"allocatable": has}}


def an_operator(**settings: str) -> dict[str, Any]:
    env = [{"name": f"FINETUNE_{name}", "value": value} for name, value in settings.items()]
    labels = {"app.kubernetes.io/name": "finetune-operator", "app.kubernetes.io/version": "0.1.0"}
    template = {"spec": {"containers": [{"env": env}]}}
    metadata = {"name": "finetune-operator", "namespace": "finetune-system", "labels": labels}
    return {"metadata": metadata, "spec": {"template": template}, "status": {"availableReplicas": 2}}


def a_class(name: str, *, default: bool = False, provisioner: str = "nfs.example") -> dict[str, Any]:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "namespace": "", "annotations": annotations}, "provisioner": provisioner}


def a_quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}, "status": {"used": used or {}}}


def validate(desk: Desk, *options: str, **spec: Any) -> Ran:
    path = desk.folder / "job.yaml"
    path.write_text(json.dumps(a_manifest(**spec)), encoding="utf-8")
    return desk.finetune("validate", "--cluster", "job.yaml", *options)


def found(desk: Desk, **spec: Any) -> dict[str, set[tuple[str, str]]]:
    """Field and message by kind of finding."""
    told = validate(desk, "--output", "json", **spec).json[0]
    return {kind: {(one["field"], one["message"]) for one in told[kind]} for kind in ("problems", "warnings", "unseen")}
