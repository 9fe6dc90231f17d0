"""An adapter merged into its base, and the proof that the result does the same.

Merging adds two matrices of very different size. Done in bf16 it rounds the smaller one away in part, and done on another
base it makes nonsense; neither gives an error. So it is done in fp32, and what was saved is loaded again and compared.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import FinetuneError
from finetune_trainer.data.store import open_documents
from finetune_trainer.model.batch import micro_batch
from finetune_trainer.model.files import load_tokenizer
from finetune_trainer.model.load import DTYPES, load_causal_lm, load_classifier

log = logging.getLogger(__name__)

_CHECKED = 8
_TOLERANCE = {"fp32": 1e-3, "bf16": 3e-2}
"""Largest relative difference of the loss of the checked examples."""


def merge_adapter(config: TrainerConfig, workspace: Workspace, folder: Path) -> None:
    """Write base plus adapter as a plain model directory with its tokenizer.

    Raises: FinetuneError if the saved model's loss differs from that of base and adapter.
    """
    from peft import PeftModel

    assert config.publish is not None
    base = _load(config, workspace, workspace.model, "fp32")
    adapted = PeftModel.from_pretrained(base, workspace.adapter).eval()
    before = _loss(adapted, workspace)
    merged: Any = adapted.merge_and_unload()
    merged.to(DTYPES[config.publish.precision]).save_pretrained(folder)
    load_tokenizer(workspace.model, trust_remote_code=config.model.trust_remote_code).save_pretrained(folder)
    del merged, adapted, base
    after = _loss(_load(config, workspace, folder, config.publish.precision).eval(), workspace)
    limit = _TOLERANCE[config.publish.precision]
    log.info("loss of %d examples: %.5f with the adapter, %.5f merged", _CHECKED, before, after)
    if not abs(after - before) <= limit * max(before, 1e-3):  # neither does a loss that is no number
        raise FinetuneError(f"merging changed the model: loss {before:.4f} with the adapter, {after:.4f} merged")


def _load(config: TrainerConfig, workspace: Workspace, folder: Path, precision: Any) -> Any:
    import json

    trusted = config.model.trust_remote_code
    if config.task == "classification":
        labels = json.loads((workspace.data / "manifest.json").read_text(encoding="utf-8"))["labels"]
        return load_classifier(folder, labels=labels, precision=precision, seed=0, trust_remote_code=trusted)
    return load_causal_lm(folder, precision=precision, trust_remote_code=trusted)


@torch.no_grad()
def _loss(model: Any, workspace: Workspace) -> float:
    """Mean loss of a few test examples, one by one, by the model's own forward pass."""
    data = open_documents(workspace.data / "test")
    total, targets = 0.0, 0
    for index in range(min(_CHECKED, len(data))):
        classification = bool(data.examples["label"][index] >= 0)
        batch = micro_batch(data, [index], classification=classification)
        logits = model(input_ids=batch.input_ids).logits
        chosen = logits if classification else logits[0, batch.predicting]
        total += float(torch.nn.functional.cross_entropy(chosen.float(), batch.targets, reduction="sum"))
        targets += len(batch.targets)
    return total / max(1, targets)
