"""Orders for the trainer's stages as the plan gives them, for one process with one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measure

from finetune_api import meta
from finetune_api.contract.result import decode
from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.parse import parse_job
from finetune_api.v1alpha1.status import Facts
from finetune_cli.machine import this_machine
from finetune_operator.brain.configure import configure
from finetune_operator.brain.plan import plan
from finetune_operator.brain.stages import Stage


def a_job(model: Path, data: Path, **spec: Any) -> dict[str, Any]:
    """A manifest on local files, for the CPU; what it would publish is never published."""
    sources = {"model": {"uri": f"file://{model}"}, "datasets": [{"uri": f"file://{data}"}]}
    rest = {"resources": {"gpusPerNode": 0}, "output": {"uri": "file:///nowhere"}}
    head = {"apiVersion": meta.API_VERSION, "kind": meta.KIND, "metadata": {"name": "benchmark"}}
    return {**head, "spec": {**sources, **rest, **spec}}


def orders(manifest: dict[str, Any], stage: Stage, workspace: Path) -> TrainerConfig:
    """What the stage is told; what prepare found is read from the workspace if it has run there."""
    job = parse_job(manifest)
    found, facts = workspace / "prepare-result.json", None
    if found.is_file():
        result = decode(found.read_text(encoding="utf-8"))
        assert result is not None
        facts = Facts(model=result.model, data=result.data, machine=result.machine)
    made = plan(job.spec, facts, this_machine(os.environ))
    return configure(job, made, stage, 1, workspace=str(workspace))


def prepare(manifest: dict[str, Any], workspace: Path) -> None:
    """Run the prepare stage as a pod would.

    Raises: SystemExit if it fails.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    path = workspace / "prepare.json"
    path.write_text(orders(manifest, Stage.PREPARE, workspace).model_dump_json(by_alias=True, exclude_none=True))
    environment = {**os.environ, "FINETUNE_TERMINATION_LOG": str(workspace / "prepare-result.json")}
    done = subprocess.run([sys.executable, "-m", "finetune_trainer", "prepare", "--config", str(path)], env=environment)
    if done.returncode != 0:
        sys.exit(f"prepare ended with {done.returncode}")


def measured_prepare(config: TrainerConfig, workspace: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Run the prepare stage with one thread: its data report; CPU-seconds, wall seconds and memory in MiB.

    Raises: SystemExit if it fails.
    """
    path, said = workspace / "job.json", workspace / "result.json"
    path.write_text(config.model_dump_json(by_alias=True, exclude_none=True), encoding="utf-8")
    own = {"FINETUNE_TERMINATION_LOG": str(said), "DS_ACCELERATOR": "cpu"}
    command = [sys.executable, "-m", "finetune_trainer", "prepare", "--config", str(path)]
    begin, anonymous = time.perf_counter(), 0.0
    process = subprocess.Popen(command, env={**os.environ, **measure.ONE_THREAD, **own}, stderr=subprocess.DEVNULL)
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        anonymous = max(anonymous, measure.anonymous_mib(process.pid))
        time.sleep(0.05)
    _, status, used = ended
    if status != 0:
        sys.exit(f"prepare ended with status {status}: {said.read_text()}")
    report: dict[str, Any] = json.loads((workspace / "reports" / "data.json").read_text(encoding="utf-8"))
    return report, {
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "seconds": time.perf_counter() - begin,
        "peak_mib": used.ru_maxrss / 1024,
        "anonymous_mib": anonymous,
    }
