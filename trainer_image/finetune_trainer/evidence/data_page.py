"""The data report on a page of its own, for whoever must read it before anything is trained on the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from finetune_api.contract.data_words import language
from finetune_api.contract.trainer_config import CONFIG_VERSION, WITHOUT_MODEL, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_trainer.evidence.page_data import data_view
from finetune_trainer.evidence.page_templates import render
from finetune_trainer.evidence.page_words import counted, model_name, printable, share, shown
from finetune_trainer.whole import write_whole


def write_data_page(config: TrainerConfig, workspace: Workspace, *, now: datetime) -> None:
    """Write data.html from data.json.

    Args:
        config: orders of prepare.
        now: goes onto the page.
    """
    page = render_data_page(
        {
            "job": {"name": config.job.name, "namespace": config.job.namespace, "task": config.task},
            "model": {"uri": config.model.uri.split("?")[0]},
            "created": now.strftime("%Y-%m-%d %H:%M UTC"),
            "data": json.loads(workspace.data_report.read_text(encoding="utf-8")),
        }
    )
    write_whole(workspace.data_page, page)


def render_data_page(value: dict[str, Any]) -> str:
    """The page as one HTML file without scripts, external resources or requests.

    Args:
        value: job, model, created (as it shall be read) and data, the data report.
    """
    value = printable(value)
    job, model = value.get("job") or {}, str((value.get("model") or {}).get("uri", ""))
    task, report = str(job.get("task", "")), value.get("data") or {}
    without = model in ("", WITHOUT_MODEL)
    return render(
        "page_data_alone.html.jinja",
        name=str(job.get("name", "")) or "unnamed",
        task=task,
        made_for="prepared without a model: lengths are characters" if without else f"prepared for {model_name(model)}",
        created=str(value.get("created", "")),
        data=data_view(report, task=task),
        tiles=_tiles(report),
        contract=CONFIG_VERSION,
    )


def _tiles(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The main facts: a term, its value, and a remark."""
    summary: Mapping[str, Any] = report.get("summary") or {}
    examples = summary.get("examples") or {}
    read, kept = examples.get("read") or 0, examples.get("kept") or 0
    tiles = [
        ("Rows read", shown(read), f"from {counted(len(report.get('datasets') or []), 'dataset')}"),
        ("Examples kept", shown(kept), share(kept, read) if kept <= read else ""),
    ]
    found: Mapping[str, int] = summary.get("redactions") or {}
    if str(report.get("anonymization") or "none").startswith("none"):
        tiles.append(("Personal data", "not looked for", ""))
    else:
        tiles.append(("Personal items replaced", shown(sum(found.values())), counted(len(found), "kind")))
    residual = (report.get("personal") or {}).get("residual") or {}
    if residual.get("items") is not None:
        tiles.append(("Found left", shown(residual["items"]), "in a second look"))
    languages: Mapping[str, int] = report.get("languages") or {}
    if languages:
        most = max(languages, key=lambda name: languages[name])
        more = f" of {len(languages)}" if len(languages) > 1 else ""
        tiles.append(("Language", language(most), f"{share(languages[most], sum(languages.values()))}{more}"))
    return tiles
