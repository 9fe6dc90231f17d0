"""Kueue and Prometheus are the real ones, so what we promise of queueing and metrics can be tried on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster import neighbours
from cluster.faults import GPU
from cluster.kube import Kube, Manifest, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.workloads import FOREVER, a_pod, a_pod_spec

pytestmark = pytest.mark.node_access
SERVE = """
import http.server
class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"finetune_test_answers 42\\n")
http.server.ThreadingHTTPServer(("", 8080), Metrics).serve_forever()
"""


@pytest.fixture(scope="module")
def kueue(machine: Machine, kube: Kube) -> Iterator[None]:
    try:
        neighbours.install_kueue(machine, kube)
        yield
    finally:  # one that is half there would refuse the Jobs of all tests to come
        neighbours.uninstall_kueue(machine, kube)


def a_queued_job(name: str, image: str, *, gpus: int) -> Manifest:
    spec = a_pod_spec(image, FOREVER, limits={GPU: gpus})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"kueue.x-k8s.io/queue-name": "queue"}},
        "spec": {"suspend": True, "backoffLimit": 0, "template": {"spec": spec}},
    }


@pytest.mark.usefixtures("kueue")
def test_kueue_starts_a_job_when_its_quota_has_room_and_not_before(
    namespace: Namespace, kube: Kube, trainer_image: str
) -> None:
    neighbours.a_queue(kube, namespace, gpus=2)
    namespace.create(a_queued_job("first", trainer_image, gpus=2))
    wait_for(lambda: namespace.get("Job", "first")["spec"]["suspend"] is False, what="the first job admitted")
    namespace.create(a_queued_job("second", trainer_image, gpus=1))
    wait_for(lambda: len(namespace.list("Workload")) == 2, what="both known to Kueue")
    assert namespace.get("Job", "second")["spec"]["suspend"] is True

    namespace.delete("Job", "first")
    wait_for(lambda: namespace.get("Job", "second")["spec"]["suspend"] is False, what="the second job admitted")
    namespace.delete("Job", "second")
    wait_for(lambda: not namespace.list("Workload"), what="Kueue done with both")


def test_prometheus_sees_what_a_pod_says(namespace: Namespace, machine: Machine, trainer_image: str) -> None:
    namespace.create(a_pod("talking", trainer_image, ["python", "-c", SERVE]))
    address = namespace.until_running("talking")["status"]["podIP"]
    neighbours.start_prometheus(namespace, machine.program_image("prometheus"), f"{address}:8080")
    found = wait_for(lambda: neighbours.samples(namespace, "finetune_test_answers"), what="a sample in Prometheus")
    assert found[0]["value"][1] == "42"
    assert found[0]["metric"]["instance"] == f"{address}:8080"
