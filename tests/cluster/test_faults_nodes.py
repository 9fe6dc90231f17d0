"""What happens to a node is noticed, its pods are given up, and afterwards it is whole again."""

from __future__ import annotations

import time

import pytest

from cluster import faults
from cluster.kube import Kube, is_true, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.workloads import a_pod, on_node

pytestmark = pytest.mark.node_access


@pytest.fixture
def pod(namespace: Namespace, trainer_image: str) -> str:
    """A pod on node 2 that leaves five seconds after it is lost."""
    namespace.create(a_pod("there", trainer_image, nodeSelector=on_node(2)))
    namespace.until_running("there")
    return "there"


def test_a_node_lost_without_a_word_is_noticed_its_pod_is_given_up_and_goes_when_the_node_is_back(
    namespace: Namespace, machine: Machine, kube: Kube, pod: str
) -> None:
    """Nodes that are killed, frozen, cut off or without kubelet: test_life_faults.py, with a job on them."""
    with faults.node_lost_silently(machine, kube, 2):
        faults.until_not_ready(kube, 2)
        wait_for(lambda: "deletionTimestamp" in namespace.get("Pod", pod)["metadata"], what="the pod given up")
        assert namespace.find("Pod", pod), "it stays Terminating as long as its kubelet is silent"
    namespace.until_gone("Pod", pod)


def test_a_node_that_hangs_for_a_moment_goes_on_as_if_nothing_had_happened(
    namespace: Namespace, machine: Machine, kube: Kube, trainer_image: str
) -> None:
    count = ["python", "-c", "import time\nfor i in range(36000): print(i, flush=True); time.sleep(0.1)"]
    namespace.create(a_pod("counting", trainer_image, count, nodeSelector=on_node(2)))
    before = namespace.until_running("counting")
    (log,) = wait_for(
        lambda: list((machine.state / "node2/var/log/pods").glob(f"{namespace.name}_counting_*/main/0.log")), what="its log"
    )

    def until_it_counts_on() -> None:
        begun = log.stat().st_size
        wait_for(lambda: log.stat().st_size > begun, what="another number")

    until_it_counts_on()
    with faults.node_frozen(machine, kube, 2):
        begun = log.stat().st_size
        time.sleep(1)  # nothing is what has to happen
        assert log.stat().st_size == begun
    until_it_counts_on()
    after = namespace.get("Pod", "counting")
    assert "deletionTimestamp" not in after["metadata"]
    assert after["status"]["containerStatuses"][0]["containerID"] == before["status"]["containerStatuses"][0]["containerID"]


def test_containers_run_on_while_their_kubelet_is_restarted(
    namespace: Namespace, machine: Machine, kube: Kube, pod: str
) -> None:
    before = namespace.get("Pod", pod)["status"]["containerStatuses"][0]["containerID"]
    with faults.kubelet_stopped(machine, kube, 2):
        assert before.removeprefix("containerd://") in machine.node("exec", 2, "ctr", "-n", "k8s.io", "tasks", "ls")
    assert namespace.until_running(pod)["status"]["containerStatuses"][0]["containerID"] == before
    assert is_true(kube.get("Node", "node2"), "Ready")
