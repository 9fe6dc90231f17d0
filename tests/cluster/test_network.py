"""Pods find each other by name, and a policy that denies egress is kept: what our promise of isolation rests on."""

from __future__ import annotations

import pytest

from cluster.kube import Kube, wait_for
from cluster.namespaces import Namespace
from cluster.workloads import a_pod, no_egress, on_node

SERVE = "import http.server as h; h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"
REACH = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close(); print("reached")
except socket.gaierror: print("no such name")
except TimeoutError: print("no answer")
except OSError as error: print(error.strerror)
"""
TO_DNS = {
    "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"role": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def reach(namespace: Namespace, host: str, port: int = 8080) -> str:
    """What the pod `client` sees when it connects."""
    return namespace.exec("client", "python", "-c", REACH, host, str(port)).strip()


def until(namespace: Namespace, seen: str, host: str, port: int = 8080) -> None:
    """Wait until the pod `client` sees this: a machine that stalls for two seconds gives no answer either."""
    wait_for(lambda: reach(namespace, host, port) == seen, what=f"{host}:{port}: {seen}")


@pytest.fixture
def addresses(namespace: Namespace, trainer_image: str) -> dict[str, str]:
    """A client on node 1, a server there and one on node 2, behind a service; their addresses."""
    serve = ["python", "-c", SERVE]
    namespace.create(SERVICE)
    namespace.create(a_pod("client", trainer_image, nodeSelector=on_node(1)))
    for number in (1, 2):
        spec = {"nodeSelector": on_node(number)}
        namespace.create(a_pod(f"server-{number}", trainer_image, serve, labels={"role": "web"}, **spec))
    found = {name: namespace.until_running(name)["status"]["podIP"] for name in ("client", "server-1", "server-2")}
    for name in ("server-1", "server-2"):
        until(namespace, "reached", found[name])
    return found


@pytest.mark.node_access
def test_without_a_policy_a_pod_reaches_others_by_address_and_by_the_service_s_name(
    namespace: Namespace, addresses: dict[str, str]
) -> None:
    until(namespace, "reached", addresses["server-1"])
    until(namespace, "reached", addresses["server-2"])
    until(namespace, "reached", "web", 80)
    until(namespace, "reached", f"web.{namespace.name}.svc.cluster.local", 80)
    assert reach(namespace, "nowhere") == "no such name"


@pytest.mark.node_access
def test_a_policy_without_egress_denies_pods_services_names_and_the_api_server(
    namespace: Namespace, addresses: dict[str, str]
) -> None:
    until(namespace, "reached", "kubernetes.default.svc", 443)
    namespace.create(no_egress("deny", {"app": "client"}))
    until(namespace, "no answer", addresses["server-2"])
    assert reach(namespace, addresses["server-1"]) == "no answer", "traffic within a node is filtered as well"
    assert reach(namespace, "web", 80) == "no such name", "names cannot be looked up"
    assert reach(namespace, "10.96.0.1", 443) == "no answer", "the API server"

    namespace.delete("NetworkPolicy", "deny")
    until(namespace, "reached", addresses["server-2"])


@pytest.mark.node_access
def test_a_policy_may_allow_names_and_some_pods_alone(namespace: Namespace, addresses: dict[str, str]) -> None:
    to_one = {"to": [{"podSelector": {"matchLabels": {"app": "server-2"}}}], "ports": [{"port": 8080}]}
    namespace.create(no_egress("some", {"app": "client"}, allow=[TO_DNS, to_one]))
    until(namespace, "no answer", addresses["server-1"])
    until(namespace, "reached", addresses["server-2"])
    assert reach(namespace, addresses["server-2"], 8081) == "no answer", "another port"
    assert reach(namespace, "kubernetes.default.svc", 443) == "no answer", "the name is known, the way is closed"


def test_the_restricted_standard_refuses_a_pod_that_wants_more(namespace: Namespace, trainer_image: str, kube: Kube) -> None:
    pod = a_pod("greedy", trainer_image)
    del pod["spec"]["containers"][0]["securityContext"]["runAsNonRoot"]
    with pytest.raises(Exception, match=r"violates PodSecurity \"restricted:latest\": .*runAsNonRoot"):
        namespace.create(pod)
