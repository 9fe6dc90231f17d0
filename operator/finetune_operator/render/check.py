"""What a manifest may say and a cluster cannot do, found before anything is created.

`podTemplate` is raw JSON, so the API server's schema says nothing about its inside. The operator creates pods with rights
that the job's author may not have; what would let them out of their namespace's standard is refused here, by name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import PurePosixPath

from finetune_api.errors import InvalidSpec, Problem
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.running import PodTemplate, Raw
from finetune_api.v1alpha1.weighting import REFERENCE_FIELD
from finetune_operator.render.volumes import OUR_PLACES, OUR_PREFIX

_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
"""Kinds of volumes under the `restricted` Pod Security Standard."""
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
"""An annotation that Kubernetes obeys like a field of the security context, and the standard bounds likewise."""


def check(job: FineTuneJob) -> None:
    """Refuse what can be told from the manifest alone.

    Raises: InvalidSpec with every problem.
    """
    problems = [*_uris(job), *check_template(job.spec.pod_template or PodTemplate())]
    if problems:
        raise InvalidSpec(problems)


def check_template(template: PodTemplate) -> list[Problem]:
    """What no pod of a job may be given, in any cluster."""
    return [*_annotations(template), *_volumes(template)]


def _uris(job: FineTuneJob) -> Iterator[Problem]:
    spec = job.spec
    named = {
        "spec.model.uri": spec.model.uri,
        **{f"spec.datasets[{index}].uri": dataset.uri for index, dataset in enumerate(spec.datasets)},
        **{f"spec.evaluation.suites[{index}].uri": suite.uri for index, suite in enumerate(spec.evaluation.suites)},
        **{
            f"spec.preparation.anonymize.detectors[{index}].uri": detector.uri
            for index, detector in enumerate(spec.preparation.anonymize.detectors)
        },
        "spec.output.uri": spec.output.uri,
    }
    if (reference := spec.preparation.weighting.reference) is not None:
        named[f"{REFERENCE_FIELD}.uri"] = reference.uri
    for field, uri in named.items():
        if uri.startswith("file://") and not uri.startswith("file:///"):
            yield Problem(
                field,
                f"{uri} is relative to the manifest's directory, which a cluster does not see; put it on a claim"
                " (pvc://claim/path), into a bucket or, if it is small, into a ConfigMap (configMap://name/key)",
            )


def _annotations(template: PodTemplate) -> Iterator[Problem]:
    for name, value in (template.annotations or {}).items():
        if name.startswith(_APP_ARMOR) and value != "runtime/default" and not value.startswith("localhost/"):
            yield Problem(
                "spec.podTemplate.annotations",
                f"{name}: {value} is nothing that the restricted Pod Security Standard allows: runtime/default, localhost/...",
            )


def _volumes(template: PodTemplate) -> Iterator[Problem]:
    for index, volume in enumerate(template.volumes):
        yield from _volume(f"spec.podTemplate.volumes[{index}]", volume)
    for index, mount in enumerate(template.volume_mounts):
        # As the kubelet takes it: a path without its slash, with two, or through `..` is the same place.
        place = PurePosixPath(posixpath.normpath("/" + str(mount.get("mountPath", "")).lstrip("/")))
        ours = [taken for taken in OUR_PLACES if place.is_relative_to(taken) or PurePosixPath(taken).is_relative_to(place)]
        if ours:
            yield Problem(
                f"spec.podTemplate.volumeMounts[{index}].mountPath", f"{place} meets {ours[0]}, which is the job's own"
            )


def _volume(field: str, volume: Raw) -> Iterator[Problem]:
    if str(volume.get("name", "")).startswith(OUR_PREFIX):
        yield Problem(f"{field}.name", f"names that begin with {OUR_PREFIX} are the job's own")
    for kind in volume:
        if kind != "name" and kind not in _VOLUMES:
            yield Problem(
                f"{field}.{kind}", f"is no volume that the restricted Pod Security Standard allows: {', '.join(_VOLUMES)}"
            )
    projected = volume.get("projected")
    sources = projected.get("sources") if isinstance(projected, dict) else None
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, dict) and "serviceAccountToken" in source:
            yield Problem(f"{field}.projected", "a pod gets no service account's token but the one for its reports")
