"""What a run learns from and is validated on, mapped, and what prepare said of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune_api.contract.workspace import Workspace
from finetune_trainer.data.store import Documents, open_documents

_NAMED = 8
"""So many examples are named; of the others is said how many they are."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The splits, and their manifest."""

    train: Documents
    validation: Documents
    labels: list[str]
    """Names of the classes; empty but in classification."""
    mixing: list[float]
    """Per dataset how often an epoch sees each of its examples."""
    files: list[list[str]]
    """Per dataset the names of its files."""
    digest: str
    """Of all that was prepared."""

    def places_of(self, indices: NDArray[np.int64]) -> str:
        """Training examples by where they came from, for a message; never what they say."""
        examples = self.train.examples[indices]
        places = [f"{self.files[e['dataset']][e['file']]} line {e['line']}" for e in examples[:_NAMED]]
        more = f" and {len(examples) - _NAMED} more" if len(examples) > _NAMED else ""
        return ", ".join(places) + more


def open_training_data(workspace: Workspace) -> TrainingData:
    """Map what prepare left in the workspace."""
    manifest = json.loads((workspace.data / "manifest.json").read_text(encoding="utf-8"))
    return TrainingData(
        train=open_documents(workspace.data / "train"),
        validation=open_documents(workspace.data / "validation"),
        labels=manifest["labels"],
        mixing=[dataset["weight"] for dataset in manifest["datasets"]],
        files=[dataset["files"] for dataset in manifest["datasets"]],
        digest=manifest["digest"],
    )
