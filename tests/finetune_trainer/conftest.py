from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stages
from rows import chats, write_jsonl
from tiny import tiny_causal_lm, tiny_encoder

# Stages that run inside the tests' process find libraries already imported, which read these then. Models are so small that a
# second thread only waits for the first.
os.environ |= {"TORCHDYNAMO_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def causal_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_causal_lm(tmp_path_factory.mktemp("causal") / "model")


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "model")


CHAT_SPEC: dict[str, Any] = {
    "preparation": {"split": {"groupBy": "customer", "validation": 0.15, "test": 0.15}, "maxLength": 200},
    "training": {"batchSize": 6, "maxSteps": 60, "learningRate": 0.005, "precision": "fp32", "maxGradNorm": 0},
    "resources": {"nodes": 2},
    "evaluation": {"generation": {"examples": 4, "maxNewTokens": 12}, "samples": 2},
}


@pytest.fixture(scope="session")
def chat_manifest(causal_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("chat")
    data = write_jsonl(folder / "chats.jsonl", chats(120))
    datasets = [{"name": "chats", "uri": f"file://{data}", "fields": {"weight": "importance"}}]
    return stages.manifest(causal_lm, datasets, folder / "out", **CHAT_SPEC)


@pytest.fixture(scope="session")
def prepared(chat_manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which prepare has run."""
    workspace = tmp_path_factory.mktemp("prepared") / "workspace"
    end = stages.prepare(chat_manifest, workspace)
    assert end.code == 0, end.log
    return workspace


@pytest.fixture
def workspace(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared workspace, for one test alone."""
    return Path(shutil.copytree(prepared, tmp_path / "workspace", symlinks=True))


@pytest.fixture
def changed() -> Callable[..., dict[str, Any]]:
    return change


def change(raw: dict[str, Any], **blocks: Any) -> dict[str, Any]:
    """The manifest with further keys in blocks of its spec."""
    spec = {**raw["spec"]}
    for name, value in blocks.items():
        old = spec.get(name)
        spec[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return {**raw, "spec": spec}


@pytest.fixture(scope="session")
def trained(chat_manifest: dict[str, Any], prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which two ranks have trained without interruption."""
    workspace = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("trained") / "workspace", symlinks=True))
    config = stages.orders(chat_manifest, stages.Stage.TRAIN, workspace, **stages.STEADY)
    end = stages.run(config, workspace / "train-1")
    assert end.code == 0, end.log
    return workspace
