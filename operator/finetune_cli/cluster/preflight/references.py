"""Every object that a manifest names: whether it is there, and whether it has the keys that will be asked for.

Values are never read. The server is asked for metadata alone, and the names of an object's keys stand in its record of who
set which field; where an object has no such record its keys stay unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_api.v1alpha1.running import PodTemplate, Raw
from finetune_api.v1alpha1.weighting import REFERENCE_FIELD
from finetune_cli.cluster.api import Api
from finetune_cli.cluster.kinds import PRIORITY_CLASS, RUNTIME_CLASS, SERVICE_ACCOUNT
from finetune_cli.cluster.preflight.findings import Finding, problem, warning
from finetune_cli.cluster.preflight.subject import Subject
from finetune_operator.kinds import CLAIM, CONFIG_MAP, SECRET, Kind, Manifest

_KEYS_OF_SCHEME = {"s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "hf": ("HF_TOKEN",)}
"""What the trainer looks for in the Secret of a URI, by scheme."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One object that a manifest names."""

    field: str
    kind: Kind
    name: str
    keys: tuple[str, ...] = ()
    """That a pod cannot start, or its stage cannot work, without."""
    usual_keys: tuple[str, ...] = ()
    """That are mostly needed, but may come from elsewhere."""
    optional: bool = False
    namespaced: bool = True


def references(subject: Subject) -> list[Reference]:
    """All objects that the manifest names, but for the workspace's claim (storage.py) and the queue (installation.py)."""
    spec = subject.job.spec
    named = [("spec.model", spec.model.uri, spec.model.secret_name)]
    named += [(f"spec.datasets[{i}]", one.uri, one.secret_name) for i, one in enumerate(spec.datasets)]
    named += [(f"spec.evaluation.suites[{i}]", one.uri, one.secret_name) for i, one in enumerate(spec.evaluation.suites)]
    detectors = spec.preparation.anonymize.detectors
    named += [(f"spec.preparation.anonymize.detectors[{i}]", one.uri, one.secret_name) for i, one in enumerate(detectors)]
    if (reference := spec.preparation.weighting.reference) is not None:
        named.append((REFERENCE_FIELD, reference.uri, reference.secret_name))
    named.append(("spec.output", spec.output.uri, spec.output.secret_name))
    found: list[Reference] = []
    for field, uri, secret in named:
        scheme, _, place = uri.partition("://")
        name, _, path = place.partition("/")
        if scheme == "pvc" and name:
            found.append(Reference(f"{field}.uri", CLAIM, name))
        if scheme == "configMap" and name:
            key = (path,) if path and "/" not in path and "*" not in path else ()
            found.append(Reference(f"{field}.uri", CONFIG_MAP, name, keys=key))
        if secret:
            found.append(Reference(f"{field}.secretName", SECRET, secret, usual_keys=_KEYS_OF_SCHEME.get(scheme, ())))
    if named_key := spec.preparation.anonymize.secret_name:
        found.append(Reference("spec.preparation.anonymize.secretName", SECRET, named_key, keys=("KEY",)))
    if (dask := spec.preparation.engine.dask) is not None and dask.secret_name:
        field = "spec.preparation.engine.dask.secretName"
        found.append(Reference(field, SECRET, dask.secret_name, keys=("CA", "CERT", "KEY")))
    template = spec.pod_template or PodTemplate()
    found += _of_template(template)
    account = template.service_account_name
    field = "spec.podTemplate.serviceAccountName" if account else ""
    found.append(Reference(field, SERVICE_ACCOUNT, account or "default"))
    if spec.scheduling.priority_class_name:
        found.append(
            Reference(
                "spec.scheduling.priorityClassName", PRIORITY_CLASS, spec.scheduling.priority_class_name, namespaced=False
            )
        )
    if template.runtime_class_name:
        found.append(
            Reference("spec.podTemplate.runtimeClassName", RUNTIME_CLASS, template.runtime_class_name, namespaced=False)
        )
    return list(dict.fromkeys(found))


