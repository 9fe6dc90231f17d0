"""An adapter merged into its base, and the proof that the result does the same.

Merging adds two matrices of very different size. Done in bf16 it rounds the smaller one away in part, and done on another
base it makes nonsense; neither gives an error. So it is done in fp32 and compared there, and what was saved is loaded again
and compared too.
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
from finetune_trainer.model.load import DTYPES, Precision, load_causal_lm, load_classifier

log = logging.getLogger(__name__)

_CHECKED = 8
_TOLERANCE = {"fp32": 1e-3, "bf16": 3e-2}
"""Largest relative difference of the loss of the checked examples."""
_FLOOR = {"fp32": 1e-5, "bf16": 3e-3}
"""Differences below are rounding. A logit of 8 has steps of 2^-5 in bf16, and the loss p of a sure answer, whose logits are so
large, moves by as large a share of itself as they do: 3 % of 0.1. Below that a relative limit would measure rounding alone."""


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
    _check_same(before, _loss(merged, workspace), "fp32", "merged")
    merged.to(DTYPES[config.publish.precision]).save_pretrained(folder)
    load_tokenizer(workspace.model, trust_remote_code=config.model.trust_remote_code).save_pretrained(folder)
    del merged, adapted, base
    after = _loss(_load(config, workspace, folder, config.publish.precision).eval(), workspace)
    log.info("loss of %d examples: %.5f with the adapter, %.5f merged", _CHECKED, before, after)
    _check_same(before, after, config.publish.precision, "merged, saved and loaded")


def _check_same(before: float, after: float, precision: Precision, how: str) -> None:
    limit = max(_TOLERANCE[precision] * before, _FLOOR[precision])
    if not abs(after - before) <= limit:  # a loss that is no number fails too
        raise FinetuneError(f"merging changed the model: loss {before:.5f} with the adapter, {after:.5f} {how}")


def _load(config: TrainerConfig, workspace: Workspace, folder: Path, precision: Any) -> Any:
    import json

    assert config.publish is not None
    trusted = config.model.trust_remote_code
    if config.task == "classification":
        labels = json.loads((workspace.data / "manifest.json").read_text(encoding="utf-8"))["labels"]
        return load_classifier(folder, labels=labels, precision=precision, seed=config.publish.seed, trust_remote_code=trusted)
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
