"""A killed rank on two real nodes: when the next attempt is there, when it trains again, and what was lost.

    make cluster-up && make cluster-images
    .venv/bin/python benchmarks/recovery.py [--repeats 5]

Times count from the moment at which the API tells that a container has ended with the kill's code. Imports are those of torch,
DeepSpeed, transformers and PEFT, measured in the same run in a pod of the same image with the same limits. The lost steps
are those that the killed attempt had written down beyond the checkpoint with which the next one began.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import measure

from cluster import faults, life
from cluster.kube import Kube, connected, wait_for
from cluster.machine import Machine
from cluster.namespaces import RESTRICTED, Namespace
from cluster.workloads import a_claim, a_pod

T = TypeVar("T")
IMPORTS = "import time; begun = time.monotonic(); import torch, deepspeed, transformers, peft; print(time.monotonic() - begun)"
INTERVAL_SECONDS = 0.6
TRAINING = {"maxSteps": 5000, "checkpointMinutes": INTERVAL_SECONDS / 60, "evaluationsPerEpoch": 0}


def soon(condition: Callable[[], T | None], what: str, seconds: float = 180) -> T:
    """Like wait_for, but looks every 20 ms."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    sys.exit(f"{what} did not come about in {seconds} s")


def killed_once(place: life.Workplace, machine: Machine, number: int) -> dict[str, float]:
    """One job, one killed rank; seconds of each part of the recovery, and steps done twice."""
    job = place.apply(f"killed-{number}", training=TRAINING, workspace={"claimName": "runs", "size": None, "accessMode": None})
    pods = job.until_running("train", pods=2)
    folder = f"/runs/{job.name}-{job.seen['metadata']['uid'][:8]}"

    def journal(attempt: int) -> list[dict[str, float]]:
        said = place.namespace.exec(
            "archivist", "sh", "-c", f"grep -h '\"attempt\": {attempt},' {folder}/metrics.jsonl || true"
        )
        return [json.loads(line) for line in said.splitlines() if line.endswith("}")]

    wait_for(lambda: len(journal(1)) > 100, what="a hundred steps", seconds=180)
    faults.kill_rank(machine, pods[1], 1)

    def ended() -> bool:
        state = place.namespace.get("Pod", pods[1]["metadata"]["name"])["status"]["containerStatuses"][0]["state"]
        return "terminated" in state

    soon(ended, "the end of the killed container")
    seen = time.monotonic()
    soon(lambda: job.child("train", 2), "the next Job")
    there = time.monotonic()
    soon(lambda: job.until_running("train", 2, pods=2), "its pods")
    running = time.monotonic()
    soon(lambda: journal(2), "its first step")
    trains = time.monotonic()
    attempts = wait_for(lambda: len(job.of("train")) == 2 and job.of("train"), what="both attempts in the status")
    resumed = min(int(line["step"]) for line in journal(2)) - 1
    last = max(int(line["step"]) for line in journal(1))
    steps = journal(1)
    interval = INTERVAL_SECONDS / statistics.median(line["seconds"] for line in steps[20:])
    assert attempts[0]["exitCode"] == 137
    job.delete()
    job.until_gone()
    return {
        "next Job exists": there - seen,
        "its pods run": running - seen,
        "its first step is written": trains - seen,
        "steps done twice": last - resumed,
        "steps per checkpoint interval": interval,
    }


def imports(place: life.Workplace) -> float:
    """Seconds that a rank spends importing, with the limits that a rank has."""
    pod = a_pod("imports", place.image, ["python", "-c", IMPORTS])
    limits = {"cpu": "750m", "memory": "2Gi"}
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": limits}
    place.namespace.create(pod)
    place.namespace.until_ended("imports", seconds=120)
    seconds = float(place.namespace.log("imports").split()[-1])
    place.namespace.delete("Pod", "imports", grace_seconds=0)
    return seconds


def measured(kube: Kube, machine: Machine, repeats: int) -> list[dict[str, float]]:
    """So many recoveries, one after another."""
    wish = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "recovery-", "labels": RESTRICTED}}
    name = kube.create(wish)["metadata"]["name"]
    wait_for(lambda: kube.find("ServiceAccount", "default", namespace=name), what="the default service account")
    image = "localhost/finetune-trainer:test"
    place = life.Workplace(Namespace(kube, name), image)
    try:
        with tempfile.TemporaryDirectory() as folder:
            place.fill(Path(folder))
        place.namespace.create(a_claim("runs"))
        place.namespace.create(a_pod("archivist", image, claims={"runs": "/runs"}))
        place.namespace.until_running("archivist", seconds=120)
        found = []
        for number in range(repeats):
            needed = imports(place)
            found.append({**killed_once(place, machine, number), "imports": needed})
        return found
    finally:
        kube.delete("Namespace", name)


def main() -> None:
    """Install, kill, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(measure.machine())
    machine = Machine()
    machine.build_image(life.OPERATOR_IMAGE, "operator")
    with connected(machine.up(), kubectl=str(machine.programs / "kubectl")) as kube:
        life.install(machine, kube, "localhost/finetune-trainer:test")
        try:
            found = measured(kube, machine, arguments.repeats)
        finally:
            life.uninstall(machine, kube)
    rows = []
    for what in found[0]:
        values = [one[what] for one in found]
        rows.append([what, f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"])
    beyond = [one["its first step is written"] - one["imports"] for one in found]
    rows.append(["first step, without imports", f"{statistics.median(beyond):.1f} ({min(beyond):.1f} to {max(beyond):.1f})"])
    measure.table([f"{arguments.repeats} ranks killed", "seconds, or steps: median (lowest to highest)"], rows)
    exists = statistics.median(one["next Job exists"] for one in found)
    print(f"\nwanted: the next Job within 2 s, {exists:.1f}; a step within 15 s plus imports, {statistics.median(beyond):.1f}")


if __name__ == "__main__":
    main()