def _of_template(template: PodTemplate) -> Iterator[Reference]:
    root = "spec.podTemplate"
    for i, one in enumerate(template.env):
        source = one.get("valueFrom") or {}
        yield from _keyed(f"{root}.env[{i}].valueFrom.secretKeyRef", SECRET, source.get("secretKeyRef"))
        yield from _keyed(f"{root}.env[{i}].valueFrom.configMapKeyRef", CONFIG_MAP, source.get("configMapKeyRef"))
    for i, one in enumerate(template.env_from):
        yield from _keyed(f"{root}.envFrom[{i}].secretRef", SECRET, one.get("secretRef"))
        yield from _keyed(f"{root}.envFrom[{i}].configMapRef", CONFIG_MAP, one.get("configMapRef"))
    for i, one in enumerate(template.volumes):
        yield from _of_volume(f"{root}.volumes[{i}]", one)
    for i, name in enumerate(template.image_pull_secrets):
        yield Reference(f"{root}.imagePullSecrets[{i}]", SECRET, name, optional=True)


def _of_volume(field: str, volume: Raw) -> Iterator[Reference]:
    secret = volume.get("secret") or {}
    if secret.get("secretName"):
        yield from _keyed(f"{field}.secret", SECRET, {**secret, "name": secret["secretName"]})
    yield from _keyed(f"{field}.configMap", CONFIG_MAP, volume.get("configMap"))
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    if claim:
        yield Reference(f"{field}.persistentVolumeClaim", CLAIM, str(claim))
    for i, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
        yield from _keyed(f"{field}.projected.sources[{i}].secret", SECRET, source.get("secret"))
        yield from _keyed(f"{field}.projected.sources[{i}].configMap", CONFIG_MAP, source.get("configMap"))


def _keyed(field: str, kind: Kind, said: Raw | None) -> Iterator[Reference]:
    if said and said.get("name"):
        keys = [said["key"]] if said.get("key") else [item["key"] for item in said.get("items") or () if item.get("key")]
        yield Reference(field, kind, str(said["name"]), tuple(map(str, keys)), optional=bool(said.get("optional")))


async def look_at(api: Api, subject: Subject, reference: Reference) -> list[Finding]:
    """Whether it is there."""
    namespace = subject.namespace if reference.namespaced else None
    what = f'{reference.kind.name} "{reference.name}"'
    metadata = await api.metadata(reference.kind, reference.name, namespace)
    if metadata is None:
        where = f" in namespace {namespace}" if namespace else ""
        if reference.kind is SERVICE_ACCOUNT and not reference.field:
            return [problem("", f"namespace {namespace} has no {what}, with which pods run that name none")]
        found = (warning if reference.optional else problem)(reference.field, f"there is no {what}{where}")
        return [found]
    if metadata.get("deletionTimestamp"):
        return [problem(reference.field, f"{what} is being deleted")]
    keys = keys_of(metadata)
    if keys is None:
        return []
    missing = [key for key in reference.keys if key not in keys]
    unusual = [key for key in reference.usual_keys if key not in keys]
    held = f"it has {', '.join(sorted(keys)) or 'none'}"
    if missing:
        found = (warning if reference.optional else problem)(reference.field, f"{what} has no key {', '.join(missing)}; {held}")
        return [found]
    if unusual:
        return [warning(reference.field, f"{what} has no key {', '.join(unusual)}, by which the server is asked; {held}")]
    return []


def keys_of(metadata: Manifest) -> set[str] | None:
    """Names of the keys of a Secret or ConfigMap, from its metadata; None where they do not stand there.

    Source: Kubernetes server-side apply, metadata.managedFields in the format FieldsV1.
    """
    keys: set[str] = set()
    records = metadata.get("managedFields") or ()
    for record in records:
        fields = record.get("fieldsV1") or {}
        for block in ("f:data", "f:binaryData"):
            keys |= {name.removeprefix("f:") for name in fields.get(block) or {} if name.startswith("f:")}
    return keys if records else None
