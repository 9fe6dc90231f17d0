"""Parts of the control plane go, come back, and crawl. API server and etcd away for long: test_life_faults.py."""

from __future__ import annotations

import time

import pytest

from cluster import faults
from cluster.kube import Kube, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.workloads import a_config_map, a_pod

pytestmark = pytest.mark.node_access


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
    def seconds_of_writes(name: str) -> list[float]:
        found = []
        for number in range(30):
            begun = time.monotonic()
            wait_for(lambda n=number: namespace.create(a_config_map(f"{name}-{n}")), what="a write")  # type: ignore[misc]
            found.append(time.monotonic() - begun)
        return found

    usual = seconds_of_writes("usual")
    with faults.component_slowed(machine, kube, component):
        slowed = seconds_of_writes("slowed")
    # It rests for a fifth of a second at a time, which one write after another must meet; a busy machine only adds to that.
    assert max(slowed) > 0.15 > min(usual)
    assert len([m for m in namespace.list("ConfigMap") if m["metadata"]["name"].startswith("slowed")]) == 30


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
    brief = faults.a_token(machine, namespace, lives_seconds=12)  # kubectl alone may take seconds to start
    assert "Unauthorized" not in who_am_i(brief)
    wait_for(lambda: "Unauthorized" in who_am_i(brief), what="the token's end", seconds=60)


def api_port(machine: Machine) -> str:
    text = (machine.state / "pki" / "admin.kubeconfig").read_text()
    return text.partition("https://127.0.0.1:")[2].partition('"')[0]
