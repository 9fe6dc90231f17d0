"""GPUs are counted as real ones are: who comes third waits, and a broken one is not given away."""

from __future__ import annotations

import pytest

from cluster import faults
from cluster.faults import GPU
from cluster.kube import Kube, condition_of, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.workloads import FOREVER, a_pod

pytestmark = pytest.mark.node_access
SHOW = ["python", "-c", "import os, time; print(os.environ['NVIDIA_VISIBLE_DEVICES'], flush=True); time.sleep(3600)"]


def waits_for(namespace: Namespace, pod: str) -> str:
    """Why the scheduler finds no node for a pod."""

    def refused() -> str | None:
        condition = condition_of(namespace.get("Pod", pod), "PodScheduled") or {}
        return condition.get("message") if condition.get("reason") == "Unschedulable" else None

    return wait_for(refused, what=f"pod {pod} unschedulable")


def free_all(kube: Kube, machine: Machine) -> None:
    """Wait until no pod of an earlier test holds a GPU any more."""

    def held() -> list[str]:
        live = [pod for pod in kube.list("Pod") if pod["status"]["phase"] in ("Pending", "Running")]
        return [p["metadata"]["name"] for p in live if GPU in p["spec"]["containers"][0]["resources"].get("limits", {})]

    wait_for(lambda: not held(), what="GPUs free")
    assert [faults.gpus_of(kube, number) for number in (1, 2)] == [machine.gpus_per_node] * 2


def test_two_pods_take_all_gpus_and_a_third_waits_until_one_ends(
    namespace: Namespace, trainer_image: str, kube: Kube, machine: Machine
) -> None:
    free_all(kube, machine)
    for name in ("first", "second"):
        namespace.create(a_pod(name, trainer_image, SHOW, limits={GPU: 4}))
    nodes = {namespace.until_running(name)["spec"]["nodeName"] for name in ("first", "second")}
    assert nodes == {"node1", "node2"}
    shown = namespace.until_said("first", "GPU-")
    assert sorted(shown.strip().split(",")) == ["GPU-0", "GPU-1", "GPU-2", "GPU-3"]

    namespace.create(a_pod("third", trainer_image, FOREVER, limits={GPU: 1}))
    assert f"2 Insufficient {GPU}" in waits_for(namespace, "third")
    namespace.delete("Pod", "second")
    assert namespace.until_running("third")["spec"]["nodeName"] in nodes


def test_more_gpus_than_any_node_has_can_never_be_scheduled(namespace: Namespace, trainer_image: str) -> None:
    namespace.create(faults.with_too_many_gpus(a_pod("greedy", trainer_image)))
    assert f"2 Insufficient {GPU}" in waits_for(namespace, "greedy")


def test_a_broken_gpu_is_not_given_away_and_comes_back_when_it_is_mended(
    namespace: Namespace, trainer_image: str, kube: Kube, machine: Machine
) -> None:
    free_all(kube, machine)
    with faults.gpu_broken(machine, kube, 2):
        wait_for(lambda: faults.gpus_of(kube, 2) == 3, what="one GPU less")
        namespace.create(a_pod("four", trainer_image, limits={GPU: 4}))
        assert namespace.until_running("four")["spec"]["nodeName"] == "node1"
    assert faults.gpus_of(kube, 2) == 4


def test_without_its_device_plugin_a_node_has_no_gpus(kube: Kube, machine: Machine) -> None:
    with faults.gpus_gone(machine, kube, 2):
        wait_for(lambda: faults.gpus_of(kube, 2) == 0, what="no GPUs")
    assert faults.gpus_of(kube, 2) == 4
