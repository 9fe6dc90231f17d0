"""The operator, installed from the chart, and FineTuneJobs as people write them, watched until something is true of them."""

from __future__ import annotations

import copy
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.kube import Kube, Manifest, is_true, wait_for
from cluster.machine import PROJECT, Machine
from cluster.namespaces import Namespace
from cluster.training import copy_in, make_inputs
from cluster.workloads import a_claim, a_pod, on_node

SYSTEM = "finetune-system"
RELEASE = "finetune"
DEFINITION = "finetunejobs.finetune.dev"
OPERATOR_IMAGE = "localhost/finetune-operator:test"
ENDED = ("Succeeded", "Rejected", "Failed")

_ON_NODE_2 = [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node2"]}]
RATHER_ON_NODE_2: dict[str, Any] = {
    "affinity": {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {"matchExpressions": _ON_NODE_2}}]
        }
    }
}
"""A job's `scheduling`: where faults are, and elsewhere if that is gone."""

_SPEC: dict[str, Any] = {
    "model": {"uri": "pvc://inputs/model"},
    "datasets": [{"name": "chats", "uri": "pvc://inputs/chats.jsonl", "fields": {"weight": "importance"}}],
    "preparation": {"split": {"groupBy": "customer", "validation": 0.15, "test": 0.15}, "maxLength": 200},
    "training": {"batchSize": 6, "maxSteps": 12, "learningRate": 0.005, "precision": "fp32"},
    "evaluation": {"generation": {"examples": 4, "maxNewTokens": 8}, "samples": 4},
    "resources": {"nodes": 2, "gpusPerNode": 0, "cpu": "750m", "memory": "2Gi"},
    "workspace": {"accessMode": "ReadWriteMany", "size": "1Gi"},
}


