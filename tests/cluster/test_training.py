"""Two pods on two nodes train together with our image, whatever happens to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import faults, training
from cluster.kube import Kube, wait_for
from cluster.machine import Machine
from cluster.namespaces import RESTRICTED, Namespace
from cluster.training import Training
from cluster.workloads import a_pod

STEPS = 200
"""Some twenty seconds: enough to be killed in the middle."""


@pytest.fixture(scope="module")
def ready(
    kube: Kube, trainer_image: str, storage_class: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Training]:
    """A namespace in which prepare has run."""
    wish = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "training-", "labels": RESTRICTED}}
    name = kube.create(wish)["metadata"]["name"]
    wait_for(lambda: kube.find("ServiceAccount", "default", namespace=name), what="the default service account")
    inputs: Path = tmp_path_factory.mktemp("inputs")
    yield training.prepared(Namespace(kube, name), trainer_image, storage_class, inputs)
    kube.delete("Namespace", name)


@pytest.fixture
def namespace(ready: Training) -> Namespace:
    """For the logs of a failure."""
    return ready.namespace


def test_two_pods_on_two_nodes_train_two_ranks_and_checkpoint_to_a_shared_volume(ready: Training, namespace: Namespace) -> None:
    ready.start("plain", checkpoint_seconds=0.0)  # at every step, however fast the machine is
    job = namespace.until_job_has("Complete", "plain", seconds=180)

    first, second = ready.pod("plain", 0), ready.pod("plain", 1)
    assert first["spec"]["nodeName"] != second["spec"]["nodeName"]
    assert job["status"]["completedIndexes"] == "0,1"
    code, result = ready.until_ended("plain", 0)
    assert code == 0
    assert result is not None
    assert result.trained is not None
    assert result.trained.steps == 12
    assert ready.checkpoints("plain"), "none on the shared volume"
    seen = training.losses(ready.sh("cat /workspace/plain/metrics.jsonl"))
    assert sorted(seen) == list(range(1, 13))
    assert seen[12] < seen[1], "it has not learned"
    assert "adapter_model.safetensors" in ready.sh("ls /workspace/plain/adapter")


def test_a_pod_is_nobody_and_can_write_nowhere_but_to_its_volumes(namespace: Namespace, trainer_image: str) -> None:
    tries = """
import os
print("uid", os.getuid(), "capabilities", [l.split()[1] for l in open("/proc/self/status") if l.startswith("CapEff")][0])
for path in ("/x", "/app/x", "/opt/venv/x", "/tmp/x"):
    try:
        open(path, "w").close(); print("wrote", path)
    except OSError as error:
        print(path, error.strerror)
"""
    namespace.create(a_pod("nobody", trainer_image, ["python", "-c", tries]))
    namespace.until_ended("nobody")
    assert namespace.log("nobody").splitlines() == [
        "uid 65532 capabilities 0000000000000000",
        "/x Read-only file system",
        "/app/x Read-only file system",
        "/opt/venv/x Read-only file system",
        "wrote /tmp/x",
    ]


@pytest.mark.node_access
def test_a_killed_rank_is_blamed_and_the_next_attempt_goes_on_from_its_checkpoint(
    ready: Training, namespace: Namespace, machine: Machine
) -> None:
    ready.start("killed-1", steps=STEPS)
    ready.until_checkpoint("killed")
    faults.kill_rank(machine, ready.pod("killed-1", 1), 1)

    assert ready.until_ended("killed-1", 1)[0] == 137
    code, result = ready.until_ended("killed-1", 0)
    assert code in (75, 143), "the survivor lost its peer, or was told to stop because the Job had failed"
    assert result is not None
    assert result.error is not None
    namespace.until_job_has("Failed", "killed-1")
    reached = ready.checkpoints("killed")[-1]

    ready.start("killed-2", attempt=2, steps=STEPS)
    namespace.until_job_has("Complete", "killed-2", seconds=120)
    _, result = ready.until_ended("killed-2", 0)
    assert result is not None
    assert result.trained is not None
    assert result.trained.resumed_from_step == reached


@pytest.mark.node_access
def test_a_frozen_rank_is_noticed_by_its_peer(ready: Training, namespace: Namespace, machine: Machine) -> None:
    ready.start("frozen", steps=5000, stall_seconds=15.0, checkpoint_seconds=3600.0)  # saving may take longer than a step
    wait_for(lambda: training.losses(ready.sh("cat /workspace/frozen/metrics.jsonl || true")), what="a step")
    with faults.freeze_rank(machine, ready.pod("frozen", 1), 1):
        code, _ = ready.until_ended("frozen", 0, seconds=60)
        assert code == 75
        assert "nothing happened for" in namespace.log(ready.pod("frozen", 0)["metadata"]["name"])
        namespace.until_job_has("FailureTarget", "frozen")
    namespace.delete("Job", "frozen")


@pytest.mark.node_access
def test_a_lost_node_costs_an_attempt_and_not_the_run(
    ready: Training, namespace: Namespace, machine: Machine, kube: Kube
) -> None:
    ready.start("lost-1", steps=STEPS)
    ready.until_checkpoint("lost")
    keeper = faults.number_of(namespace.get("Pod", "keeper"))
    other = 3 - keeper
    with faults.node_killed(machine, kube, other):
        survivor = next(i for i in (0, 1) if faults.number_of(ready.pod("lost-1", i)) == keeper)
        code, _ = ready.until_ended("lost-1", survivor, seconds=60)
        assert code == 75
        faults.until_not_ready(kube, other)
    namespace.until_job_has("Failed", "lost-1", seconds=90)
    reached = ready.checkpoints("lost")[-1]

    ready.start("lost-2", attempt=2, steps=STEPS)
    namespace.until_job_has("Complete", "lost-2", seconds=120)
    _, result = ready.until_ended("lost-2", 0)
    assert result is not None
    assert result.trained is not None
    assert result.trained.resumed_from_step == reached


@pytest.mark.node_access
def test_a_full_volume_is_said_in_words_that_name_the_field(ready: Training, namespace: Namespace) -> None:
    ready.sh("true")
    spec = ready.pod_spec("prepare", "prepare")
    pod = faults.with_full_volume({"metadata": {"name": "full"}, "spec": spec}, "/workspace", free="64Ki")
    container = pod["spec"]["containers"][0]
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount.get("name") != "claim-1"]
    namespace.create({"apiVersion": "v1", "kind": "Pod", **pod})
    end = namespace.until_ended("full", seconds=90)
    assert end["exitCode"] == 64, namespace.log("full")
    assert "no space is left" in end["message"]
    assert "spec.workspace.size" in end["message"]
