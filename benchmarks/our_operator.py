"""Our operator as a process on this machine, with the program, settings and limits of its pod, and jobs for it to take up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cluster_load import Program, at_once, until

from cluster.scale import SIMULATED
from finetune_api import meta
from finetune_operator.cluster import KubernetesCluster, Limiter
from finetune_operator.exchange import connect
from finetune_operator.kinds import FINE_TUNE_JOB, Ref

SYSTEM = "control-plane-benchmark"
PROBES, PROGRESS = 18080, 18443


def manifest(name: str, namespace: str) -> dict[str, Any]:
    """An ordinary job for simulated nodes."""
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"uri": "pvc://inputs/model"},
            "datasets": [{"uri": "pvc://inputs/chats.jsonl"}],
            "resources": {"gpusPerNode": 1},
            "scheduling": SIMULATED,
            "workspace": {"claimName": "inputs"},
            "output": {"uri": "pvc://inputs/published"},
        },
    }


def environment(kubeconfig: Path) -> dict[str, str]:
    """Settings of the operator's process."""
    said = {
        "NAMESPACE": SYSTEM,
        "POD_NAME": "operator-0",
        "TRAINER_IMAGE": "none",
        "OPERATOR_LABELS": json.dumps({"app": "operator"}),
        "PROGRESS_PORT": str(PROGRESS),
        "PROBE_PORT": str(PROBES),
        "LIGHT_CPU": "100m",
        "LIGHT_MEMORY": "100Mi",
        "GRACE_SECONDS": "1",
        "KUBECONFIG": str(kubeconfig),
        "LOG_LEVEL": "warning",
    }
    return {f"FINETUNE_{name}": value for name, value in said.items()}


@dataclass(slots=True)
class Operator(Program):
    """The operator's process."""

    @property
    def programs(self) -> list[Program]:
        """One does all."""
        return [self]

    def metrics(self) -> str:
        """What it exposes."""
        with urllib.request.urlopen(f"http://127.0.0.1:{PROBES}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def calls(self) -> dict[str, float]:
        """Calls to the API server by verb and resource."""
        found = re.findall(r'api_calls_total\{code="\d+",resource="(\w+)",verb="(\w+)"\} ([\d.e+]+)', self.metrics())
        counts: dict[str, float] = {}
        for resource, verb, number in found:
            counts[f"{verb} {resource}"] = counts.get(f"{verb} {resource}", 0.0) + float(number)
        return counts

    def waiting(self) -> float:
        """Jobs in its queue."""
        return self.gauge("queue_depth")

    def gauge(self, name: str) -> float:
        """One of its gauges."""
        found = re.search(rf"^finetune_operator_{name} ([\d.e+-]+)$", self.metrics(), re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextmanager
def an_operator(kubeconfig: Path) -> Iterator[Operator]:
    """The operator, leading, until the `with` ends."""
    log = (Path(tempfile.gettempdir()) / "control-plane-benchmark.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "finetune_operator.main"], env={**os.environ, **environment(kubeconfig)}, stderr=log, stdout=log
    )
    operator = Operator(process)
    try:
        until(lambda: operator.gauge("leader") == 1.0, "the operator leading", seconds=60)
        yield operator
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        log.close()


def idle(operator: Operator, seconds: float) -> dict[str, float]:
    """Calls to the API server while nothing happens."""
    before = operator.calls()
    time.sleep(seconds)
    return {name: number - before.get(name, 0) for name, number in operator.calls().items() if number > before.get(name, 0)}


async def write_jobs(kubeconfig: Path, namespace: str, count: int) -> None:
    """As `kubectl apply` of a folder does, some at the same time."""
    client = await connect(kubeconfig)
    cluster = KubernetesCluster(client, Limiter(1e6, 1e6, time.monotonic))
    await at_once(count, lambda number: cluster.create(manifest(f"job-{number}", namespace)))
    await client.close()


async def write_ended(kubeconfig: Path, namespace: str, count: int) -> None:
    """Jobs that have ended, as an operator of last month left them."""
    client = await connect(kubeconfig)
    cluster = KubernetesCluster(client, Limiter(1e6, 1e6, time.monotonic))
    stages = ("prepare", "train", "evaluate", "publish")
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:10:00Z", "charged": False}
    done = {
        "phase": "Succeeded",
        "observedGeneration": 1,
        "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T01:00:00Z",
        "message": "Published.",
        "restarts": {"total": 0, "charged": 0},
        "attempts": [{"stage": stage, "number": 1, "reason": "Completed", "exitCode": 0, **times} for stage in stages],
    }
    await at_once(count, partial(_write_ended, cluster, namespace, done))
    await client.close()


async def _write_ended(cluster: KubernetesCluster, namespace: str, done: dict[str, Any], number: int) -> None:
    name = f"ended-{number}"
    await cluster.create(manifest(name, namespace))
    ref = Ref(FINE_TUNE_JOB, namespace, name)
    version = (await cluster.get(ref))["metadata"]["resourceVersion"]
    await cluster.patch_status(ref, done, version=version)
