"""finetune run: a whole job on this machine."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune_api.contract.trainer_config import Mounts
from finetune_api.errors import InvalidSpec, UserError
from finetune_api.exam import without_exam
from finetune_api.parse import parse_job
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import FineTuneJobStatus, Phase
from finetune_cli.commands.selection import add_volumes, add_workspace, local_path, mounts_of, results_of, workspace_of
from finetune_cli.console import Display, as_json, display, print_result
from finetune_cli.exit_codes import OF_PHASE
from finetune_cli.local import LocalRun
from finetune_cli.machine import this_machine
from finetune_cli.manifest import localized, read_manifest
from finetune_cli.workspace import Workspace, forget, take_up
from finetune_operator.brain.stages import Stage

_PUBLICATION = "manifest.json"
"""By which a published directory is known as such."""


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "run", help="run a job on this machine; run it again to continue where it stopped"
    )
    parser.add_argument("manifest", help="file with a FineTuneJob, or - for standard input")
    add_workspace(parser)
    add_volumes(parser)
    parser.add_argument("--fresh", action="store_true", help="forget what the workspace holds and begin anew")
    parser.add_argument("--plain", action="store_true", help="plain lines instead of bars")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to answer (default: text)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the job to its end, or until Ctrl-C."""
    job, workspace = carry_out(arguments, until=None)
    places = {name: str(place) for name, place in results_of(workspace, _uri(job.status)).items()}
    if arguments.output == "json":
        status = job.status.model_dump(mode="json", by_alias=True, exclude_none=True)
        sys.stdout.write(as_json({"name": job.name, "workspace": str(workspace), "status": status, "paths": places}) + "\n")
    else:
        print_result(job.status, places, sys.stdout)
    return OF_PHASE.get(job.status.phase or Phase.FAILED, 1)


def carry_out(arguments: argparse.Namespace, *, until: Stage | None) -> tuple[FineTuneJob, Path]:
    """Run a job's stages, all or up to one; returns the job with its status, and its workspace.

    Raises: InvalidSpec, or UserError if the workspace cannot be used.
    """
    manifest = read_manifest(arguments.manifest)
    job = localized(parse_job(manifest.raw), manifest)
    if until is None and (missing := without_exam(job.spec)) is not None:
        raise InvalidSpec([missing])
    require_trainer()
    folder = workspace_of(arguments, job.name)
    workspace = Workspace(folder)
    workspace.lock()
    if getattr(arguments, "fresh", False):
        forget(folder)
    job = take_up(job, workspace)
    mounts = mounts_of(arguments, manifest, folder)
    if until is None and job.status.output is None:
        check_output(job.spec.output.uri, mounts)
    screen = display(plain=getattr(arguments, "plain", False), clock=arguments.clock)
    local = LocalRun(
        job=job,
        workspace=workspace,
        machine=this_machine(arguments.environment),
        mounts=mounts,
        environment=arguments.environment,
        folder=manifest.folder,
        clock=arguments.clock,
        say=screen.say,
        show=screen.show,
        until=until,
    )
    try:
        with _stopping_gently(local, screen):
            return local.run(), folder
    finally:
        screen.close()


def check_output(uri: str, mounts: Mounts) -> None:
    """Say it before the training that publishing would fail: where the output is a directory of this machine.

    Raises: UserError if the place is taken by something that is no publication, or cannot be written.
    """
    target = local_path(uri, mounts)
    if target is None:
        return
    field = "spec.output.uri"
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / _PUBLICATION).is_file()):
        raise UserError(
            f"{target} holds files that are no publication, and is never overwritten",
            field=field,
            hint="Empty it, or name a directory that is not there yet.",
        )
    there = next((one for one in (target, *target.parents) if one.exists()), target)
    if not os.access(there, os.W_OK):
        raise UserError(f"{target} cannot be written: {there} is closed to this user", field=field)


DATA_ALONE = ("finetune_trainer", "numpy", "pyarrow")
"""What it takes to look at data without a model."""


def require_trainer(*needed: str) -> None:
    """Say it before a workspace is made: a plain installation of `finetune` has neither torch nor the trainer.

    Args:
        needed: packages, where less than all of the trainer is needed.
    Raises: UserError with what to install.
    """
    missing = [name for name in needed or ("finetune_trainer", "torch", "deepspeed") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"this needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            hint="Install the trainer: pip install 'finetune-operator[trainer]'.",
        )


@contextmanager
def _stopping_gently(local: LocalRun, screen: Display) -> Iterator[None]:
    """Ctrl-C, and the signals of a closing session, save before they stop; a second one stops at once."""

    def stop(*_: Any) -> None:
        if local.request_stop() == 1:
            screen.note(
                "Stopping: a checkpoint is written at the next step."
                " Ctrl-C again stops at once and loses what came since the last one."
            )

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _uri(status: FineTuneJobStatus) -> str | None:
    return status.output.uri if status.output else None
