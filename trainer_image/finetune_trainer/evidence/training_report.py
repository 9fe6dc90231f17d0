"""training.json: what a run was told, where it ended, and by which software. Every step of it stands in metrics.jsonl."""

from __future__ import annotations

import json

from finetune_api.contract.trainer_config import TrainConfig
from finetune_api.contract.workspace import Workspace
from finetune_trainer.engine.progress import Progress
from finetune_trainer.evidence.provenance import software
from finetune_trainer.whole import write_whole


def write_training_report(
    workspace: Workspace, orders: TrainConfig, progress: Progress, *, packed: bool, world_size: int, peak_memory_gib: float
) -> None:
    """Write the report, whole or not at all.

    Args:
        progress: after the last step.
        packed: whether documents shared rows.
        world_size: processes that trained.
        peak_memory_gib: of the first of them.
    """
    workspace.reports.mkdir(exist_ok=True)
    value = {
        "steps": progress.step,
        "bestStep": progress.kept_step,
        "validationLoss": progress.best_loss,
        "packing": packed,
        "worldSize": world_size,
        "peakMemoryGiB": peak_memory_gib,
        "orders": orders.model_dump(mode="json", by_alias=True),
        "software": software(),
    }
    write_whole(workspace.training_report, json.dumps(value, indent=1))
