"""What goes wrong on a real cluster, each as a function that makes it happen.

A fault that lasts is a context manager: it holds until the `with` ends, heals, and waits until the cluster is whole again, so
that the next test finds it as this one did. Each is proven by a test that sees its effect (test_faults_*.py); what was seen,
and after how long, is in docs/testing-cluster.md. For an API server that lies see api_proxy.py.

    pods           kill_rank  freeze_rank  kill_container  delete_pod  evict_pod
    pods that      with_unpullable_image  with_too_many_gpus  with_missing_volume  with_full_volume  with_little_memory
      can't run
    nodes          tainted  drained  node_killed  node_lost_silently  node_frozen  node_cut_off  kubelet_stopped
                   gpu_broken  gpus_gone
    control plane  component_stopped  component_slowed
    credentials    a_token (one that expires, or has expired)
"""

from __future__ import annotations

import base64
import copy
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from cluster.kube import Kube, Manifest, is_true, path_of, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace

GPU = "nvidia.com/gpu"
_FORGIVEN_SECONDS = 60


def number_of(pod: Manifest) -> int:
    """The number of the node on which a pod runs."""
    return int(str(pod["spec"]["nodeName"]).removeprefix("node"))


# ---------------------------------------------------------------- pods


def kill_rank(machine: Machine, pod: Manifest, rank: int) -> None:
    """End a training process, not the launcher that started it, as a segmentation fault would."""
    os.kill(_pid_of_rank(machine, pod, rank), signal.SIGKILL)


@contextmanager
def freeze_rank(machine: Machine, pod: Manifest, rank: int) -> Iterator[None]:
    """A training process that hangs: it exists and does nothing."""
    pid = _pid_of_rank(machine, pod, rank)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGCONT)


def kill_container(machine: Machine, pod: Manifest) -> None:
    """End a pod's first process at once."""
    machine.node("exec", number_of(pod), "ctr", "-n", "k8s.io", "task", "kill", "-s", "SIGKILL", _container(pod))


def delete_pod(namespace: Namespace, pod: str) -> None:
    """Ask it to end, as `kubectl delete` does."""
    namespace.delete("Pod", pod)


def evict_pod(namespace: Namespace, pod: str) -> None:
    """Ask it to leave its node, as the autoscaler does."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    namespace.kube.request("POST", path_of("Pod", namespace.name, pod) + "/eviction", eviction)


def _container(pod: Manifest) -> str:
    return str(pod["status"]["containerStatuses"][0]["containerID"]).removeprefix("containerd://")


def _pid_of_rank(machine: Machine, pod: Manifest, rank: int) -> int:
    tasks = machine.node("exec", number_of(pod), "ctr", "-n", "k8s.io", "tasks", "ls").splitlines()
    first = next(int(line.split()[1]) for line in tasks if line.startswith(_container(pod)))
    for pid in _family(first):
        with suppress(OSError):
            if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return pid
    raise LookupError(f"pod {pod['metadata']['name']} has no process of rank {rank}")


def _family(pid: int) -> Iterator[int]:
    """A process and all its descendants; threads and processes that end meanwhile are none."""
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children: list[str] = []
            with suppress(OSError):
                children = (thread / "children").read_text().split()
            for child in children:
                yield from _family(int(child))


# ---------------------------------------------------------------- pods that cannot run


def with_unpullable_image(pod: Manifest) -> Manifest:
    """A registry that refuses connections."""
    return _with_container(pod, image="127.0.0.1:9/none:1", imagePullPolicy="Always")


def with_too_many_gpus(pod: Manifest, *, gpus: int = 64) -> Manifest:
    """More GPUs than any node has."""
    return _with_container(pod, resources={"limits": {GPU: gpus}})


def with_missing_volume(pod: Manifest) -> Manifest:
    """A claim that does not exist."""
    changed = copy.deepcopy(pod)
    volume = {"name": "missing", "persistentVolumeClaim": {"claimName": "not-there"}}
    changed["spec"]["volumes"].append(volume)
    changed["spec"]["containers"][0]["volumeMounts"].append({"name": "missing", "mountPath": "/missing"})
    return changed


def with_full_volume(pod: Manifest, path: str, *, free: str = "1Mi") -> Manifest:
    """A directory with hardly any room."""
    changed = copy.deepcopy(pod)
    changed["spec"]["volumes"].append({"name": "full", "emptyDir": {"medium": "Memory", "sizeLimit": free}})
    changed["spec"]["containers"][0]["volumeMounts"].append({"name": "full", "mountPath": path})
    return changed


def with_little_memory(pod: Manifest, *, limit: str = "50Mi") -> Manifest:
    """Less memory than it needs."""
    return _with_container(pod, resources={"limits": {"memory": limit}})


def _with_container(pod: Manifest, **fields: Any) -> Manifest:
    changed = copy.deepcopy(pod)
    changed["spec"]["containers"][0].update(fields)
    return changed


# ---------------------------------------------------------------- nodes


@contextmanager
def tainted(kube: Kube, node: int, *, effect: str = "NoExecute") -> Iterator[None]:
    """A person, or a controller, wants no pods there."""
    kube.kubectl("taint", "node", f"node{node}", f"test=fault:{effect}")
    try:
        yield
    finally:
        kube.kubectl("taint", "node", f"node{node}", "test-")


@contextmanager
def drained(kube: Kube, node: int) -> Iterator[None]:
    """Maintenance: no new pods, and those that are there are evicted."""
    try:
        kube.kubectl("drain", f"node{node}", "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=300s")
        yield
    finally:
        kube.kubectl("uncordon", f"node{node}")


@contextmanager
def node_killed(machine: Machine, kube: Kube, node: int) -> Iterator[None]:
    """A power cut: everything on the node ends at once; its network answers that nobody is there."""
    machine.node("kill", node)
    try:
        yield
    finally:
        machine.node("up", node)
        until_whole(machine, kube, node)


@contextmanager
def node_lost_silently(machine: Machine, kube: Kube, node: int) -> Iterator[None]:
    """A power cut after which the network answers nothing at all: peers wait."""
    machine.node("cut", node)
    machine.node("kill", node)
    try:
        yield
    finally:
        machine.node("join", node)
        machine.node("up", node)
        until_whole(machine, kube, node)


@contextmanager
def node_frozen(machine: Machine, kube: Kube, node: int) -> Iterator[None]:
    """The node hangs with all its processes; thawed, they go on."""
    machine.node("freeze", node)
    try:
        yield
    finally:
        machine.node("thaw", node)
        until_whole(machine, kube, node)


@contextmanager
def node_cut_off(machine: Machine, kube: Kube, node: int) -> Iterator[None]:
    """The node's network is gone; its processes run on."""
    machine.node("cut", node)
    try:
        yield
    finally:
        machine.node("join", node)
        until_whole(machine, kube, node)


