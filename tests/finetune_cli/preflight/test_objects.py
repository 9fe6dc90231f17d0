"""finetune validate --cluster: what a cluster has against a job, all at once, each with its field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from builders import a_manifest
from preflight import (
    CLAIMS,
    CLASSES,
    MAPS,
    SECRETS,
    a_class,
    found,
    validate,
)
from servers.beside import Beside

if TYPE_CHECKING:
    from conftest import Desk


def test_a_cluster_that_has_everything_fits(desk: Desk, fit: Beside) -> None:
    ran = validate(desk)
    place = f"context here ({fit.api.url}) v1.36.0, namespace ml, operator 0.1.0 in finetune-system"
    assert (ran.code, ran.out, ran.err) == (0, f"job.yaml: finetunejob support is valid and fits {place}\n", "")
    asked = {method for method, *_ in fit.api.requests}
    assert asked == {"GET", "POST", "PATCH"}
    for method, url, _, _ in fit.api.requests:
        assert method == "GET" or "dryRun=All" in url or "selfsubjectaccessreviews" in url, "nothing is kept"


def test_values_of_secrets_are_never_asked_for(desk: Desk, fit: Beside) -> None:
    validate(desk, model={"uri": "hf://a/b", "secretName": "hub"}, podTemplate={"envFrom": [{"secretRef": {"name": "more"}}]})
    asked = fit.asked("GET", "/secrets")
    assert len(asked) == 2
    assert all("PartialObjectMetadata" in request[2]["Accept"] for request in asked)


def keyed(resource: tuple[str, str], name: str, *keys: str) -> tuple[tuple[str, str], dict[str, Any]]:
    record = {"manager": "kubectl", "fieldsV1": {"f:data": {".": {}, **{f"f:{key}": {} for key in keys}}, "f:type": {}}}
    return resource, {"metadata": {"name": name, "managedFields": [record]}}


BUCKET = [{"uri": "s3://corp/a.jsonl", "secretName": "bucket"}]
ENV = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "bucket", "key": "token"}}}]


@pytest.mark.parametrize(
    ("there", "spec", "kind", "field", "message"),
    [
        (
            [],
            {"preparation": {"weighting": {"relevance": {"reference": {"uri": "pvc://shown/a.jsonl"}}}}},
            "problems",
            "spec.preparation.weighting.relevance.reference.uri",
            'there is no PersistentVolumeClaim "shown" in namespace ml',
        ),
        ([], {"datasets": BUCKET}, "problems", "spec.datasets[0].secretName", 'there is no Secret "bucket" in namespace ml'),
        (
            [keyed(SECRETS, "bucket", "AWS_ACCESS_KEY_ID", "x")],
            {"datasets": BUCKET},
            "warnings",
            "spec.datasets[0].secretName",
            'Secret "bucket" has no key AWS_SECRET_ACCESS_KEY, by which the server is asked; it has AWS_ACCESS_KEY_ID, x',
        ),
        (
            [keyed(SECRETS, "bucket", "x")],
            {"podTemplate": {"env": ENV}},
            "problems",
            "spec.podTemplate.env[0].valueFrom.secretKeyRef",
            'Secret "bucket" has no key token; it has x',
        ),
        (
            [keyed(MAPS, "exam", "other.jsonl")],
            {"datasets": [{"uri": "configMap://exam/rows.jsonl"}]},
            "problems",
            "spec.datasets[0].uri",
            'ConfigMap "exam" has no key rows.jsonl; it has other.jsonl',
        ),
        (
            [],
            {"output": {"uri": "pvc://x/y"}},
            "problems",
            "spec.output.uri",
            'there is no PersistentVolumeClaim "x" in namespace ml',
        ),
        (
            [],
            {"podTemplate": {"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "ca"}}]}}]}},
            "problems",
            "spec.podTemplate.volumes[0].projected.sources[0].configMap",
            'there is no ConfigMap "ca" in namespace ml',
        ),
        (
            [],
            {"podTemplate": {"volumes": [{"name": "v", "secret": {"secretName": "s", "optional": True}}]}},
            "warnings",
            "spec.podTemplate.volumes[0].secret",
            'there is no Secret "s" in namespace ml',
        ),
        (
            [],
            {"podTemplate": {"serviceAccountName": "robot"}},
            "problems",
            "spec.podTemplate.serviceAccountName",
            'there is no ServiceAccount "robot" in namespace ml',
        ),
        (
            [],
            {"scheduling": {"priorityClassName": "p"}},
            "problems",
            "spec.scheduling.priorityClassName",
            'there is no PriorityClass "p"',
        ),
        (
            [],
            {"podTemplate": {"runtimeClassName": "r"}},
            "problems",
            "spec.podTemplate.runtimeClassName",
            'there is no RuntimeClass "r"',
        ),
        (
            [],
            {"workspace": {"storageClassName": "fast"}},
            "problems",
            "spec.workspace.storageClassName",
            'there is no storage class "fast"; there is usual (default)',
        ),
        (
            [(CLASSES, a_class("usual", default=True, provisioner="ebs.csi.aws.com"))],
            {"resources": {"nodes": 2}},
            "warnings",
            "spec.workspace.storageClassName",
            'volumes of the class "usual" (ebs.csi.aws.com) can be mounted by one node alone,'
            " and more than one node is asked for",
        ),
        (
            [],
            {"workspace": {"claimName": "w"}},
            "problems",
            "spec.workspace.claimName",
            'there is no claim "w" in namespace ml',
        ),
        (
            [(CLAIMS, {"metadata": {"name": "w"}, "spec": {"accessModes": ["ReadWriteOnce"]}})],
            {"workspace": {"claimName": "w"}, "resources": {"nodes": 2}},
            "problems",
            "spec.workspace.claimName",
            'the claim "w" is ReadWriteOnce; more than one node needs ReadWriteMany',
        ),
        (
            [],
            {"scheduling": {"queueName": "q"}},
            "warnings",
            "spec.scheduling.queueName",
            "the cluster has no Kueue: nothing would hold the pods back until there is room",
        ),
    ],
)
def test_each_object_that_a_manifest_names_is_looked_for(
    desk: Desk, fit: Beside, there: list[Any], spec: dict[str, Any], kind: str, field: str, message: str
) -> None:
    for resource, one in there:
        fit.put(resource, one)
    assert (field, message) in found(desk, **spec)[kind]


# ---------------------------------------------------------------- manifests


def test_a_manifest_with_mistakes_is_not_taken_to_the_cluster(desk: Desk, fit: Beside) -> None:
    ran = validate(desk, task="dance")
    assert (ran.code, fit.api.requests) == (1, [])
    assert ran.err.endswith("job.yaml: 1 problem\n")


def test_paths_that_a_cluster_does_not_see_are_problems(desk: Desk, fit: Beside) -> None:
    problems = found(desk, model={"uri": "file://model"})["problems"]
    assert any(field == "spec.model.uri" and "relative to the manifest's directory" in message for field, message in problems)


def test_two_namespaces_are_wrong_use(desk: Desk, fit: Beside) -> None:
    manifest = a_manifest()
    manifest["metadata"]["namespace"] = "a"
    (desk.folder / "job.yaml").write_text(json.dumps(manifest))
    ran = desk.finetune("validate", "-n", "b", "job.yaml")
    assert (ran.code, ran.err) == (2, "finetune: the manifest says namespace a and -n b; say it once\n")


def test_as_a_plugin_of_kubectl_validation_asks_the_cluster(desk: Desk, fit: Beside) -> None:
    ran = desk.finetune("validate", desk.manifest(), plugin=True)
    assert (ran.code, " and fits context here " in ran.out) == (0, True)
