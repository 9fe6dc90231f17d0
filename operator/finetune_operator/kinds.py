"""How an object of the API is named: its kind, namespace and name, and the path under which the server keeps it.

The server's paths speak of plurals and manifests of kinds; nothing but a table leads from one to the other. Everything the
operator reads or writes stands in this one, which is therefore also the list of what its RBAC may hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune_api import meta

Manifest = dict[str, Any]
"""An object of the API as plain JSON types: a typed model would drop the fields of a newer Kubernetes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object."""

    api_version: str
    name: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Where the server keeps it."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        place = f"namespaces/{namespace}" if namespace else None
        return "/".join(part for part in (root, place, self.plural, name, subresource) if part)


FINE_TUNE_JOB = Kind(meta.API_VERSION, meta.KIND, meta.PLURAL)
CHILD_JOB = Kind("batch/v1", "Job", "jobs")
POD = Kind("v1", "Pod", "pods")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SERVICE = Kind("v1", "Service", "services")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
EVENT = Kind("v1", "Event", "events")
"""As others post them about pods and child Jobs; we read these."""
OUR_EVENT = Kind("events.k8s.io/v1", "Event", "events")
"""As we post them."""
SECRET = Kind("v1", "Secret", "secrets")
"""One, in the operator's own namespace: the key of the progress server's certificate authority."""
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
TOKEN_REVIEW = Kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews")
DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")

_KINDS = {
    (kind.api_version, kind.name): kind
    for kind in (
        FINE_TUNE_JOB,
        CHILD_JOB,
        POD,
        CONFIG_MAP,
        SERVICE,
        CLAIM,
        NETWORK_POLICY,
        EVENT,
        OUR_EVENT,
        SECRET,
        LEASE,
        TOKEN_REVIEW,
        DEFINITION,
    )
}


@dataclass(frozen=True, slots=True)
class Ref:
    """One object by name."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.name} {self.namespace}/{self.name}"


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of a manifest. Raises: KeyError for one that the operator has no business with."""
    return _KINDS[manifest["apiVersion"], manifest["kind"]]


def ref_of(manifest: Mapping[str, Any]) -> Ref:
    """The name of a manifest."""
    metadata = manifest["metadata"]
    return Ref(kind_of(manifest), metadata.get("namespace", ""), metadata["name"])


def owner_uid(manifest: Mapping[str, Any]) -> str | None:
    """Identity of the object that controls this one."""
    owners = manifest["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)
