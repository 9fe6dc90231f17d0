"""Our trainer in a cluster by hand, as the operator will start it: inputs on a claim, prepare as a pod, train as two.

What a stage is told comes from the same plan and configuration as everywhere; only the manifests are the tests' own.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.kube import Manifest, wait_for
from cluster.namespaces import Namespace
from cluster.workloads import a_claim, a_config_map, a_pod, a_pod_spec, two_ranks
from finetune_api.contract.result import StageResult, decode
from finetune_api.contract.trainer_config import Mounts
from finetune_api.parse import parse_job
from finetune_api.v1alpha1.status import Facts
from finetune_operator.brain.configure import configure
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.plan import plan
from finetune_operator.brain.stages import Stage
from rows import chats, write_jsonl
from tiny import tiny_causal_lm

NODE = Machine(cpu_cores=1, memory_gib=8.0)
MOUNTS = {"inputs": "/inputs", "workspace": "/workspace"}
"""Claim to directory."""
SPEC: dict[str, Any] = {
    "model": {"uri": "pvc://inputs/model"},
    "datasets": [{"name": "chats", "uri": "pvc://inputs/chats.jsonl", "fields": {"weight": "importance"}}],
    "preparation": {"split": {"groupBy": "customer", "validation": 0.15, "test": 0.15}, "maxLength": 200},
    "training": {"batchSize": 6, "maxSteps": 12, "learningRate": 0.005, "precision": "fp32"},
    "resources": {"nodes": 2, "gpusPerNode": 0},
    "workspace": {"accessMode": "ReadWriteMany"},
    "output": {"uri": "pvc://inputs/published"},
}


@dataclass(frozen=True, slots=True)
class Training:
    """A namespace with prepared data on the claim `workspace`, in the folder `prepared`."""

    namespace: Namespace
    image: str
    facts: Facts | None = None

    def sh(self, command: str) -> str:
        """Run a line of shell in a pod that sees both claims."""
        return self.namespace.exec("keeper", "sh", "-c", command)

    def start(self, name: str, *, attempt: int = 1, steps: int = 12, **changes: Any) -> None:
        """Start two ranks as the Job `name`; they work in the folder of the first part of its name, a copy of `prepared`."""
        folder = f"/workspace/{name.partition('-')[0]}"
        self.sh(f"[ -d {folder} ] || cp -a /workspace/prepared {folder}")
        often = {"checkpoint_seconds": 0.2, "evaluation_steps": 0, "total_steps": steps}
        text = orders(Stage.TRAIN, self.facts, folder, attempt=attempt, **{**often, **changes})
        self.namespace.create(a_config_map(name, job__json=text))
        spec = self.pod_spec("train", name, {"DS_ACCELERATOR": "cpu", "GLOO_SOCKET_IFNAME": "eth0"})
        for manifest in two_ranks(name, spec):
            self.namespace.create(manifest)

    def pod_spec(self, stage: str, config_map: str, environment: dict[str, str] | None = None) -> Manifest:
        """A stage of our trainer as the image starts it."""
        command = ["python", "-m", "finetune_trainer", stage, "--config", "/etc/finetune/job.json"]
        mounts = {"claims": MOUNTS, "config_maps": {config_map: "/etc/finetune"}}
        return a_pod_spec(self.image, command, **mounts, environment=environment, grace_seconds=10)

    def pod(self, name: str, index: int) -> Manifest:
        """The pod of one index of a Job."""

        def found() -> Manifest | None:
            pods = self.namespace.list("Pod", f"test={name},batch.kubernetes.io/job-completion-index={index}")
            return pods[0] if pods else None

        return wait_for(found, what=f"pod {index} of {name}")

    def until_ended(self, name: str, index: int, *, seconds: float = 120) -> tuple[int, StageResult | None]:
        """Wait for the end of a pod; its exit code and last words."""
        end = self.namespace.until_ended(self.pod(name, index)["metadata"]["name"], seconds=seconds)
        return end["exitCode"], decode(end.get("message", ""))

    def checkpoints(self, name: str) -> list[int]:
        """Steps of the complete checkpoints."""
        folder = f"/workspace/{name.partition('-')[0]}/checkpoints"
        found = self.sh(f"ls -d {folder}/*/step-*/complete 2>/dev/null || true").split()
        return sorted({int(path.split("step-")[1].partition("/")[0]) for path in found})

    def until_checkpoint(self, name: str, *, beyond: int = 0) -> int:
        """Wait for a complete checkpoint beyond a step; the newest."""

        def newest() -> int | None:
            steps = self.checkpoints(name)
            return steps[-1] if steps and steps[-1] > beyond else None

        return wait_for(newest, what=f"a checkpoint of {name} beyond step {beyond}", seconds=120)


def orders(
    stage: Stage, facts: Facts | None, workspace: str, *, attempt: int = 1, spec: Manifest = SPEC, **changes: Any
) -> str:
    """What a stage is told, as JSON."""
    manifest = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "tiny"}, "spec": spec}
    job = parse_job(manifest)
    config = configure(job, plan(job.spec, facts, NODE), stage, attempt, workspace=workspace, mounts=Mounts(claims=MOUNTS))
    block = getattr(config, stage)
    told = config.model_copy(update={str(stage): block.model_copy(update=changes)})
    return told.model_dump_json(by_alias=True, exclude_none=True)


def prepared(namespace: Namespace, image: str, storage_class: str | None, inputs: Path) -> Training:
    """Claims with a tiny model and data, and prepare run on them."""
    training = Training(namespace, image)
    for name in MOUNTS:
        namespace.create(a_claim(name, storage_class=storage_class))
    namespace.create(a_pod("keeper", image, claims=MOUNTS))
    namespace.until_running("keeper", seconds=120)
    make_inputs(inputs)
    copy_in(namespace, "keeper", inputs, "/inputs")
    text = orders(Stage.PREPARE, None, "/workspace/prepared")
    namespace.create(a_config_map("prepare", job__json=text))
    spec = training.pod_spec("prepare", "prepare")
    namespace.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "prepare"}, "spec": spec})
    end = namespace.until_ended("prepare", seconds=180)
    assert end["exitCode"] == 0, namespace.log("prepare")
    result = decode(end["message"])
    assert result is not None
    return replace(training, facts=Facts(model=result.model, data=result.data, machine=result.machine))


def make_inputs(folder: Path, *, model: str = "model") -> None:
    """A tiny model and 120 chats."""
    tiny_causal_lm(folder / model)
    write_jsonl(folder / "chats.jsonl", chats(120))


def copy_in(namespace: Namespace, pod: str, folder: Path, target: str) -> None:
    """Copy a folder's content into a pod, through the API as `kubectl cp` does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, arcname=".")
    kube = namespace.kube
    unpack = "import sys,tarfile; tarfile.open(fileobj=sys.stdin.buffer,mode='r|').extractall(sys.argv[1])"
    command = [kube.kubectl_path, "--kubeconfig", str(kube.kubeconfig), "exec", "-i", "-n", namespace.name, pod, "--"]
    subprocess.run([*command, "python", "-c", unpack, target], input=packed.getvalue(), check=True, timeout=600)


def losses(text: str) -> dict[int, float]:
    """Training loss by step, from metrics.jsonl."""
    lines = map(json.loads, text.splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}
