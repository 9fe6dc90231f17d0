"""A hundred nodes on one machine; the scheduler, the Job controller and the API server are the real ones."""

from __future__ import annotations

import copy

import pytest

from cluster.faults import GPU
from cluster.kube import Kube, Manifest, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.scale import SIMULATED, plays, simulated_nodes
from cluster.workloads import a_pod_spec

pytestmark = pytest.mark.node_access


def a_gang(name: str, pods: int, annotations: dict[str, str]) -> Manifest:
    spec = {**a_pod_spec("none", ["none"], limits={GPU: 8}), **copy.deepcopy(SIMULATED)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completions": pods,
            "parallelism": pods,
            "completionMode": "Indexed",
            "backoffLimit": 0,
            "template": {"metadata": {"annotations": annotations}, "spec": spec},
        },
    }


def test_a_hundred_nodes_run_a_gang_of_a_hundred_pods_and_end_as_they_were_told(
    namespace: Namespace, machine: Machine, kube: Kube
) -> None:
    with simulated_nodes(machine, kube, 100):
        namespace.create(a_gang("large", 100, plays("2s")))
        job = namespace.until_job_has("Complete", "large", seconds=120)
        assert job["status"]["succeeded"] == 100

        namespace.create(a_gang("broken", 3, plays("1s", exit_code=71, says="memory ran out")))
        namespace.until_job_has("Failed", "broken", seconds=60)
        pods = namespace.list("Pod", "batch.kubernetes.io/job-name=broken")
        ends = [pod["status"]["containerStatuses"][0]["state"].get("terminated", {}) for pod in pods]
        assert (71, "memory ran out") in [(end.get("exitCode"), end.get("message")) for end in ends]

        namespace.create(a_gang("endless", 5, {}))
        wait_for(lambda: namespace.get("Job", "endless")["status"].get("ready") == 5, what="five pods at work")
    wait_for(lambda: len(kube.list("Node")) == machine.node_count, what="the real nodes alone")
