"""finetune report: base against tuned, and the reports as files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune_api.errors import UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.commands.selection import DEFAULT_ROOT, add_workspace, results_of
from finetune_cli.console import as_json, print_result
from finetune_cli.reports import EVALUATION, read_folder, write
from finetune_cli.streams import knows_all_characters
from finetune_cli.where import ELSEWHERE, add_cluster, means_cluster
from finetune_cli.workspace import load_status

if TYPE_CHECKING:
    from finetune_cli.cluster.api import Api


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "report",
        help="show base against tuned; fetch the reports as files",
        description="The scores of a job. With --to its reports too: the page, the evaluation, the data, the plan.",
        epilog="In a cluster the reports are read by a pod that lives for as long as that takes.",
    )
    parser.add_argument("job", nargs="?", help="name of a job")
    add_workspace(parser)
    parser.add_argument(
        "--to", type=Path, metavar="DIR|FILE", help="write the reports there; FILE.html: the page, FILE.json: the evaluation"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="json: the whole evaluation report")
    add_cluster(parser)
    parser.add_argument("--image", metavar="IMAGE", help="in a cluster: image with Python for the pod that reads the workspace")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison, or the whole report as JSON.

    Raises: UserError if options contradict each other, or there is no report.
    """
    if arguments.to and arguments.output == "json":
        raise UserError("--to writes files and --output json prints one; give one of them")
    if not means_cluster(arguments):
        return _here(arguments)
    if not arguments.job:
        raise UserError("name a job")
    from finetune_cli.cluster.asking import ask

    async def question(api: Api) -> int:
        from finetune_cli.cluster.fetching import fetch
        from finetune_cli.cluster.jobs import job_named

        job, _ = await job_named(api, arguments.job)
        if arguments.to or arguments.output == "json":
            return _answer(arguments, job, await fetch(api, job, image=arguments.image))
        if job.status.evaluation is None:
            raise _not_evaluated(job)
        print_result(job.status, {}, sys.stdout)
        sys.stdout.write("The reports: finetune report --to DIR\n")
        return 0

    return ask(arguments, question)


def _here(arguments: argparse.Namespace) -> int:
    if not arguments.workspace and not arguments.job:
        raise UserError("name a job, or a workspace with --workspace", hint=ELSEWHERE)
    folder: Path = (arguments.workspace or DEFAULT_ROOT / arguments.job).resolve()
    job = load_status(folder)
    if arguments.to or arguments.output == "json":
        return _answer(arguments, job, read_folder(folder / "reports"))
    if job.status.evaluation is None or not (folder / "reports" / EVALUATION).is_file():
        raise _not_evaluated(job)
    places = {name: str(place) for name, place in results_of(folder, None).items()}
    print_result(job.status, places, sys.stdout)
    return 0


def _answer(arguments: argparse.Namespace, job: FineTuneJob, reports: Mapping[str, bytes]) -> int:
    """Write or print what was asked for."""
    if arguments.output == "json":
        if EVALUATION not in reports:
            raise _not_evaluated(job)
        text = reports[EVALUATION].decode("utf-8").rstrip("\n")
        sys.stdout.write((text if knows_all_characters() else as_json(json.loads(text))) + "\n")
        return 0
    if not reports:
        raise UserError(f"{job.name} has written no report yet (phase {job.status.phase or 'unknown'})")
    for path in write(reports, arguments.to):
        sys.stdout.write(f"{path}\n")
    if EVALUATION not in reports and not arguments.to.suffix:
        sys.stderr.write(f"{job.name} has not been evaluated (yet); these are the reports of its earlier stages.\n")
    return 0


def _not_evaluated(job: FineTuneJob) -> UserError:
    return UserError(f"{job.name} has not been evaluated yet (phase {job.status.phase or 'unknown'})")
