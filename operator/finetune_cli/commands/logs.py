"""finetune logs: what the processes of a stage say, on this machine or in a cluster."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune_api.errors import UserError
from finetune_cli.attempts import Wish, chosen, successor
from finetune_cli.commands.selection import DEFAULT_ROOT, add_workspace
from finetune_cli.where import add_cluster, means_cluster
from finetune_cli.workspace import load_status
from finetune_operator.brain.stages import Stage

if TYPE_CHECKING:
    from finetune_cli.cluster.api import Api

_LOOK_SECONDS = 0.5


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "logs",
        help="show what a stage's processes say",
        description="The log of the newest attempt of the stage that runs, or of the one that is named.",
    )
    parser.add_argument("job", help="name of a job")
    add_workspace(parser)
    parser.add_argument("-s", "--stage", choices=[str(stage) for stage in Stage], help="of this stage (default: the newest)")
    parser.add_argument("--attempt", type=_counted, metavar="N", help="of this attempt, from 1 (default: the newest)")
    parser.add_argument("--rank", type=_ranked, metavar="R", help="in a cluster: only of the pod in which this rank runs")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as it comes, into later attempts and stages")
    parser.add_argument("-p", "--previous", action="store_true", help="of the attempt before the newest")
    add_cluster(parser)
    parser.set_defaults(run=run)


def _counted(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("attempts are counted from 1")
    return int(text)


def _ranked(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("ranks are counted from 0")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Print the log; 1 if a part of it could not be had.

    Raises: UserError if options contradict each other, or there is no such log.
    """
    if arguments.previous and (arguments.attempt or arguments.follow):
        raise UserError("--previous names an attempt that has ended: leave out --attempt and --follow")
    if arguments.attempt and not arguments.stage:
        raise UserError("attempts are counted in each stage: say --stage too")
    wish = Wish(
        stage=Stage(arguments.stage) if arguments.stage else None, number=arguments.attempt, previous=arguments.previous
    )
    if not means_cluster(arguments):
        return _here(arguments, wish)
    from finetune_cli.cluster.asking import ask

    async def question(api: Api) -> int:
        from finetune_cli.cluster.following import Logs

        logs = Logs(api, arguments.job, wish, rank=arguments.rank)
        return await (logs.follow() if arguments.follow else logs.show())

    return ask(arguments, question)


def _here(arguments: argparse.Namespace, wish: Wish) -> int:
    if arguments.rank is not None:
        raise UserError("on this machine one log holds all ranks: leave out --rank")
    folder: Path = arguments.workspace or DEFAULT_ROOT / arguments.job
    attempt = chosen(load_status(folder), wish)
    while True:
        name = f"{attempt.stage}-{attempt.number}"
        path = folder / "attempts" / name / "log.txt"
        if not path.is_file():
            raise UserError(f"{path} is not there")
        sys.stderr.write(f"--- {attempt.stage} attempt {attempt.number}: {path}\n")
        with path.open(encoding="utf-8", errors="replace") as log:
            while True:
                sys.stdout.write(log.read())
                job = load_status(folder)
                over = all(a.finished_at for a in job.status.attempts if f"{a.stage}-{a.number}" == name)
                if over or not arguments.follow:
                    sys.stdout.write(log.read())
                    break
                sys.stdout.flush()
                time.sleep(_LOOK_SECONDS)
        if not arguments.follow:
            return 0
        while (following := successor(job, attempt, wish)) is None:
            if wish.number or job.status.phase is None or job.status.phase.terminal or job.status.suspended_since:
                return 0
            time.sleep(_LOOK_SECONDS)
            job = load_status(folder)
        attempt = following
