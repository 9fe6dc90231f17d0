"""Running stages of the trainer as a pod would: a process, its orders in a file, its exit code and its last words."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from finetune_api.contract.result import StageResult, decode
from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.parse import parse_job
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Facts
from finetune_operator.brain.configure import configure
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.plan import plan
from finetune_operator.brain.stages import Stage
from ports import a_free_port

STEADY: dict[str, Any] = {"checkpoint_seconds": 0.2, "evaluation_steps": 20, "patience": 0}
"""Many checkpoints and few validations, so that a kill loses little and finds something to continue from."""

TWO_CORES = Machine(cpu_cores=2, memory_gib=16.0, cpu_bf16=True, local=True)


def manifest(model: Path, data: list[dict[str, Any]], output: Path, **spec: Any) -> dict[str, Any]:
    """A job as a person would write it, on local files."""
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "tiny"},
        "spec": {"model": {"uri": f"file://{model}"}, "datasets": data, "output": {"uri": f"file://{output}"}, **spec},
    }


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stage ended."""

    code: int
    result: StageResult | None
    log: str


def orders(raw: dict[str, Any], stage: Stage, workspace: Path, *, attempt: int = 1, **changes: Any) -> TrainerConfig:
    """The orders that the plan gives for a stage; what prepare found is read from its result in the workspace."""
    job = parse_job(raw)
    found = workspace / "prepare-result.json"
    facts = None
    if found.is_file():
        result = decode(found.read_text(encoding="utf-8"))
        assert result is not None
        facts = Facts(model=result.model, data=result.data, machine=result.machine)
    config = configure(job, plan(job.spec, facts, TWO_CORES), stage, attempt, workspace=str(workspace))
    block = getattr(config, stage)
    return config.model_copy(update={str(stage): block.model_copy(update=changes)})


def start(config: TrainerConfig, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a stage; its orders, last words and log lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    path.write_text(config.model_dump_json(by_alias=True, exclude_none=True), encoding="utf-8")
    return start_with(path, config.stage, folder, **environment)


def start_with(path: Path, stage: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a stage with orders that are on disk already."""
    (folder / "result.json").unlink(missing_ok=True)
    ours = {"FINETUNE_TERMINATION_LOG": str(folder / "result.json"), "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    if stage == Stage.TRAIN:  # ranks listen when torch is imported, long after a launcher has chosen a port for them
        ours |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(a_free_port())}
    log = (folder / "log.txt").open("w", encoding="utf-8")
    command = [sys.executable, "-m", "finetune_trainer", stage, "--config", str(path)]
    return subprocess.Popen(command, env={**os.environ, **ours, **environment}, stdout=log, stderr=log, text=True)


def ended(process: subprocess.Popen[str], folder: Path, *, timeout: float = 600) -> Ended:
    """Wait for the end of a stage."""
    code = process.wait(timeout)
    path = folder / "result.json"
    result = decode(path.read_text(encoding="utf-8")) if path.is_file() else None
    return Ended(code if code >= 0 else 128 - code, result, (folder / "log.txt").read_text(encoding="utf-8"))


def run(config: TrainerConfig, folder: Path, *, timeout: float = 600, **environment: str) -> Ended:
    """Run a stage to its end."""
    return ended(start(config, folder, **environment), folder, timeout=timeout)


def run_here(config: TrainerConfig, folder: Path, **environment: str) -> Ended:
    """Run a stage of one process inside this one: the same program without the seconds that imports take."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    path.write_text(config.model_dump_json(by_alias=True, exclude_none=True), encoding="utf-8")
    return run_with(path, config.stage, folder, **environment)


def run_with(path: Path, stage: str, folder: Path, **environment: str) -> Ended:
    """Run a stage inside this process with orders that are on disk already."""
    from finetune_trainer.__main__ import main

    result, log = folder / "result.json", io.StringIO()
    result.unlink(missing_ok=True)
    ours = {"FINETUNE_TERMINATION_LOG": str(result), "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        with mock.patch.dict(os.environ, {**ours, **environment}), contextlib.redirect_stderr(log):
            code = main([stage, "--config", str(path)])
    finally:
        logging.getLogger().removeHandler(handler)
    said = decode(result.read_text(encoding="utf-8")) if result.is_file() else None
    return Ended(int(code), said, log.getvalue())


def prepare(raw: dict[str, Any], workspace: Path, **environment: str) -> Ended:
    """Run prepare, and keep its result for the orders of the later stages."""
    end = run_here(orders(raw, Stage.PREPARE, workspace), workspace / "prepare-1", **environment)
    if end.code == 0:
        assert end.result is not None
        (workspace / "prepare-result.json").write_text(end.result.model_dump_json(by_alias=True), encoding="utf-8")
    return end


def losses(workspace: Path) -> dict[int, float]:
    """Training loss by step, as the last attempt that reached it measured it."""
    lines = map(json.loads, Workspace(workspace).metrics.read_text(encoding="utf-8").splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def job_of(raw: dict[str, Any]) -> FineTuneJob:
    """The manifest as the models read it."""
    return parse_job(raw)


def train_here(config: TrainerConfig, folder: Path, **environment: str) -> Ended:
    """Train on one rank inside this process, as the launcher would start it.

    The process group stays for the next run: DeepSpeed keeps groups of its own that outlive no other.
    """
    assert config.train is not None
    config = config.model_copy(update={"train": config.train.model_copy(update={"threads_per_process": 1})})
    rank = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(a_free_port())}
    return run_here(config, folder, **rank, **environment)