def install(machine: Machine, kube: Kube, trainer_image: str, **values: Any) -> None:
    """Install the chart, or change what is installed; ends when all replicas are ready.

    A definition that somebody applied before becomes the release's own, as docs/operations.md tells.
    """
    if kube.find("CustomResourceDefinition", DEFINITION) is not None:
        owner = (f"meta.helm.sh/release-name={RELEASE}", f"meta.helm.sh/release-namespace={SYSTEM}")
        kube.kubectl("label", "crd", DEFINITION, "--overwrite", "app.kubernetes.io/managed-by=Helm")
        kube.kubectl("annotate", "crd", DEFINITION, "--overwrite", *owner)
    settings = {
        "replicas": 2,
        "operator": {"image": OPERATOR_IMAGE, "lostNodeSeconds": 5},
        "trainer": {"image": trainer_image},
        "node": {"cpuCores": 1, "memoryGiB": 8, "gpus": 4},
        "jobs": {"light": {"cpu": "750m", "memory": "2Gi"}, "graceSeconds": 15, "lostNodeSeconds": 3},
        "progress": {"seconds": 1},
        "resources": {"requests": {"cpu": "50m"}},
        # Faults befall node 2; the operator's own are tests of their own.
        "nodeSelector": on_node(1),
        **values,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(settings, file)
        file.flush()
        chart = str(PROJECT / "helm" / "finetune-operator")
        _helm(
            machine,
            kube,
            "upgrade",
            "--install",
            RELEASE,
            chart,
            "--create-namespace",
            "--values",
            file.name,
            "--wait",
            "--timeout=10m",
        )


def uninstall(machine: Machine, kube: Kube) -> None:
    """Remove the release, if its cluster is still there; the definition and every job stay, as the chart promises."""
    if machine.is_up():
        _helm(machine, kube, "uninstall", RELEASE, "--wait", "--ignore-not-found")


def _helm(machine: Machine, kube: Kube, *arguments: str) -> None:
    command = [str(machine.programs / "helm"), "--kubeconfig", str(kube.kubeconfig), "--namespace", SYSTEM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise RuntimeError(f"helm {arguments[0]} failed: {done.stderr.strip()[-2000:]}")


def operator_pods(kube: Kube) -> list[Manifest]:
    """The replicas that run."""
    return [
        pod
        for pod in kube.list("Pod", namespace=SYSTEM, labels="app.kubernetes.io/name=finetune-operator")
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]


def leader(kube: Kube) -> str:
    """The replica that acts."""
    (lease,) = kube.list("Lease", namespace=SYSTEM)
    return str(lease["spec"].get("holderIdentity") or "")


@dataclass(frozen=True, slots=True)
class Workplace:
    """A namespace with a claim `inputs` that holds a tiny model and data, and a pod `keeper` that sees it."""

    namespace: Namespace
    image: str

    @property
    def kube(self) -> Kube:
        """The cluster's API."""
        return self.namespace.kube

    def fill(self, folder: Path) -> None:
        """Make the claim and bring the inputs in."""
        self.namespace.create(a_claim("inputs"))
        self.namespace.create(a_pod("keeper", self.image, claims={"inputs": "/inputs"}, nodeSelector=on_node(1)))
        make_inputs(folder)
        self.namespace.until_running("keeper", seconds=120)
        copy_in(self.namespace, "keeper", folder, "/inputs")

    def sh(self, command: str) -> str:
        """Run a line of shell in the keeper."""
        return self.namespace.exec("keeper", "sh", "-c", command)

    def apply(self, name: str, **changes: Any) -> Job:
        """Create a job; blocks of the spec are merged into those of an ordinary one, of which None takes a field away."""
        spec = copy.deepcopy(_SPEC) | {"output": {"uri": f"pvc://inputs/published/{name}"}}
        for block, value in changes.items():
            merged = {**spec.get(block, {}), **value} if isinstance(value, dict) else value
            spec[block] = {k: v for k, v in merged.items() if v is not None} if isinstance(merged, dict) else merged
        manifest = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": name}, "spec": spec}
        self.namespace.create(manifest)
        return Job(self.namespace, name)


@dataclass(frozen=True, slots=True)
class Job:
    """A FineTuneJob in the cluster."""

    namespace: Namespace
    name: str

    @property
    def seen(self) -> Manifest:
        """As it is now."""
        return self.namespace.get("FineTuneJob", self.name)

    @property
    def status(self) -> Manifest:
        """What the operator says of it."""
        found: Manifest = self.seen.get("status", {})
        return found

    @property
    def restarts(self) -> tuple[int, int]:
        """Attempts after the first: all of them, and those that are charged."""
        counts = self.status["restarts"]
        return counts["total"], counts["charged"]

    @property
    def attempts(self) -> list[Manifest]:
        """Of all stages, oldest first."""
        return list(self.status.get("attempts", []))

    def of(self, stage: str) -> list[Manifest]:
        """The attempts of one stage, oldest first."""
        return [attempt for attempt in self.attempts if attempt["stage"] == stage]

    def patch(self, spec: Manifest) -> None:
        """Change fields of the spec."""
        self.namespace.kube.merge("FineTuneJob", self.name, {"spec": spec}, namespace=self.namespace.name)

    def delete(self) -> None:
        """Delete it, its children in the background."""
        self.namespace.delete("FineTuneJob", self.name)

    def child(self, stage: str, attempt: int = 1) -> Manifest | None:
        """The child Job of an attempt."""
        return self.namespace.find("Job", f"{self.name}-{stage}-{attempt}")

    def pods(self, stage: str, attempt: int = 1) -> list[Manifest]:
        """Pods of an attempt, by index."""
        labels = f"finetune.dev/job={self.name},finetune.dev/stage={stage},finetune.dev/attempt={attempt}"
        index = "batch.kubernetes.io/job-completion-index"
        return sorted(self.namespace.list("Pod", labels), key=lambda pod: int(pod["metadata"]["labels"][index]))

    def children(self) -> list[str]:
        """Kind and name of everything there is of the job."""
        kinds = ("Job", "Pod", "Service", "ConfigMap", "NetworkPolicy", "PersistentVolumeClaim")
        labels = f"finetune.dev/job={self.name}"
        return sorted(f"{kind} {found['metadata']['name']}" for kind in kinds for found in self.namespace.list(kind, labels))

    # what tests wait for

    def until(self, phase: str, *, seconds: float = 120) -> Manifest:
        """Wait for a phase; the status. A job that ends otherwise is not waited for."""

        def reached() -> Manifest | None:
            status = self.status
            if status.get("phase") in ENDED and status["phase"] != phase:
                raise AssertionError(f"{self.name} ended {status['phase']}: {status.get('message')}; {_short(status)}")
            return status if status.get("phase") == phase else None

        return wait_for(reached, what=f"{self.name} {phase}; now {_short(self.status)}", seconds=seconds)

    def until_running(self, stage: str, attempt: int = 1, *, pods: int = 1, seconds: float = 120) -> list[Manifest]:
        """Wait until all pods of an attempt run; the pods."""

        def running() -> list[Manifest] | None:
            found = self.pods(stage, attempt)
            up = [pod for pod in found if pod["status"].get("phase") == "Running"]
            return up if len(up) == pods else None

        return wait_for(running, what=f"{pods} pods of {self.name} {stage} {attempt} running", seconds=seconds)

    def until_step(self, step: int, *, attempt: int = 1, seconds: float = 120) -> int:
        """Wait until an attempt of training has reported at least this step."""

        def reported() -> int | None:
            progress = self.status.get("progress") or {}
            trained = self.of("train")
            if not trained or trained[-1]["number"] != attempt:
                return None
            return progress.get("step") if (progress.get("step") or 0) >= step else None

        return wait_for(_unless_ended(self, reported), what=f"step {step} of {self.name} attempt {attempt}", seconds=seconds)

    def until_attempt_ended(self, stage: str, attempt: int = 1, *, seconds: float = 120) -> Manifest:
        """Wait until the status says how an attempt ended."""

        def ended() -> Manifest | None:
            found = [one for one in self.of(stage) if one["number"] == attempt and one.get("finishedAt")]
            return found[0] if found else None

        return wait_for(ended, what=f"the end of {self.name} {stage} {attempt}", seconds=seconds)

    def until_says(self, words: str, *, seconds: float = 60) -> str:
        """Wait until the status' message holds these words."""

        def says() -> str | None:
            message = str(self.status.get("message", ""))
            return message if words in message else None

        return wait_for(says, what=f"{self.name} to say {words!r}; it says {self.status.get('message')!r}", seconds=seconds)

    def until_gone(self, *, seconds: float = 90) -> None:
        """Wait until nothing of it is left."""
        self.namespace.until_gone("FineTuneJob", self.name, seconds=seconds)
        wait_for(lambda: not self.children(), what=f"nothing left of {self.name}", seconds=seconds)

    def condition(self, kind: str) -> Manifest | None:
        """One of its conditions."""
        return next((found for found in self.status.get("conditions", []) if found["type"] == kind), None)

    def has(self, condition: str) -> bool:
        """Whether a condition is true."""
        return is_true(self.seen, condition)


def _unless_ended(job: Job, reached: Any) -> Any:
    """A condition that also fails, with the reason, when the job has ended."""

    def check() -> Any:
        found = reached()
        status = job.status
        if not found and status.get("phase") in ENDED:
            raise AssertionError(f"{job.name} ended {status['phase']}: {_short(status)}")
        return found

    return check


def _short(status: Manifest) -> str:
    attempts = [f"{a['stage']} {a['number']} {a.get('reason')} {a.get('exitCode')}" for a in status.get("attempts", [])]
    return f"{status.get('phase')}: {status.get('message')} [{'; '.join(attempts)}]"
