"""The workspace: a class that exists and can do what is asked of it, or a claim that can."""

from __future__ import annotations

from finetune_api.errors import NotFound
from finetune_cli.cluster.api import Api
from finetune_cli.cluster.kinds import STORAGE_CLASS
from finetune_cli.cluster.preflight.findings import Finding, problem, warning
from finetune_cli.cluster.preflight.subject import Subject
from finetune_operator.kinds import CLAIM, Manifest

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_ONE_NODE = (
    "ebs.csi.aws.com",
    "kubernetes.io/aws-ebs",
    "pd.csi.storage.gke.io",
    "kubernetes.io/gce-pd",
    "disk.csi.azure.com",
    "kubernetes.io/azure-disk",
    "cinder.csi.openstack.org",
    "rbd.csi.ceph.com",
    "topolvm.io",
    "rancher.io/local-path",
    "openebs.io/local",
    "k8s.io/minikube-hostpath",
)
"""Provisioners of file systems that one node at a time can mount, by their own documentation."""


async def storage(api: Api, subject: Subject) -> list[Finding]:
    """The class of the claim that will be made, or the claim that is named."""
    if subject.claim is None:
        return await _existing(api, subject)
    spec = subject.claim["spec"]
    return _class(await api.find_all(STORAGE_CLASS), spec.get("storageClassName"), spec["accessModes"][0])


def _class(classes: list[Manifest], wanted: str | None, mode: str) -> list[Finding]:
    field = "spec.workspace.storageClassName"
    names = [f"{one['metadata']['name']}{' (default)' if _is_default(one) else ''}" for one in classes]
    there = f"there {'are' if len(names) > 1 else 'is'} {', '.join(sorted(names))}" if names else "there is none at all"
    if wanted is None:
        chosen = [one for one in classes if _is_default(one)]
        if not chosen:
            return [problem(field, f"the cluster has no default storage class; {there}")]
    else:
        chosen = [one for one in classes if one["metadata"]["name"] == wanted]
        if not chosen:
            return [problem(field, f'there is no storage class "{wanted}"; {there}')]
    # Of several defaults the newest counts.
    used = max(chosen, key=lambda one: str(one["metadata"].get("creationTimestamp")))
    provisioner = used.get("provisioner")
    if mode == "ReadWriteMany" and provisioner in _ONE_NODE:
        volumes = f'volumes of the class "{used["metadata"]["name"]}" ({provisioner})'
        return [warning(field, f"{volumes} can be mounted by one node alone, and more than one node is asked for")]
    return []


def _is_default(one: Manifest) -> bool:
    return (one["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"


async def _existing(api: Api, subject: Subject) -> list[Finding]:
    name, field = subject.job.spec.workspace.claim_name or "", "spec.workspace.claimName"
    try:
        claim = await api.get(CLAIM, name, subject.namespace)
    except NotFound:
        return [problem(field, f'there is no claim "{name}" in namespace {subject.namespace}')]
    modes = (claim.get("spec") or {}).get("accessModes") or []
    phase = (claim.get("status") or {}).get("phase")
    found = []
    if claim["metadata"].get("deletionTimestamp"):
        found.append(problem(field, f'the claim "{name}" is being deleted'))
    if phase == "Lost":
        found.append(problem(field, f'the claim "{name}" has lost its volume'))
    if subject.job.spec.resources.nodes > 1 and "ReadWriteMany" not in modes:
        found.append(
            problem(
                field,
                f'the claim "{name}" is {", ".join(modes) or "of no access mode"}; more than one node needs ReadWriteMany',
            )
        )
    elif set(modes) == {"ReadOnlyMany"}:
        found.append(problem(field, f'the claim "{name}" can only be read'))
    return found
