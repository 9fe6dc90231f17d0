"""finetune data: questions about data that need no training. `diff` says what changed between two versions."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from finetune_api.contract.exit_codes import ExitCode
from finetune_api.errors import UserError
from finetune_api.v1alpha1.data import FieldMapping
from finetune_cli.commands.run import DATA_ALONE, require_trainer
from finetune_cli.commands.selection import DEFAULT_ROOT
from finetune_cli.console import as_json
from finetune_cli.data_tables import print_difference


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("data", help="look at data: what changed between two versions")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    diff = verbs.add_parser(
        "diff",
        help="what changed between two versions of a dataset",
        description="Compare two prepared workspaces (or jobs below .finetune), two data reports, or two versions of raw data."
        " Says numbers, never content.",
    )
    diff.add_argument("old", help="workspace, job, data report, file, directory or URI")
    diff.add_argument("new", help="the same of the new version")
    diff.add_argument(
        "--key", metavar="FIELD", help="field by which raw rows are known, as a ticket's number (default: the question)"
    )
    diff.add_argument(
        "--field",
        action="append",
        default=[],
        metavar="MEANING=NAME",
        help="name of a field of raw rows, as in prompt=question",
    )
    diff.add_argument(
        "--task", choices=("chat", "classification"), default="chat", help="what raw rows are for (default: chat)"
    )
    diff.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to answer (default: text)")
    diff.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what changed: 0 if the versions could be compared, also if they differ."""
    require_trainer(*DATA_ALONE)
    command = [sys.executable, "-m", "finetune_trainer.compare_data", _place(arguments.old), _place(arguments.new)]
    for text in arguments.field:
        if text.partition("=")[0] not in FieldMapping.model_fields or not text.partition("=")[2]:
            raise UserError(f"--field {text}: MEANING=NAME is needed; known are {', '.join(FieldMapping.model_fields)}")
        command += ["--field", text]
    command += ["--task", arguments.task, *(["--key", arguments.key] if arguments.key else [])]
    ended = subprocess.run(command, env=arguments.environment, capture_output=True, text=True, check=False)
    if ended.returncode != ExitCode.DONE:
        sys.stderr.write(f"finetune: {ended.stderr.strip()}\n")
        return 2 if ended.returncode == ExitCode.USER_ERROR else 1
    found = json.loads(ended.stdout)
    if arguments.output == "json":
        sys.stdout.write(as_json(found) + "\n")
    else:
        print_difference(found, sys.stdout)
    return 0


def _place(text: str) -> str:
    """A path or a URI; a bare name that is no path is a job below .finetune."""
    if "://" in text or Path(text).exists():
        return text
    for name in (text, f"{text}-data"):
        if "/" not in text and (DEFAULT_ROOT / name).is_dir():
            return str(DEFAULT_ROOT / name)
    if "*" in text:
        return text
    raise UserError(f"{text}: no such file, directory or job below {DEFAULT_ROOT}")
