"""Our own trainer on two nodes, interrupted: where it goes on, and that the losses do not tell that anything happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cluster import faults, life
from cluster.kube import wait_for
from cluster.machine import Machine
from cluster.training import losses
from cluster.workloads import a_claim, a_pod

pytestmark = pytest.mark.node_access

STEPS = 240
TRAINING = {"maxSteps": STEPS, "checkpointMinutes": 0.005, "evaluationsPerEpoch": 0}


@dataclass(frozen=True, slots=True)
class Runs:
    """Jobs that work on a claim which a pod `archivist` sees too."""

    place: life.Workplace

    def start(self, name: str) -> life.Job:
        """A job of two ranks with many checkpoints."""
        return self.place.apply(name, training=TRAINING, workspace={"claimName": "runs", "size": None, "accessMode": None})

    def sh(self, command: str) -> str:
        """Run a line of shell among the folders of the runs."""
        return self.place.namespace.exec("archivist", "sh", "-c", f"cd /runs && {command}")

    def folder(self, job: life.Job) -> str:
        """Where a job works."""
        return f"{job.name}-{job.seen['metadata']['uid'][:8]}"

    def losses(self, job: life.Job) -> dict[int, float]:
        """Training loss by step, the last that was written of each."""
        return losses(self.sh(f"cat {self.folder(job)}/metrics.jsonl"))

    def checkpoints(self, job: life.Job) -> list[int]:
        """Steps of the complete checkpoints."""
        found = self.sh(f"ls -d {self.folder(job)}/checkpoints/*/step-*/complete 2>/dev/null || true").split()
        return sorted({int(path.split("step-")[1].partition("/")[0]) for path in found})


@pytest.fixture(scope="module")
def runs(place: life.Workplace) -> Runs:
    place.namespace.create(a_claim("runs"))
    place.namespace.create(a_pod("archivist", place.image, claims={"runs": "/runs"}))
    place.namespace.until_running("archivist", seconds=120)
    return Runs(place)


@pytest.fixture(scope="module")
def undisturbed(runs: Runs) -> Iterator[dict[int, float]]:
    """Losses of the same job to which nothing happened."""
    job = runs.start("undisturbed")
    job.until_attempt_ended("train", seconds=240)
    found = runs.losses(job)
    assert sorted(found) == list(range(1, STEPS + 1))
    yield found
    job.delete()


def test_a_killed_rank_costs_the_steps_since_the_last_checkpoint_and_the_losses_go_on_to_the_last_bit(
    runs: Runs, machine: Machine, undisturbed: dict[int, float]
) -> None:
    job = runs.start("killed")
    pods = job.until_running("train", pods=2)
    before = wait_for(lambda: [step for step in runs.checkpoints(job) if step >= 20], what="a checkpoint", seconds=120)[-1]
    faults.kill_rank(machine, pods[1], 1)
    first = job.until_attempt_ended("train")
    assert (first["exitCode"], first["pod"], first["node"]) == (137, pods[1]["metadata"]["name"], pods[1]["spec"]["nodeName"])
    second = job.until_attempt_ended("train", 2, seconds=240)
    assert second["reason"] == "Completed"
    # At most what was done since the newest checkpoint is done again, and that is none older than the one seen above.
    assert before <= second["resumedFromStep"] < STEPS
    assert runs.losses(job) == undisturbed
    job.delete()


def test_a_suspended_job_goes_on_at_the_checkpoint_before_one_that_is_half_written(
    runs: Runs, undisturbed: dict[int, float]
) -> None:
    job = runs.start("suspended")
    wait_for(lambda: len(runs.checkpoints(job)) >= 2, what="two checkpoints", seconds=120)
    job.patch({"runPolicy": {"suspend": True}})
    job.until("Suspended")
    wait_for(lambda: not job.pods("train"), what="no pod left")
    first = job.of("train")[0]
    assert (first["reason"], first["charged"]) == ("Suspended", False)
    kept = runs.checkpoints(job)
    newest = f"{runs.folder(job)}/checkpoints/1/step-{kept[-1]:08d}"
    # Its marker is there and says more than there is: the volume lost what was written last.
    runs.sh(f"truncate -s 4096 {newest}/states-00000.safetensors")
    job.patch({"runPolicy": {"suspend": False}})
    second = job.until_attempt_ended("train", 2, seconds=240)
    assert (second["reason"], second["resumedFromStep"]) == ("Completed", kept[-2])
    assert job.restarts[1] == 0
    assert runs.losses(job) == undisturbed
    job.delete()
