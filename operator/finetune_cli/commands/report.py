"""finetune report: base against tuned, and where the page is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from finetune_api.errors import UserError
from finetune_cli.commands.selection import DEFAULT_ROOT, add_workspace, results_of
from finetune_cli.console import print_result
from finetune_cli.workspace import load_status


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("report", help="show base against tuned, and where the report is")
    parser.add_argument("job", nargs="?", help="name of a job below .finetune")
    add_workspace(parser)
    parser.add_argument("--output", choices=("text", "json"), default="text", help="json: the whole evaluation report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison, or the whole report as JSON."""
    if not arguments.workspace and not arguments.job:
        raise UserError("name a job, or a workspace with --workspace")
    folder: Path = (arguments.workspace or DEFAULT_ROOT / arguments.job).resolve()
    job = load_status(folder)
    whole = folder / "reports" / "evaluation.json"
    if job.status.evaluation is None or not whole.is_file():
        raise UserError(f"{job.name} has not been evaluated yet (phase {job.status.phase or 'unknown'})")
    if arguments.output == "json":
        sys.stdout.write(whole.read_text(encoding="utf-8") + "\n")
        return 0
    places = {name: str(place) for name, place in results_of(folder, None).items()}
    print_result(job.status, places, sys.stdout)
    return 0
