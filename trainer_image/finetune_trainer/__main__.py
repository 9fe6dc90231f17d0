"""The trainer's one program: python -m finetune_trainer STAGE --config FILE

    prepare    from URIs to packed tokens                  train     the training loop, one process per rank
    evaluate   base against tuned, gates, report           publish   export, model card, upload

The only place in the trainer that reads the clock and the environment, and that turns an error into an exit code and a
result (contract/exit_codes.py, contract/result.py). A mistake of the user never shows a traceback; a bug always does.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finetune_api import meta
from finetune_api.contract.exit_codes import ExitCode
from finetune_api.contract.result import ErrorClass, StageError, StageResult, encode
from finetune_api.contract.trainer_config import TrainerConfig, read_config
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import DataError, FinetuneError, Interrupted, OutOfMemory, Transient, UserError
from finetune_trainer.environment import out_of_memory, quiet_libraries
from finetune_trainer.launch import die_with_parent, launch
from finetune_trainer.reporting import ProgressReporter

STAGES = ("prepare", "train", "evaluate", "publish")


def main(arguments: list[str] | None = None) -> int:
    """Run one stage; returns the exit code."""
    parser = argparse.ArgumentParser(prog="finetune_trainer", description="Run one stage of a fine-tuning job.")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--config", default=meta.CONFIG_PATH, help="the stage's orders, JSON (default: %(default)s)")
    parsed = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|peft|torch")
    # One rank speaks for all; the others say only what is wrong with them.
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    environment = dict(os.environ)
    config = None
    try:
        die_with_parent(environment)
        config = _read(Path(parsed.config), parsed.stage)
        if config.train is not None and "RANK" not in environment:
            return launch([parsed.stage, "--config", parsed.config], config.train, environment)
        quiet_libraries(os.environ, online=config.stage in ("prepare", "publish"), gpus=config.gpus)
        with _ending_when_told(config, environment):
            result = _run(config, environment)
    except Exception as error:
        foreseen = _foreseen(error, Path(config.workspace) if config else None)
        if foreseen is None:
            traceback.print_exc()
        attempt = config.job.attempt if config else 1
        return _end(parsed.stage, attempt, foreseen or _bug(error), environment)
    _write_result(result, environment)
    return ExitCode.DONE


def _read(path: Path, stage: str) -> TrainerConfig:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"the orders {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"the orders {path} are no text: byte {error.start + 1} is not UTF-8") from None
    config = read_config(text, source=str(path))
    if config.stage != stage:
        raise UserError(f"{path} holds the orders of {config.stage}, not of {stage}", field="stage")
    return config


def _run(config: TrainerConfig, environment: Mapping[str, str]) -> StageResult:
    """The stage itself; each imports only what it needs."""
    workspace = Workspace(Path(config.workspace))
    workspace.root.mkdir(parents=True, exist_ok=True)
    rank = int(environment.get("RANK", "0"))
    reporter = ProgressReporter(environment if rank == 0 else {}, now=lambda: datetime.now(UTC))
    try:
        match config.stage:
            case "prepare":
                from finetune_trainer import prepare

                return prepare.run(config, workspace, reporter, environment, now=datetime.now(UTC))
            case "train":
                from finetune_trainer import train

                return train.run(config, workspace, reporter, environment)
            case "evaluate":
                from finetune_trainer import evaluate

                return evaluate.run(config, workspace, reporter, environment, now=datetime.now(UTC))
            case "publish":
                from finetune_trainer import publish

                return publish.run(config, workspace, reporter, environment, now=datetime.now(UTC))
    finally:
        reporter.close()


@contextmanager
def _ending_when_told(config: TrainerConfig, environment: Mapping[str, str]) -> Iterator[None]:
    """SIGTERM ends a stage at once: what it has written so far does not look whole, and the next attempt begins with it.

    Without a handler a pod's first process would not even hear it. Training is told between two steps (StopRequest), and
    until then its ranks, which are no first process, simply die of it.
    """

    def end(*_: Any) -> None:
        error = Interrupted(f"told to stop in attempt {config.job.attempt}; what is complete is kept")
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{config.stage}: {error}\n".encode())
        _write_result(_failed(config.stage, config.job.attempt, error), environment)
        os._exit(ExitCode.INTERRUPTED)

    if config.stage == "train":
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# ---------------------------------------------------------------- how it ended

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_ERROR_OF_RUST = re.compile(r"\(os error (\d+)\)")
"""How safetensors and tokenizers, which are written in Rust, tell what the system said to them."""


def _foreseen(error: Exception, workspace: Path | None) -> FinetuneError | None:
    """The error as one we know how to explain; None for a bug."""
    if isinstance(error, FinetuneError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory("the machine's memory ran out")
    in_rust = _ERROR_OF_RUST.search(str(error))
    number = error.errno if isinstance(error, OSError) else int(in_rust[1]) if in_rust else None
    place = getattr(error, "filename", None) or workspace or "the workspace"
    if number in _FULL:
        return UserError(
            f"no space is left for {place}{_room(workspace)}",
            field="spec.workspace.size",
            hint="Make the workspace larger, or free some room; what is complete is kept.",
        )
    if number in _CLOSED:
        return UserError(
            f"{place} cannot be written by user {os.geteuid()}: {os.strerror(number or 0)}",
            field="spec.workspace",
            hint="Mount the workspace writable, and let that user or its group own it.",
        )
    if out_of_memory(error):
        return OutOfMemory("the GPU's memory ran out" if type(error).__name__ == "OutOfMemoryError" else "memory ran out")
    return None


def _room(workspace: Path | None) -> str:
    try:
        disk = shutil.disk_usage(workspace) if workspace else None
    except OSError:
        disk = None
    return f" (the workspace's disk holds {disk.total / 2**30:.1f} GiB, {disk.free:,} bytes are free)" if disk else ""


def _bug(error: Exception) -> FinetuneError:
    return FinetuneError(
        f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}",
        hint="This is a defect of the trainer; the traceback is in the log.",
    )


def _class_of(error: FinetuneError) -> ErrorClass:
    for kind, name in (
        (DataError, "DataError"),
        (UserError, "UserError"),
        (OutOfMemory, "OutOfMemory"),
        (Transient, "Transient"),
        (Interrupted, "Interrupted"),
    ):
        if isinstance(error, kind):
            return name  # type: ignore[return-value]  # the table above holds the class's own names
    return "Bug"


def _end(stage: str, attempt: int, error: FinetuneError, environment: Mapping[str, str]) -> int:
    """Say in one line and in the result how it ended; returns the exit code."""
    sys.stderr.write(f"{stage}: {error}\n")
    _write_result(_failed(stage, attempt, error), environment)
    return int(error.exit_code)


def _failed(stage: str, attempt: int, error: FinetuneError) -> StageResult:
    told = StageError(error_class=_class_of(error), message=error.message, field=error.field, hint=error.hint)
    return StageResult(stage=stage, attempt=attempt, error=told)


def _write_result(result: StageResult, environment: Mapping[str, str]) -> None:
    """Write the termination message at once and whole: it is a mounted file, which cannot be renamed."""
    path = Path(environment.get(meta.TERMINATION_LOG_VARIABLE, meta.TERMINATION_LOG_PATH))
    try:
        path.write_text(encode(result), encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"the result could not be written to {path}: {error.strerror}\n")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Libraries leave threads and exit handlers behind that can hang or change the code; everything of ours is closed.
    os._exit(code)
