"""A stage as a process of this machine: its orders in a file, its log beside it, its reports to a server on the loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from finetune_api import meta
from finetune_api.contract.result import StageResult, decode
from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.errors import UserError
from finetune_cli.own_program import OwnProgram
from finetune_cli.progress_server import ProgressServer


def start_stage(
    config: TrainerConfig,
    folder: Path,
    *,
    environment: Mapping[str, str],
    server: ProgressServer,
    lock_descriptor: int,
    on_cpu: bool,
    own: OwnProgram | None = None,
) -> subprocess.Popen[bytes]:
    """Start a stage of the trainer.

    Args:
        config: its orders.
        folder: for orders, result, log and the token of its reports; made if it is not there.
        environment: to which what the stage needs is added.
        server: takes its reports from now on.
        lock_descriptor: of the workspace's lock, which it inherits: so the lock outlives a run that is killed.
        on_cpu: whether it must leave GPUs alone.
        own: is started instead of our trainer.
    Raises: OSError if the folder cannot be written; UserError if a program of the user's cannot be started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    orders = folder / "config.json"
    orders.write_text(config.model_dump_json(by_alias=True, exclude_none=True, indent=1), encoding="utf-8")
    reports = server.expect(secrets.token_urlsafe(32), folder / "token")
    whole = {
        **environment,
        meta.TERMINATION_LOG_VARIABLE: str(folder / "result.json"),
        "FINETUNE_PARENT_PID": str(os.getpid()),
        "PYTHONUNBUFFERED": "1",
        **reports,
    }
    if on_cpu:
        whole |= {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "finetune_trainer", config.stage, "--config", str(orders)]
    if own is not None:
        command, whole = list(own.command), {**whole, **own.variables}
        if shutil.which(command[0], path=whole["PATH"]) is None and not (own.folder / command[0]).is_file():
            raise UserError(f"there is no program {command[0]} on this machine", field="spec.command")
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=own.folder if own else None,
            env=whole,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[lock_descriptor],
            # Ctrl-C reaches the terminal's whole group; the stage must hear of it from us, as SIGTERM.
            start_new_session=True,
        )


def result_in(folder: Path) -> StageResult | None:
    """What a stage said at its end; None if it said nothing."""
    path = folder / "result.json"
    return decode(path.read_text(encoding="utf-8")) if path.is_file() else None
