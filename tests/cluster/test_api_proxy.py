"""The lying proxy: each lie is told as asked, to clients on this machine and in pods, and truth comes back when it ends."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator

import pytest

from cluster.api_proxy import Lie, LyingApi, lying_api
from cluster.kube import ApiError, Kube, connected, path_of, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.workloads import a_config_map, a_pod

pytestmark = pytest.mark.node_access


@pytest.fixture
def api(machine: Machine, kube: Kube) -> Iterator[LyingApi]:
    with lying_api(machine) as lying:
        yield lying


@pytest.fixture
def client(api: LyingApi, kube: Kube) -> Iterator[Kube]:
    """A client that takes the proxy for the API server."""
    with connected(api.kubeconfig, kubectl=kube.kubectl_path) as found:
        yield found


def test_without_rules_it_is_the_api_server(namespace: Namespace, client: Kube, api: LyingApi) -> None:
    client.create(a_config_map("a", text="x"), namespace=namespace.name)
    assert client.get("ConfigMap", "a", namespace=namespace.name)["data"] == {"text": "x"}
    assert ("GET", path_of("ConfigMap", namespace.name, "a")) in api.asked


@pytest.mark.parametrize("status", [403, 409, 410, 422, 429, 500, 503])
def test_it_refuses_as_often_as_asked_and_the_real_server_hears_nothing(
    namespace: Namespace, client: Kube, api: LyingApi, status: int
) -> None:
    # The client's own proxy does not repeat requests; so each lie is one answer.
    api.rules.append(Lie(methods="POST", path="/configmaps$", status=status, times=2))
    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            client.create(a_config_map("a"), namespace=namespace.name)
        assert refused.value.status == status
    assert namespace.find("ConfigMap", "a") is None
    client.create(a_config_map("a"), namespace=namespace.name)


def test_a_conflict_may_have_another_reason_and_a_refusal_may_say_when_to_come_back(client: Kube, api: LyingApi) -> None:
    api.rules.append(Lie(path="/nodes", status=409, reason="AlreadyExists", times=1))
    api.rules.append(Lie(path="/nodes", status=429, retry_after=7, times=1))
    with pytest.raises(ApiError, match="AlreadyExists: a lie"):
        client.list("Node")
    connection = http.client.HTTPConnection(client.host)
    connection.request("GET", "/api/v1/nodes")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    connection.close()


def test_it_skips_delays_and_hangs_up(client: Kube, api: LyingApi) -> None:
    api.rules.append(Lie(path="/nodes$", skip=1, hang_up=True))  # for good: clients ask again by themselves
    api.rules.append(Lie(path="/namespaces$", delay=1.5, times=1))
    assert len(client.list("Node")) == 2
    with pytest.raises(ApiError):
        client.list("Node")
    begun = time.monotonic()
    client.list("Namespace")
    assert time.monotonic() - begun >= 1.5


def test_an_answer_may_be_lost_although_the_write_was_carried_out(namespace: Namespace, client: Kube, api: LyingApi) -> None:
    api.rules.append(Lie(methods="POST", path="/configmaps$", lose_answer=True, times=1))
    with pytest.raises(ApiError):
        client.create(a_config_map("a"), namespace=namespace.name)
    assert namespace.find("ConfigMap", "a"), "it is there"
    with pytest.raises(ApiError, match="already exists"):
        client.create(a_config_map("a"), namespace=namespace.name)


# ---------------------------------------------------------------- watches


def watch(client: Kube, namespace: Namespace) -> http.client.HTTPResponse:
    """A watch on config maps from the beginning."""
    connection = http.client.HTTPConnection(client.host, timeout=60)
    connection.request("GET", path_of("ConfigMap", namespace.name) + "?watch=true")
    return connection.getresponse()


def event(stream: http.client.HTTPResponse) -> tuple[str, str]:
    """Type and name of the next event; ends with the stream."""
    line = stream.readline()
    if not line:
        raise EOFError
    told = json.loads(line)
    return told["type"], told["object"].get("metadata", {}).get("name") or str(told["object"].get("code"))


def test_a_watch_passes_through_as_it_happens(namespace: Namespace, client: Kube) -> None:
    stream = watch(client, namespace)
    seen = [event(stream)]  # the cluster's certificate, which every namespace gets
    namespace.create(a_config_map("later"))
    while seen[-1][1] != "later":
        seen.append(event(stream))
    assert seen[-1] == ("ADDED", "later")


def test_a_watch_may_end_in_the_middle(namespace: Namespace, client: Kube, api: LyingApi) -> None:
    wait_for(lambda: namespace.list("ConfigMap"), what="the cluster's certificate")
    api.rules.append(Lie(watch=True, cut_after_events=1, times=1))
    stream = watch(client, namespace)
    assert event(stream)[0] == "ADDED"
    with pytest.raises((EOFError, http.client.IncompleteRead)):
        event(stream)


def test_a_watch_may_begin_with_an_error(namespace: Namespace, client: Kube, api: LyingApi) -> None:
    api.rules.append(Lie(watch=True, error_event=410, times=1))
    assert event(watch(client, namespace)) == ("ERROR", "410")


def test_a_watch_may_go_silent_and_all_may_be_dropped(namespace: Namespace, client: Kube, api: LyingApi) -> None:
    wait_for(lambda: namespace.list("ConfigMap"), what="the cluster's certificate")
    api.rules.append(Lie(watch=True, silent_after_events=1, times=1))
    stream = watch(client, namespace)
    assert event(stream)[0] == "ADDED"
    namespace.create(a_config_map("unheard"))
    assert namespace.find("ConfigMap", "unheard")
    api.drop_watches()
    with pytest.raises((EOFError, http.client.IncompleteRead, ConnectionError)):  # a lost patience is a TimeoutError
        event(stream)


# ---------------------------------------------------------------- in a pod


def test_a_pod_takes_it_for_the_api_server_and_is_known_by_its_own_token(
    namespace: Namespace, api: LyingApi, trainer_image: str
) -> None:
    ask = """
import os, ssl, urllib.error, urllib.request
root = "/var/run/secrets/kubernetes.io/serviceaccount/"
url = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
headers = {"Authorization": "Bearer " + open(root + "token").read()}
for path in ("/version", "/api/v1/nodes"):
    try:
        request = urllib.request.Request(url + path, headers=headers)
        print(urllib.request.urlopen(request, context=ssl.create_default_context(cafile=root + "ca.crt")).status)
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
"""
    api.rules.append(Lie(path="/version", status=503))
    command = ["python", "-c", ask]
    pod = a_pod("asking", trainer_image, command, environment=api.environment, automountServiceAccountToken=True)
    namespace.create(pod)
    namespace.until_ended("asking")
    told = namespace.log("asking")
    assert "503" in told
    assert "a lie" in told
    assert f"system:serviceaccount:{namespace.name}:default" in told, (
        "the real server knows who asks, and lets it list no nodes"
    )
