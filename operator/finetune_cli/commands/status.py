"""finetune status: how jobs of this machine stand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from finetune_api.errors import UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.commands.selection import DEFAULT_ROOT, add_workspace
from finetune_cli.console import as_json
from finetune_cli.workspace import load_status


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("status", help="show how local jobs stand")
    parser.add_argument("job", nargs="?", help="name of a job (default: all jobs below .finetune)")
    add_workspace(parser)
    parser.add_argument("--output", choices=("text", "json"), default="text", help="how to answer (default: text)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one job, or a table of all."""
    damaged: list[UserError] = []
    if arguments.workspace or arguments.job:
        jobs = [load_status(arguments.workspace or DEFAULT_ROOT / arguments.job)]
    else:
        jobs, damaged = _all(sorted(Path(DEFAULT_ROOT).glob("*/job.json")))
    if arguments.output == "json":
        shown = [
            {"name": job.name, "status": job.status.model_dump(mode="json", by_alias=True, exclude_none=True)} for job in jobs
        ]
        sys.stdout.write(as_json(shown if not arguments.job else shown[0]) + "\n")
    elif jobs or not damaged:
        _table(jobs)
        if len(jobs) == 1:
            _attempts(jobs[0])
    for error in damaged:
        sys.stderr.write(f"finetune: {error}\n")
    return 2 if damaged else 0


def _all(states: Iterable[Path]) -> tuple[list[FineTuneJob], list[UserError]]:
    """Every job that can be read, and what is wrong with the others: one damaged workspace must not hide its neighbours."""
    jobs, damaged = [], []
    for path in states:
        try:
            jobs.append(load_status(path.parent))
        except UserError as error:
            damaged.append(error)
    return jobs, damaged


def _table(jobs: list[FineTuneJob]) -> None:
    if not jobs:
        sys.stdout.write("No jobs here.\n")
        return
    rows = [("NAME", "PHASE", "BASE", "TUNED", "VERDICT", "RESTARTS", "MESSAGE")]
    for job in jobs:
        status, evaluation = job.status, job.status.evaluation
        score = evaluation.score if evaluation else None
        rows.append(
            (
                job.name,
                str(status.phase or ""),
                f"{score.base:g}" if score and score.base is not None else "",
                f"{score.tuned:g}" if score else "",
                (evaluation.verdict or "") if evaluation else "",
                str(status.restarts.total),
                status.message or "",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, row[-1]]).rstrip() + "\n")


def _attempts(job: FineTuneJob) -> None:
    for attempt in job.status.attempts:
        end = attempt.reason or "running"
        step = f" at step {attempt.last_step}" if attempt.last_step else ""
        told = f": {attempt.message}" if attempt.message else ""
        sys.stdout.write(f"  {attempt.stage} attempt {attempt.number}: {end}{step}{told}\n")
