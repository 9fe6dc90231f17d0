"""The chart as Helm renders it."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune_operator.settings import Settings, read_settings

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "finetune-operator"
NAMESPACE, RELEASE = "finetune-system", "finetune-operator"


@cache
def program(name: str) -> str:
    """A program of this machine, or the one that the test cluster has built."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    built = Path(os.environ.get("TESTCLUSTER_CACHE", home / "finetune-testcluster")) / "bin"
    found = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}{built}")
    if found is None:
        pytest.skip(f"{name} is not installed, and the test cluster has not built it")
    return found


def run_helm(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Helm with these values."""
    command = [program("helm"), *arguments, "--values", "-"]
    return subprocess.run(command, input=json.dumps(values or {}), text=True, capture_output=True, timeout=300, check=False)


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice, as the API server's reader does and PyYAML does not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: {sorted({key for key in keys if keys.count(key) > 1})} twice"
        return super().construct_mapping(node, deep)


@cache
def _rendered(text: str) -> list[dict[str, Any]]:
    run = run_helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=json.loads(text))
    assert run.returncode == 0, run.stderr
    return [document for document in yaml.load_all(run.stdout, _Strict) if document]


def installed(**values: Any) -> list[dict[str, Any]]:
    """Everything the chart installs with these values."""
    return copy.deepcopy(_rendered(json.dumps(values, sort_keys=True)))


def one(kind: str, name: str | None = None, **values: Any) -> dict[str, Any]:
    """The only object of a kind, or the one of a name."""
    (found,) = [o for o in installed(**values) if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    return found


def pod(**values: Any) -> dict[str, Any]:
    """The operator's pod template."""
    template: dict[str, Any] = one("Deployment", **values)["spec"]["template"]
    return template


def settings(**values: Any) -> Settings:
    """What the operator reads of its environment."""
    (container,) = pod(**values)["spec"]["containers"]
    environment = {entry["name"]: entry.get("value", "from-the-pod") for entry in container["env"]}
    return read_settings({**environment, "FINETUNE_NAMESPACE": NAMESPACE})
