"""A pod that lends its eyes: it sees a job's workspace, read-only, for as long as somebody reads, and goes.

It is the pod of a stage with everything taken away that reading does not need: same image, node constraints and security, no
credentials, no accelerator, no further volume. So wherever the job could run it can, and it may do less.
"""

from __future__ import annotations

from typing import Any

from finetune_api import meta
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.kinds import POD, Manifest
from finetune_operator.observe.objects import Pod
from finetune_operator.render.claim import WORKSPACE, used_claim, workspace_path
from finetune_operator.render.pod import CONTAINER

READER_LABEL = f"{meta.GROUP}/reader"
"""On such a pod, with the job's name; never the job's own label, by which the operator would take it for a stage's."""
LIVES_SECONDS = 300
"""After so long the pod ends by itself, whatever became of who made it."""

_REPORTS = ("data.html", "data.json", "plan.json", "training.json", "provenance.json", "evaluation.json", "report.html")
_ROOM = {"cpu": "100m", "memory": "128Mi"}
_KEPT = ("securityContext", "nodeSelector", "tolerations", "imagePullSecrets", "schedulerName", "priorityClassName")
_WAIT = "import time; time.sleep({seconds})"
_PACK = (
    "import os, sys, tarfile\n"
    "folder, names = sys.argv[1], sys.argv[2:]\n"
    "with tarfile.open(fileobj=sys.stdout.buffer, mode='w|gz') as archive:\n"
    "    for name in names:\n"
    "        path = os.path.join(folder, name)\n"
    "        if os.path.isfile(path) and not os.path.islink(path):\n"
    "            archive.add(path, arcname=name)\n"
)


def reader(job: FineTuneJob, template: Manifest, *, image: str | None = None, beside: Pod | None = None) -> Manifest:
    """The pod.

    Args:
        job: as the API server holds it.
        template: of a stage's pods, from its child Job; empty if there is none any more.
        image: instead of the template's.
        beside: a pod that uses the workspace now; a volume that one node alone can mount is read there.
    """
    spec: Manifest = template.get("spec") or {}
    stage: Manifest = next((one for one in spec.get("containers") or () if one.get("name") == CONTAINER), {})
    security = stage.get("securityContext") or {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    container = {
        "name": CONTAINER,
        "image": image or stage.get("image"),
        "imagePullPolicy": stage.get("imagePullPolicy", "IfNotPresent"),
        "command": ["python", "-c", _WAIT.format(seconds=LIVES_SECONDS)],
        "env": [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
        "resources": {"requests": dict(_ROOM), "limits": dict(_ROOM)},
        "volumeMounts": [{"name": "workspace", "mountPath": WORKSPACE, "readOnly": True}],
        "securityContext": security,
    }
    kept: dict[str, Any] = {key: spec[key] for key in _KEPT if key in spec}
    kept.setdefault("securityContext", {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}})
    if affinity := _affinity(spec, beside):
        kept["affinity"] = affinity
    claim = {"claimName": used_claim(job)}  # read-only where it is mounted: attached so, a file system could not mend itself
    owner = {"apiVersion": meta.API_VERSION, "kind": meta.KIND, "name": job.name, "uid": job.metadata.uid or ""}
    return {
        "apiVersion": POD.api_version,
        "kind": POD.name,
        "metadata": {
            "generateName": f"{job.name}-reader-",
            "namespace": job.metadata.namespace or "",
            "labels": {READER_LABEL: job.name},
            "ownerReferences": [owner],
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIVES_SECONDS,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            **kept,
            "containers": [container],
            "volumes": [{"name": "workspace", "persistentVolumeClaim": claim}],
        },
    }


def _affinity(spec: Manifest, beside: Pod | None) -> Manifest:
    if beside is not None and beside.node:
        there = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [beside.node]}]}
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [there]}}}
    found = (spec.get("affinity") or {}).get("nodeAffinity")
    return {"nodeAffinity": found} if found else {}


def packing(job: FineTuneJob) -> list[str]:
    """The command that writes the job's reports to its standard output, as a compressed tar."""
    return ["python", "-c", _PACK, f"{workspace_path(job)}/reports", *_REPORTS]
