"""The control plane goes, comes back, and crawls; what runs goes on, and what was told is not forgotten."""

from __future__ import annotations

import time

import pytest

from cluster import faults
from cluster.kube import ApiError, Kube, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.workloads import a_config_map, a_pod

pytestmark = pytest.mark.node_access


@pytest.mark.parametrize("component", ["kube-apiserver", "etcd"])
def test_pods_run_on_without_it_and_nothing_is_forgotten(
    namespace: Namespace, machine: Machine, kube: Kube, trainer_image: str, component: str
) -> None:
    namespace.create(a_config_map("kept", text="before"))
    count = ["python", "-c", "import time\nfor i in range(3600): print(i, flush=True); time.sleep(0.2)"]
    namespace.create(a_pod("counting", trainer_image, count))
    namespace.until_said("counting", "0")
    before = namespace.get("Pod", "counting")["status"]["containerStatuses"][0]
    with faults.component_stopped(machine, kube, component), pytest.raises(ApiError):
        namespace.create(a_config_map("lost", text="during"))
    assert namespace.get("ConfigMap", "kept")["data"] == {"text": "before"}
    assert namespace.find("ConfigMap", "lost") is None
    after = namespace.until_running("counting")["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)


def test_without_a_scheduler_pods_wait_and_with_it_they_go(
    namespace: Namespace, machine: Machine, kube: Kube, trainer_image: str
) -> None:
    with faults.component_stopped(machine, kube, "kube-scheduler"):
        namespace.create(a_pod("waiting", trainer_image))
        time.sleep(2)  # nothing is what has to happen
        assert "nodeName" not in namespace.get("Pod", "waiting")["spec"]
    namespace.until_running("waiting")


@pytest.mark.parametrize("component", ["kube-apiserver", "etcd"])
def test_slowed_down_it_answers_late_and_everything_still_comes_about(
    namespace: Namespace, machine: Machine, kube: Kube, component: str
) -> None:
    def seconds_for_ten_writes(name: str) -> float:
        begun = time.monotonic()
        for number in range(10):
            wait_for(lambda n=number: namespace.create(a_config_map(f"{name}-{n}")), what="a write")  # type: ignore[misc]
        return time.monotonic() - begun

    usual = seconds_for_ten_writes("usual")
    with faults.component_slowed(machine, kube, component):
        slowed = seconds_for_ten_writes("slowed")
    assert slowed > 2 * usual
    assert len([m for m in namespace.list("ConfigMap") if m["metadata"]["name"].startswith("slowed")]) == 10


def test_a_token_that_has_expired_is_refused_and_one_that_expires_works_until_then(
    namespace: Namespace, machine: Machine, kube: Kube
) -> None:
    def who_am_i(token: str) -> str:
        server = [
            "--server",
            f"https://127.0.0.1:{api_port(machine)}",
            "--certificate-authority",
            str(machine.state / "pki/ca.crt"),
        ]
        told = kube.kubectl("--kubeconfig=/dev/null", *server, "--token", token, "auth", "whoami", check=False)
        return (told.stdout + told.stderr).strip()

    assert f"system:serviceaccount:{namespace.name}:default" in who_am_i(faults.a_token(machine, namespace))
    assert "Unauthorized" in who_am_i(faults.a_token(machine, namespace, lives_seconds=-1))
    brief = faults.a_token(machine, namespace, lives_seconds=3)
    assert "Unauthorized" not in who_am_i(brief)
    wait_for(lambda: "Unauthorized" in who_am_i(brief), what="the token's end", seconds=30)


def api_port(machine: Machine) -> str:
    text = (machine.state / "pki" / "admin.kubeconfig").read_text()
    return text.partition("https://127.0.0.1:")[2].partition('"')[0]
