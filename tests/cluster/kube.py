"""A Kubernetes API for tests: plain dicts in and out, and waiting for what becomes true instead of sleeping.

Requests go through `kubectl proxy`, which knows every way to log in that a kubeconfig may name; so the same tests run on our
own cluster and on anybody's. An answer that is not a success is an ApiError that says what was asked.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

Manifest = dict[str, Any]
T = TypeVar("T")

_KINDS = {  # kind: API group and version, plural, whether it lives in a namespace
    "ConfigMap": ("v1", "configmaps", True),
    "Endpoints": ("v1", "endpoints", True),
    "Event": ("v1", "events", True),
    "Namespace": ("v1", "namespaces", False),
    "Node": ("v1", "nodes", False),
    "PersistentVolume": ("v1", "persistentvolumes", False),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "Pod": ("v1", "pods", True),
    "ResourceQuota": ("v1", "resourcequotas", True),
    "Secret": ("v1", "secrets", True),
    "Service": ("v1", "services", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "Deployment": ("apps/v1", "deployments", True),
    "Job": ("batch/v1", "jobs", True),
    "Lease": ("coordination.k8s.io/v1", "leases", True),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies", True),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "Role": ("rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings", True),
    "StorageClass": ("storage.k8s.io/v1", "storageclasses", False),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "FineTuneJob": ("finetune.dev/v1alpha1", "finetunejobs", True),
    "ResourceFlavor": ("kueue.x-k8s.io/v1beta1", "resourceflavors", False),
    "ClusterQueue": ("kueue.x-k8s.io/v1beta1", "clusterqueues", False),
    "LocalQueue": ("kueue.x-k8s.io/v1beta1", "localqueues", True),
    "Workload": ("kueue.x-k8s.io/v1beta1", "workloads", True),
}


class ApiError(Exception):
    """An answer that is not a success; status 0 where there was none at all."""

    def __init__(self, asked: str, status: int, text: str) -> None:
        said = _status_in(text)
        message = str(said.get("message", text.strip()[:500]))
        super().__init__(f"{asked}: {status} {message}")
        self.status = status
        self.message = message
        self.causes: list[dict[str, str]] = said.get("details", {}).get("causes", [])
        """Of a refused object: field, reason and message of each problem."""


def path_of(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """The URL path of an object, or of all of its kind."""
    version, plural, namespaced = _KINDS[kind]
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    place = f"/namespaces/{namespace}" if namespaced and namespace else ""
    return f"{root}{place}/{plural}" + (f"/{name}" if name else "")


@dataclass(frozen=True, slots=True)
class Kube:
    """The API of one cluster, at an address that needs no login."""

    host: str
    """Host and port of plain HTTP."""
    kubeconfig: Path
    kubectl_path: str = "kubectl"

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: Any) -> Any:
        """One request, decoded.

        Raises: ApiError for an answer that is not a success, or for none.
        """
        asked = f"{method} {path}" + (f"?{urlencode(query)}" if query else "")
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, asked.partition(" ")[2], data, {"Content-Type": content_type} if data else {})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(asked, 0, repr(error)) from None
        finally:
            connection.close()
        if answer.status >= 300:
            raise ApiError(asked, answer.status, text)
        return json.loads(text) if text.startswith("{") else text

    def create(self, manifest: Manifest, *, namespace: str | None = None, **query: Any) -> Manifest:
        """Create an object; the object as the server stored it."""
        namespace = namespace or manifest["metadata"].get("namespace")
        created: Manifest = self.request("POST", path_of(manifest["kind"], namespace), manifest, **query)
        return created

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> Manifest:
        """One object."""
        found: Manifest = self.request("GET", path_of(kind, namespace, name))
        return found

    def find(self, kind: str, name: str, *, namespace: str | None = None) -> Manifest | None:
        """One object, None if there is none of this name."""
        try:
            return self.get(kind, name, namespace=namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, *, namespace: str | None = None, labels: str = "") -> list[Manifest]:
        """All objects of a kind, those with these labels."""
        found: list[Manifest] | None = self.request(
            "GET", path_of(kind, namespace), **({"labelSelector": labels} if labels else {})
        )["items"]
        return found or []

    def merge(self, kind: str, name: str, change: Manifest, *, namespace: str | None = None, part: str = "") -> Manifest:
        """Change fields of an object; `part` is a subresource, for instance status."""
        path = path_of(kind, namespace, name) + (f"/{part}" if part else "")
        changed: Manifest = self.request("PATCH", path, change, content_type="application/merge-patch+json")
        return changed

    def delete(self, kind: str, name: str, *, namespace: str | None = None, grace_seconds: int | None = None) -> None:
        """Delete an object, its children in the background; one that is gone already is success."""
        options: Manifest = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            self.request("DELETE", path_of(kind, namespace, name), options)
        except ApiError as error:
            if error.status != 404:
                raise

    def log(self, pod: str, *, namespace: str, previous: bool = False) -> str:
        """What a pod's only container has said."""
        return str(self.request("GET", path_of("Pod", namespace, pod) + "/log", **({"previous": "true"} if previous else {})))

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl on this cluster."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(
            [self.kubectl_path, *arguments],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if check and done.returncode:
            raise ApiError(f"kubectl {' '.join(arguments)}", done.returncode, done.stderr.strip())
        return done


def _status_in(text: str) -> Manifest:
    """The Status object that an API server answers with; empty where the answer is something else."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


@contextmanager
def connected(kubeconfig: Path, *, kubectl: str) -> Iterator[Kube]:
    """The cluster of a kubeconfig."""
    command = [kubectl, "proxy", "--port=0", "--reject-paths=^$"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    proxy = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert proxy.stdout is not None
        said = proxy.stdout.readline()  # Starting to serve on 127.0.0.1:PORT
        if "Starting to serve on" not in said:
            raise RuntimeError(f"kubectl proxy did not start with {kubeconfig}: {said!r}")
        yield Kube(said.split()[-1], kubeconfig, kubectl)
    finally:
        proxy.terminate()
        proxy.wait(60)


# ---------------------------------------------------------------- waiting


PATIENCE = 2.0
"""A wait that ends well costs nothing by being allowed long: machines were met that are three times as slow as others."""


def wait_for(condition: Callable[[], T | None], *, what: str, seconds: float = 60) -> T:
    """Poll until the condition gives something true, and return that.

    Errors of the API count as "not yet": the tests stop API servers. The message of a timeout tells the last answer.

    Args:
        seconds: within which it happens on an ordinary machine; `PATIENCE` times as long is waited.

    Raises: AssertionError after so long.
    """
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    last: T | ApiError | None = None
    while True:
        try:
            found = last = condition()
            if found:
                return found
        except ApiError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen in {seconds:.0f} s; last seen: {_short(last)}")
        time.sleep(0.1)


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 1500 else f"{text[:1500]} ..."


def condition_of(thing: Manifest, kind: str) -> Manifest | None:
    """A condition of an object's status, if it is there."""
    conditions = thing.get("status", {}).get("conditions") or []  # null, while a definition is new
    return next((c for c in conditions if c["type"] == kind), None)


def is_true(thing: Manifest, kind: str) -> bool:
    """Whether a condition holds."""
    return (condition_of(thing, kind) or {}).get("status") == "True"
