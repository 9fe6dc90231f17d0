"""The reports of a run: JSON for programs, one page for people."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_trainer.engine.journal import read_journal
from finetune_trainer.evidence.page import render_page
from finetune_trainer.evidence.provenance import provenance
from finetune_trainer.whole import write_whole


def write_reports(config: TrainerConfig, workspace: Workspace, evaluation: dict[str, Any], *, now: datetime) -> None:
    """Write evaluation.json, plan.json and provenance.json, and report.html from everything that the stages left behind.

    Args:
        config: orders of evaluate.
        evaluation: what it measured.
        now: goes onto the page.
    """
    assert config.evaluate is not None
    workspace.reports.mkdir(exist_ok=True)
    write_whole(workspace.evaluation_report, json.dumps(evaluation, indent=1, ensure_ascii=False))
    plan = [choice.model_dump(mode="json", by_alias=True) for choice in config.evaluate.plan]
    write_whole(workspace.plan_report, json.dumps(plan, indent=1, ensure_ascii=False))
    origin = provenance(config, workspace)
    write_whole(workspace.provenance, json.dumps(origin, indent=1, ensure_ascii=False))
    steps, validations = read_journal(workspace.metrics)
    page = render_page(
        {
            "job": {"name": config.job.name, "namespace": config.job.namespace, "task": config.task},
            "model": {"uri": origin["base"]["uri"], "revision": origin["base"]["revision"]},
            "created": now.strftime("%Y-%m-%d %H:%M UTC"),
            "evaluation": evaluation,
            "data": _read(workspace.data_report),
            "training": {**_read(workspace.training_report), "journal": steps, "validations": validations},
            "plan": plan,
            "provenance": origin,
        }
    )
    write_whole(workspace.html_report, page)


def _read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return value
