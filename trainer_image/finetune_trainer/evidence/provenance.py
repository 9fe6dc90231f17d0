"""What a model came from, so that a stranger can check it or make it again: digests, seeds, versions, the manifest.

An auditor holds the published files and asks whether these data and this base made them. Names prove nothing and digests do, so
each input and output stands here with its SHA-256. It holds no time, so that the same work has the same provenance.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_trainer.digests import tree_digest

_PACKAGES = ("finetune-operator", "torch", "transformers", "tokenizers", "peft", "deepspeed", "safetensors", "numpy", "pyarrow")


def software() -> dict[str, str]:
    """Versions of everything on which numbers depend, by name."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, "system": f"{platform.system()} {platform.machine()}", "device": _device()}


def _device() -> str:
    """The processor that computes; torch is asked only where it is loaded anyway."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return "cpu"


def provenance(config: TrainerConfig, workspace: Workspace) -> dict[str, Any]:
    """What the tuned model came from, as plain JSON types.

    Args:
        config: orders of evaluate.
        workspace: after train.
    """
    assert config.evaluate is not None
    spec: Mapping[str, Any] = config.evaluate.manifest.get("spec") or {}
    model, data = _read(workspace.data / "model.json"), _read(workspace.data_report)
    tuned = workspace.adapter if config.evaluate.tuned == "adapter" else workspace.merged
    training = _read(workspace.training_report)
    return {
        "job": {"name": config.job.name, "namespace": config.job.namespace, "uid": config.job.uid},
        "base": {
            "uri": config.model.uri.split("?")[0],
            "revision": model.get("revision"),
            "digest": model.get("digest"),
            "templateDigest": model.get("templateDigest"),
            "license": (spec.get("model") or {}).get("license"),
        },
        "datasets": _datasets(data, spec),
        "keyForgotten": bool((data.get("personal") or {}).get("keyForgotten")),
        "prepared": {"digest": (data.get("summary") or {}).get("digest")},
        "tuned": {"format": config.evaluate.tuned, "digest": tuned_digest(tuned)},
        "license": (spec.get("output") or {}).get("license"),
        "seeds": {
            "split": ((spec.get("preparation") or {}).get("split") or {}).get("seed"),
            "training": (training.get("orders") or {}).get("seed"),
            "evaluation": config.evaluate.seed,
        },
        "software": training.get("software") or software(),
        "manifest": config.evaluate.manifest,
    }


def tuned_digest(folder: Path) -> str:
    """What training left, by the names and contents of all its files."""
    files = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return f"sha256:{tree_digest(folder, files)}"


def _datasets(data: Mapping[str, Any], spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every dataset that was read, suites among them, with the licence that the manifest gives."""
    said = list(spec.get("datasets") or []) + list((spec.get("evaluation") or {}).get("suites") or [])
    by_name = {one.get("name") or f"data-{number + 1}": one.get("license") for number, one in enumerate(said)}
    return [
        {key: one.get(key) for key in ("name", "uri", "revision", "files", "bytes", "digest")}
        | {"license": by_name.get(one["name"])}
        for one in data.get("datasets") or []
    ]


def _read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return value