@contextmanager
def kubelet_stopped(machine: Machine, kube: Kube, node: int) -> Iterator[None]:
    """Nobody looks after the node's pods; they run on."""
    machine.node("stop", node, "kubelet")
    try:
        yield
    finally:
        machine.node("start", node, "kubelet")
        until_whole(machine, kube, node)


@contextmanager
def gpu_broken(machine: Machine, kube: Kube, node: int) -> Iterator[None]:
    """One of the node's GPUs is reported unhealthy."""
    machine.node("signal", node, "fakegpu", "USR1")
    try:
        yield
    finally:
        machine.node("signal", node, "fakegpu", "USR2")
        until_whole(machine, kube, node)


@contextmanager
def gpus_gone(machine: Machine, kube: Kube, node: int) -> Iterator[None]:
    """The device plugin has crashed: no GPU of the node can be had."""
    machine.node("stop", node, "fakegpu")
    try:
        yield
    finally:
        machine.node("start", node, "fakegpu")
        until_whole(machine, kube, node)


def gpus_of(kube: Kube, node: int) -> int:
    """How many GPUs of a node Kubernetes may give away."""
    return int(kube.get("Node", f"node{node}")["status"]["allocatable"].get(GPU, 0))


def until_not_ready(kube: Kube, node: int, *, seconds: float = 60) -> None:
    """Wait until the cluster has noticed that a node is gone."""
    wait_for(lambda: not is_true(kube.get("Node", f"node{node}"), "Ready"), what=f"node{node} NotReady", seconds=seconds)


def until_whole(machine: Machine, kube: Kube, node: int) -> None:
    """Wait until a node takes pods again: Ready, without taints, all GPUs there, its DNS answering."""

    def whole() -> bool:
        found = kube.get("Node", f"node{node}")
        pods = kube.list("Pod", namespace="kube-system", labels="k8s-app=kube-dns")
        dns = [
            pod for pod in pods if pod["spec"].get("nodeName") == f"node{node}" and "deletionTimestamp" not in pod["metadata"]
        ]
        return (
            is_true(found, "Ready")
            and not found["spec"].get("taints")
            and gpus_of(kube, node) == machine.gpus_per_node
            and any(is_true(pod, "Ready") for pod in dns)
        )

    wait_for(whole, what=f"node{node} whole", seconds=90)


# ---------------------------------------------------------------- control plane


@contextmanager
def component_stopped(machine: Machine, kube: Kube, component: str, *, how: str = "KILL") -> Iterator[None]:
    """etcd, kube-apiserver, kube-controller-manager or kube-scheduler is gone."""
    machine.control_plane("stop", component, how)
    try:
        yield
    finally:
        machine.control_plane("start", component)
        until_ready(kube)


@contextmanager
def component_slowed(machine: Machine, kube: Kube, component: str, *, share: float = 0.2) -> Iterator[None]:
    """The component gets only this share of the time, in slices of a quarter of a second: an overloaded machine."""
    over = threading.Event()

    def stutter() -> None:
        while not over.is_set():
            machine.control_plane("signal", component, "STOP")
            over.wait(0.25 * (1 - share))
            machine.control_plane("signal", component, "CONT")
            over.wait(0.25 * share)

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        machine.control_plane("signal", component, "CONT")
        until_ready(kube)


def until_ready(kube: Kube) -> None:
    """Wait until the API server says that it and etcd are well."""
    wait_for(lambda: kube.request("GET", "/readyz") == "ok", what="the API server ready", seconds=60)


# ---------------------------------------------------------------- credentials


def a_token(machine: Machine, namespace: Namespace, *, account: str = "default", lives_seconds: float = 3600) -> str:
    """A service account's token that is good for so long from now; negative: it has expired already.

    The API server itself gives none for less than ten minutes, so it is signed here with the cluster's own key. The server
    forgives a minute when it looks at a token's end, and remembers for ten seconds that a token was good.
    """
    key = serialization.load_pem_private_key((machine.state / "pki" / "service-account.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    uid = namespace.get("ServiceAccount", account)["metadata"]["uid"]
    now = int(time.time())
    issuer = "https://kubernetes.default.svc"
    claims = {
        "iss": issuer,
        "aud": [issuer],
        "sub": f"system:serviceaccount:{namespace.name}:{account}",
        "iat": now - 7200,
        "nbf": now - 7200,
        "exp": int(now + lives_seconds - _FORGIVEN_SECONDS),
        "kubernetes.io": {"namespace": namespace.name, "serviceaccount": {"name": account, "uid": uid}},
    }
    signed = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
    r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return (signed + b"." + _encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
