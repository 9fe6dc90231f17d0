"""What the installation says in the environment."""

from __future__ import annotations

import json

import pytest

from finetune_api.errors import InvalidSpec
from finetune_operator.settings import read_settings
from operating import ENVIRONMENT


def test_every_wrong_setting_is_named_at_once() -> None:
    wrong = {
        **ENVIRONMENT,
        "FINETUNE_WORKERS": "many",
        "FINETUNE_WROKERS": "4",
        "FINETUNE_OPERATOR_LABELS": "app=x",
        "FINETUNE_NAMESPACE": "",
        "FINETUNE_LIGHT_CPU": "4Gi",
    }
    with pytest.raises(InvalidSpec) as caught:
        read_settings(wrong)
    assert {problem.field for problem in caught.value.problems} == {
        "FINETUNE_WORKERS",
        "FINETUNE_WROKERS",
        "FINETUNE_OPERATOR_LABELS",
        "FINETUNE_NAMESPACE",
        "FINETUNE_LIGHT_CPU",
    }


def test_settings_reach_what_is_rendered() -> None:
    settings = read_settings(
        {**ENVIRONMENT, "FINETUNE_DNS_LABELS": json.dumps({"k8s-app": "coredns"}), "FINETUNE_FS_GROUP": "0"}
    )
    assert settings.render.progress_url == "https://finetune-operator-progress.system.svc:8443"
    assert settings.render.dns_labels == {"k8s-app": "coredns"}
    assert settings.render.fs_group is None
    assert settings.render.storage_class_name is None
