"""What Kubeflow Trainer is told in the benchmark of the control plane: jobs, their runtime, and how its controllers are set up.

Its own manifests go in, as its module brings them; what is written here is only what differs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finetune_operator.kinds import Kind

Manifest = dict[str, Any]

TRAIN_JOB = Kind("trainer.kubeflow.org/v1alpha1", "TrainJob", "trainjobs")
RUNTIME = "torch-distributed"
READER = "control-plane-benchmark-metrics"


def pinned(module: str, go_mod: str) -> str:
    """The version of a module that a module file asks for, without the v. Raises: ValueError if it asks for none."""
    if found := re.search(rf"^\s*{re.escape(module)} v(\S+)", go_mod, re.MULTILINE):
        return found[1]
    raise ValueError(f"{module} is not in the module file")


def train_job(name: str, namespace: str, pod: Manifest) -> Manifest:
    """An ordinary job: one node, one GPU, suspended never, with what the webhook would fill in.

    Args:
        pod: fields of its pod's spec that say where it may run.
    """
    gpu = {"nvidia.com/gpu": "1"}
    patch = {"replicatedJobs": [{"name": "node", "template": {"spec": {"template": {"spec": pod}}}}]}
    return {
        "apiVersion": TRAIN_JOB.api_version,
        "kind": TRAIN_JOB.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "ClusterTrainingRuntime", "name": RUNTIME},
            "suspend": False,
            "trainer": {"numNodes": 1, "resourcesPerNode": {"requests": gpu, "limits": gpu}},
            "runtimePatches": [
                {
                    "manager": "benchmark.finetune.dev/control-plane",
                    "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                    "trainingRuntimeSpec": {"template": {"spec": patch}},
                }
            ],
        },
    }


def completed(runtime: Manifest) -> Manifest:
    """A runtime whose JobSets need no webhook: with the fields that JobSet's would fill in."""
    spec = runtime["spec"]["template"]["spec"]
    jobs = []
    for job in spec["replicatedJobs"]:
        of_job = job["template"]["spec"]
        pod = {"restartPolicy": "OnFailure", **of_job["template"]["spec"]}
        of_job = {"completionMode": "Indexed", **of_job, "template": {**of_job["template"], "spec": pod}}
        jobs.append({**job, "template": {**job["template"], "spec": of_job}})
    spec = {
        "successPolicy": {"operator": "All"},
        "startupPolicy": {"startupPolicyOrder": "AnyOrder"},
        "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
        **spec,
        "replicatedJobs": jobs,
    }
    return {**runtime, "spec": {**runtime["spec"], "template": {**runtime["spec"]["template"], "spec": spec}}}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a controller listens."""

    metrics: str
    health: str
    webhook_port: int

    def settings(self) -> Manifest:
        """As both configuration files call them."""
        return {
            "metrics": {"bindAddress": self.metrics},
            "health": {"healthProbeBindAddress": self.health},
            "webhook": {"host": "127.0.0.1", "port": self.webhook_port},
        }


TRAINER = Addresses("127.0.0.1:28443", "127.0.0.1:28081", 29443)
JOBSET = Addresses("127.0.0.1:38443", "127.0.0.1:38081", 39443)


def trainer_settings(shipped: Manifest, namespace: str) -> Manifest:
    """The trainer's configuration for a process outside the cluster."""
    changes = {
        **TRAINER.settings(),
        "leaderElection": {"resourceNamespace": namespace},
        "certManagement": {"enable": False},
    }
    changes["metrics"]["secureServing"] = False
    return _merged(shipped, changes)


def jobset_settings(shipped: Manifest, namespace: str, certificates: Path) -> Manifest:
    """JobSet's configuration for a process outside the cluster."""
    changes = {
        **JOBSET.settings(),
        "leaderElection": {"resourceNamespace": namespace},
        "internalCertManagement": {"enable": False},
    }
    changes["metrics"]["certDir"] = changes["webhook"]["certDir"] = str(certificates)
    return _merged(shipped, changes)


def _merged(into: Manifest, changes: Manifest) -> Manifest:
    deeper = {name: _merged(into[name], value) for name, value in changes.items() if isinstance(into.get(name), dict)}
    return {**into, **changes, **deeper}


def reader(namespace: str) -> list[Manifest]:
    """An account that may read JobSet's metrics."""
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": READER, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": READER, "namespace": namespace}},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": READER},
            "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": READER},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": READER},
            "subjects": [subject],
        },
    ]
