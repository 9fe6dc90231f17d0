"""What was merged is compared with what was trained, and rounding is not taken for a difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraModel
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification

import stages
from finetune_api.contract.trainer_config import LoraConfig, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import FinetuneError
from finetune_operator.brain.stages import Stage
from finetune_trainer.data.store import EXAMPLE, SplitWriter, open_documents
from finetune_trainer.model.adapters import attach, save_adapter
from finetune_trainer.model.load import load_new_classifier
from finetune_trainer.model.merge import merge_adapter

LABELS = ["a", "b", "c"]


def classifier(encoder: Path, workspace: Workspace, *, loss: float) -> float:
    """Leave an adapter in a workspace, and eight examples that it classifies with about this loss; returns the loss in fp32."""
    workspace.model.symlink_to(encoder)
    model, new_modules = load_new_classifier(workspace.model, labels=LABELS, precision="fp32", seed=17)
    lora = LoraConfig(rank=4, alpha=8, dropout=0.0, target_modules=("all-linear",))
    adapted = attach(model, lora, classification=True, dtype=torch.float32, seed=17, new_modules=new_modules).eval()
    chance = np.random.default_rng(0)
    ids = chance.integers(4, 380, (8, 40)).astype(np.uint32)
    with torch.no_grad():
        trained = {name: parameter for name, parameter in adapted.named_parameters() if parameter.requires_grad}
        for name, parameter in trained.items():
            if "lora_B" in name:
                parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(1))

        def logits() -> torch.Tensor:
            found: torch.Tensor = adapted(input_ids=torch.from_numpy(ids.astype(np.int64))).logits
            return found

        chosen = logits().argmax(1)
        head = adapted.base_model.model.classifier.modules_to_save["default"]
        while cross_entropy(logits(), chosen) > loss:
            head.weight.mul_(1.1)
            head.bias.mul_(1.1)
        save_adapter(adapted, trained, workspace.adapter, base="hf://org/name", revision=None)
        reached = float(cross_entropy(logits(), chosen))
    examples = np.zeros(8, EXAMPLE)
    examples["length"], examples["offset"], examples["label"] = 40, 40 * np.arange(8), chosen.numpy()
    writer = SplitWriter(workspace.data / "test")
    writer.write(ids.reshape(-1), np.zeros(320, np.uint8), examples)
    writer.close()
    (workspace.data / "manifest.json").write_text(json.dumps({"labels": LABELS}))
    return reached


def orders(workspace: Workspace, precision: str) -> TrainerConfig:
    raw = stages.manifest(workspace.model, [{"uri": "file:///data.jsonl"}], workspace.root / "out", task="classification")
    return stages.orders(raw, Stage.PUBLISH, workspace.root, precision=precision, format="merged", tuned="adapter")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("loss", [0.5, 0.005, 1e-5])
def test_a_classifier_is_merged_however_sure_it_is(loss: float, precision: str, encoder: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    reached = classifier(encoder, workspace, loss=loss)

    merge_adapter(orders(workspace, precision), workspace, tmp_path / "merged")

    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged").eval()
    assert merged.dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    assert loss_of(merged, workspace) == pytest.approx(reached, rel=0.2, abs=1e-3)


def loss_of(model: Any, workspace: Workspace) -> float:
    data = open_documents(workspace.data / "test")
    with torch.no_grad():
        logits = torch.cat([model(input_ids=torch.from_numpy(data.ids(i))[None]).logits for i in range(len(data))])
    return float(cross_entropy(logits.float(), torch.from_numpy(data.examples["label"].astype(np.int64))))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_merge_that_loses_the_adapter_is_noticed_before_anything_is_written(
    precision: str, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    classifier(encoder, workspace, loss=0.005)
    monkeypatch.setattr(LoraModel, "merge_and_unload", lambda model: model.unload())
    with pytest.raises(FinetuneError, match="merging changed the model"):
        merge_adapter(orders(workspace, precision), workspace, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
