"""What a cluster cannot do is refused before anything is created, by the field that says it."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_api.errors import InvalidSpec
from finetune_operator.render import check
from rendered import CLASSIFICATION, EVERYTHING, OWN_TRAINER, QUICKSTART, stored


@pytest.mark.parametrize("job", [QUICKSTART, CLASSIFICATION, OWN_TRAINER, EVERYTHING], ids=lambda job: job.name)
def test_what_can_be_run_passes(job: Any) -> None:
    check(job)


def volume(**kind: Any) -> dict[str, Any]:
    return {"podTemplate": {"volumes": [{"name": "mine", **kind}]}}


def mount(path: str) -> dict[str, Any]:
    return {"podTemplate": {"volumeMounts": [{"name": "mine", "mountPath": path}]}}


def app_armor(profile: str) -> dict[str, Any]:
    return {"podTemplate": {"annotations": {"container.apparmor.security.beta.kubernetes.io/trainer": profile}}}


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (volume(hostPath={"path": "/"}), "spec.podTemplate.volumes[0].hostPath", "restricted"),
        (volume(nfs={"server": "x", "path": "/"}), "spec.podTemplate.volumes[0].nfs", "restricted"),
        (
            volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
            "spec.podTemplate.volumes[0].projected",
            "no service account's token",
        ),
        ({"podTemplate": {"volumes": [{"name": "finetune-tmp"}]}}, "spec.podTemplate.volumes[0].name", "finetune-"),
        (mount("/workspace/model"), "spec.podTemplate.volumeMounts[0].mountPath", "/workspace"),
        (mount("/etc/finetune"), "spec.podTemplate.volumeMounts[0].mountPath", "/etc/finetune"),
        (mount("/"), "spec.podTemplate.volumeMounts[0].mountPath", "the job's own"),
        (mount("workspace"), "spec.podTemplate.volumeMounts[0].mountPath", "/workspace"),
        (mount("//var/run/finetune"), "spec.podTemplate.volumeMounts[0].mountPath", "/var/run/finetune"),
        (mount("/data/../tmp/x"), "spec.podTemplate.volumeMounts[0].mountPath", "/tmp"),
        (app_armor("unconfined"), "spec.podTemplate.annotations", "runtime/default"),
        ({"model": {"uri": "file://data/model.gguf"}}, "spec.model.uri", "pvc://claim/path"),
        ({"datasets": [{"uri": "file://data/rows.jsonl"}]}, "spec.datasets[0].uri", "configMap://name/key"),
        ({"output": {"uri": "file://data/adapter"}}, "spec.output.uri", "relative"),
    ],
)
def test_what_cannot_be_run_is_refused_by_its_field(spec: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        check(stored(**spec))
    (problem,) = refused.value.problems
    assert problem.field == field
    assert words in problem.message


@pytest.mark.parametrize("path", ["/data", "/etc/finetune-more", "/mnt/other", "/var/run/secrets"])
def test_a_place_beside_ours_is_free(path: str) -> None:
    check(stored(**mount(path)))


@pytest.mark.parametrize("profile", ["runtime/default", "localhost/trainer"])
def test_a_profile_that_confines_is_the_users_to_choose(profile: str) -> None:
    check(stored(**app_armor(profile)))


def test_a_path_of_the_pods_own_file_system_may_come_from_a_volume_of_the_users() -> None:
    check(stored(model={"uri": "file:///models/x"}))
