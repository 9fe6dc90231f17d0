"""Thousands of pods without kubelets: nodes and pods that kwok plays, for load tests of the operator.

Simulated nodes carry a taint and a label; a pod goes there if it has SIMULATED in its spec. How long it runs and how it ends is
said by annotations: see bring_up/kwok-stages.yaml.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.faults import GPU
from cluster.kube import Kube, Manifest, is_true, wait_for
from cluster.machine import BRING_UP, Machine

KEY = "kwok.x-k8s.io/node"
SIMULATED: Manifest = {
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": KEY, "operator": "Exists", "effect": "NoSchedule"}],
}
"""Fields of the spec of a pod that belongs on simulated nodes."""


def plays(runs_for: str, *, exit_code: int = 0, says: str = "") -> dict[str, str]:
    """Annotations of a simulated pod: how long it runs, its exit code and its termination message."""
    told = {"runs-for": runs_for, "exit-code": str(exit_code), "says": says}
    return {f"test.finetune.dev/{name}": value for name, value in told.items()}


@contextmanager
def simulated_nodes(machine: Machine, kube: Kube, count: int, *, gpus: int = 8) -> Iterator[list[str]]:
    """So many nodes beside the real ones, until the `with` ends; their names."""
    command = [
        str(machine.program("kwok")),
        "--config",
        str(BRING_UP / "kwok-stages.yaml"),
        "--kubeconfig",
        str(kube.kubeconfig),
    ]
    command += [
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={KEY}=fake",
        "--node-lease-duration-seconds=16",  # renewed four times as often; after twelve seconds a node is taken for lost
    ]
    names = [f"simulated-{number}" for number in range(count)]
    log = (machine.state / "log" / "kwok.log").open("w")
    kwok = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for name in names:
            kube.create(_node(name, gpus))
        wait_for(lambda: all(is_true(node, "Ready") for node in _simulated(kube)), what=f"{count} simulated nodes", seconds=120)
        yield names
    finally:
        for pod in _pods_on(kube, set(names)):
            kube.delete("Pod", pod["metadata"]["name"], namespace=pod["metadata"]["namespace"], grace_seconds=0)
        for name in names:
            kube.delete("Node", name)
        kwok.terminate()
        kwok.wait(60)
        log.close()


def _simulated(kube: Kube) -> list[Manifest]:
    return kube.list("Node", labels="type=kwok")


def _pods_on(kube: Kube, nodes: set[str]) -> list[Manifest]:
    return [pod for pod in kube.list("Pod") if pod["spec"].get("nodeName") in nodes]


def _node(name: str, gpus: int) -> Manifest:
    room: dict[str, Any] = {"cpu": "64", "memory": "512Gi", "pods": "250", GPU: str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {KEY: "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "type": "kwok",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": {"taints": [{"key": KEY, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": room, "capacity": room},
    }
