"""finetune status: how jobs stand, those of this machine or of a cluster."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune_api.errors import UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.commands.selection import DEFAULT_ROOT, add_workspace
from finetune_cli.console import as_json
from finetune_cli.standing import table
from finetune_cli.story import story
from finetune_cli.where import ELSEWHERE, add_cluster, means_cluster
from finetune_cli.workspace import load_status

if TYPE_CHECKING:
    from finetune_cli.cluster.api import Api


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "status",
        help="show how jobs stand",
        description="A line per job, or everything about one: conditions, attempts, data, scores, gates, output.",
    )
    parser.add_argument("job", nargs="?", help="name of a job (default: all of .finetune, or of the namespace)")
    add_workspace(parser)
    parser.add_argument("-w", "--watch", action="store_true", help="in a cluster: show every change; of one job: until it ends")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to answer (default: text)")
    add_cluster(parser, all_namespaces=True)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one job, or a table of all.

    Raises: UserError if options contradict each other, or there is no such job.
    """
    if not means_cluster(arguments):
        return _here(arguments)
    if arguments.job and arguments.all_namespaces:
        raise UserError("a job is in one namespace: leave out -A, or name it with -n")
    if arguments.watch and arguments.output == "json":
        raise UserError("--watch shows text alone; a program can use kubectl get finetunejobs --watch -o json")
    from finetune_cli.cluster.asking import ask

    async def question(api: Api) -> int:
        if arguments.watch:
            from finetune_cli.cluster.watching import watch

            return await watch(api, arguments)
        return await _there(api, arguments)

    return ask(arguments, question)


async def _there(api: Api, arguments: argparse.Namespace) -> int:
    from finetune_cli.cluster.jobs import all_jobs, job_named

    if arguments.job:
        job, _ = await job_named(api, arguments.job)
        if arguments.output == "json":
            sys.stdout.write(as_json(_for_programs(job)) + "\n")
        else:
            _print(story(job, arguments.clock(), width=_width(), place=api.place))
        return 0
    namespace = None if arguments.all_namespaces else api.namespace
    jobs = [job for job, _ in await all_jobs(api, namespace)]
    if arguments.output == "json":
        sys.stdout.write(as_json([_for_programs(job) for job in jobs]) + "\n")
    elif jobs:
        _print(table(jobs, arguments.clock(), namespaces=arguments.all_namespaces, width=_width()))
    else:
        sys.stdout.write(f"No jobs in {f'namespace {namespace}' if namespace else 'any namespace'} ({api.place}).\n")
    return 0


def _here(arguments: argparse.Namespace) -> int:
    if arguments.watch:
        raise UserError("--watch needs a cluster; on this machine finetune run shows the progress itself", hint=ELSEWHERE)
    damaged: list[UserError] = []
    one = bool(arguments.workspace or arguments.job)
    if one:
        jobs = [load_status(arguments.workspace or DEFAULT_ROOT / arguments.job)]
    else:
        jobs, damaged = _all(sorted(Path(DEFAULT_ROOT).glob("*/job.json")))
    if arguments.output == "json":
        shown = [_for_programs(job) for job in jobs]
        sys.stdout.write(as_json(shown[0] if one else shown) + "\n")
    elif one:
        _print(story(jobs[0], arguments.clock(), width=_width()))
    elif jobs:
        _print(table(jobs, arguments.clock(), width=_width()))
    elif not damaged:
        sys.stdout.write(f"No jobs here. {ELSEWHERE}\n")
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


def _for_programs(job: FineTuneJob) -> dict[str, Any]:
    place = {"namespace": job.metadata.namespace} if job.metadata.namespace else {}
    return {"name": job.name, **place, "status": job.status.model_dump(mode="json", by_alias=True, exclude_none=True)}


def _print(lines: Iterable[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
