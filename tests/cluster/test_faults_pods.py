"""What ends a pod, or keeps it from starting, is seen as the operator will see it: exits, reasons and conditions."""

from __future__ import annotations

import pytest

from cluster import faults
from cluster.kube import Manifest, condition_of, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.workloads import a_pod, a_pod_spec, two_ranks

STOP_AT_ONCE = (
    "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); print('up', flush=True); time.sleep(3600)"
)


@pytest.fixture
def pair(namespace: Namespace, trainer_image: str) -> list[Manifest]:
    """A running Job of two pods on two nodes that exit 143 when told to stop."""
    for manifest in two_ranks("pair", a_pod_spec(trainer_image, ["python", "-c", STOP_AT_ONCE])):
        namespace.create(manifest)

    def both() -> list[Manifest] | None:
        pods = namespace.list("Pod", "test=pair")
        return pods if len(pods) == 2 else None

    names = sorted(pod["metadata"]["name"] for pod in wait_for(both, what="two pods"))
    for name in names:
        namespace.until_said(name, "up")
    return [namespace.get("Pod", name) for name in names]


def name_of(pod: Manifest) -> str:
    return str(pod["metadata"]["name"])


def until_disrupted(namespace: Namespace, pod: str) -> str:
    """Wait until a pod is said to be disrupted; the reason."""
    return str(
        wait_for(
            lambda: (condition_of(namespace.get("Pod", pod), "DisruptionTarget") or {}).get("reason"), what=f"{pod} disrupted"
        )
    )


@pytest.mark.node_access
def test_a_killed_container_fails_its_pod_with_137_and_the_job_gives_up(
    namespace: Namespace, machine: Machine, pair: list[Manifest]
) -> None:
    faults.kill_container(machine, pair[1])
    end = namespace.until_ended(name_of(pair[1]))
    assert (end["exitCode"], end["reason"]) == (137, "Error")
    namespace.until_job_has("FailureTarget", "pair")
    namespace.until_job_has("Failed", "pair")


def test_a_deleted_pod_fails_its_job_and_is_not_replaced(namespace: Namespace, pair: list[Manifest]) -> None:
    faults.delete_pod(namespace, name_of(pair[0]))
    job = namespace.until_job_has("FailureTarget", "pair")
    assert (condition_of(job, "FailureTarget") or {})["reason"] == "BackoffLimitExceeded"
    assert namespace.until_job_has("Failed", "pair")["status"]["failed"] >= 1
    assert len(namespace.list("Pod", "test=pair")) <= 2


def test_an_evicted_pod_says_that_it_was_a_disruption(namespace: Namespace, pair: list[Manifest]) -> None:
    faults.evict_pod(namespace, name_of(pair[0]))
    assert until_disrupted(namespace, name_of(pair[0])) == "EvictionByEvictionAPI"
    namespace.until_job_has("Failed", "pair")


@pytest.mark.node_access
def test_a_drained_node_evicts_its_pod_and_takes_no_new_one(
    namespace: Namespace, trainer_image: str, pair: list[Manifest]
) -> None:
    number = faults.number_of(pair[1])
    with faults.drained(namespace.kube, number):
        namespace.until_job_has("Failed", "pair")
        namespace.create(a_pod("elsewhere", trainer_image))
        assert faults.number_of(namespace.until_running("elsewhere")) != number
    assert "unschedulable" not in namespace.kube.get("Node", f"node{number}")["spec"]


@pytest.mark.node_access
def test_a_tainted_node_says_that_it_was_a_disruption(namespace: Namespace, pair: list[Manifest]) -> None:
    number = faults.number_of(pair[1])
    with faults.tainted(namespace.kube, number):
        assert until_disrupted(namespace, name_of(pair[1])) == "DeletionByTaintManager"
        namespace.until_job_has("Failed", "pair")
    assert not namespace.kube.get("Node", f"node{number}")["spec"].get("taints")


# ---------------------------------------------------------------- pods that cannot run


def until_waiting(namespace: Namespace, pod: str, reason: str, *, seconds: float = 60) -> str:
    """Wait until a container waits for this reason; its message."""

    def waiting() -> str | None:
        states = [status["state"] for status in namespace.get("Pod", pod)["status"].get("containerStatuses", [])]
        why = states[0].get("waiting", {}) if states else {}
        return str(why.get("message", "waiting")) if why.get("reason") == reason else None

    return wait_for(waiting, what=f"pod {pod} waiting for {reason}", seconds=seconds)


def test_an_image_that_cannot_be_pulled_is_named_as_the_reason(namespace: Namespace, trainer_image: str) -> None:
    namespace.create(faults.with_unpullable_image(a_pod("pull", trainer_image)))
    assert "127.0.0.1:9/none:1" in until_waiting(namespace, "pull", "ErrImagePull")
    until_waiting(namespace, "pull", "ImagePullBackOff")


def test_a_missing_volume_keeps_a_pod_from_being_scheduled(namespace: Namespace, trainer_image: str) -> None:
    namespace.create(faults.with_missing_volume(a_pod("claimless", trainer_image)))

    def told() -> str | None:
        return (condition_of(namespace.get("Pod", "claimless"), "PodScheduled") or {}).get("message")

    assert 'persistentvolumeclaim "not-there" not found' in wait_for(told, what="the scheduler's answer")


def test_a_full_volume_is_enospc_in_the_pod(namespace: Namespace, trainer_image: str) -> None:
    write = ["python", "-c", "open('/full/x', 'wb').write(bytes(4 << 20))"]
    namespace.create(faults.with_full_volume(a_pod("full", trainer_image, write), "/full"))
    assert namespace.until_ended("full")["exitCode"] == 1
    assert "No space left on device" in namespace.log("full")


def test_too_little_memory_ends_in_oomkilled(namespace: Namespace, trainer_image: str) -> None:
    take = ["python", "-c", "x = b'x' * (200 << 20)"]
    namespace.create(faults.with_little_memory(a_pod("hungry", trainer_image, take)))
    end = namespace.until_ended("hungry")
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")
