"""A desk with a manifest on it, the command line, and a trainer that does as it is told."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import finetune_api
import finetune_cli
from builders import a_manifest, a_result, some_data, some_facts
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.main import kubectl_plugin, main
from known_models import smollm_135m
from servers.beside import Beside, beside

SMALL = smollm_135m().model_copy(update={"parameters": 1_000_000, "embedding_parameters": 100_000, "vocabulary": 1000})
"""Fits whatever machine the tests run on."""
FACTS = some_facts(SMALL, some_data(200, mean=50, longest=300))
PACKAGES = os.pathsep.join(str(Path(package.__path__[0]).parent) for package in (finetune_api, finetune_cli))
STAND_IN = Path(__file__).parent / "stand_in"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def told(self) -> list[str]:
        """The lines of progress, without their times."""
        return [line.split(" ", 1)[1] for line in self.err.splitlines()]


@dataclass(slots=True)
class Desk:
    """A directory to work in. Where several commands are given no workspace they share .finetune/support."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        return self.folder / ".finetune" / "support"

    def manifest(self, name: str = "support", **spec: Any) -> str:
        """Write a manifest that trains on the CPU; its path."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(a_manifest(name, **{"resources": {"gpusPerNode": 0}, **spec})), encoding="utf-8")
        return str(path)

    def tell(self, *, passed: bool = True, **acts: dict[str, Any]) -> None:
        """What the stages do: train_1={"exit": 75}. Those of which nothing is said do their work."""
        words = {
            stage: a_result(stage, facts=FACTS, passed=passed).model_dump(mode="json", by_alias=True, exclude_none=True)
            for stage in ("prepare", "train", "evaluate", "publish")
        }
        answers = {stage: {k: v for k, v in said.items() if k not in ("stage", "attempt")} for stage, said in words.items()}
        told = {"answers": answers, "acts": {name.replace("_", "-"): act for name, act in acts.items()}}
        (self.folder / "stand-in.json").write_text(json.dumps(told), encoding="utf-8")

    def finetune(self, *arguments: str, plugin: bool = False) -> Ran:
        """Run a command inside this process: the same program without the time that its start takes.

        Args:
            plugin: as kubectl runs it.
        """
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = (kubectl_plugin if plugin else main)(list(arguments))
            except SystemExit as end:  # of argparse
                code = int(end.code or 0)
        return Ran(code, out.getvalue(), err.getvalue())

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command as a process of its own, in a session of its own."""
        command = [sys.executable, "-m", "finetune_cli.main", *arguments]
        usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        process = subprocess.Popen(command, cwd=self.folder, **{**usual, **more})
        self.started.append(process)
        return process

    def ended(self, process: subprocess.Popen[str]) -> Ran:
        out, err = process.communicate(timeout=300)
        return Ran(process.returncode, out or "", err or "")

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that another process does."""
        deadline = time.monotonic() + 300
        while not holds():
            assert time.monotonic() < deadline, "it did not happen within five minutes"
            time.sleep(0.02)

    def at_work(self, name: str) -> Callable[[], bool]:
        """Whether an attempt waits to be told to stop."""
        return (self.workspace / "attempts" / name / "ready").is_file

    @property
    def job(self) -> FineTuneJob:
        """Manifest and status as the workspace holds them."""
        return FineTuneJob.model_validate_json((self.workspace / "job.json").read_text(encoding="utf-8"))

    def orders(self, name: str) -> dict[str, Any]:
        """The configuration that an attempt was started with."""
        path = self.workspace / "attempts" / name / "config.json"
        orders: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return orders

    @property
    def attempts(self) -> set[str]:
        """The attempts that were started."""
        return {path.name for path in (self.workspace / "attempts").iterdir()}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(STAND_IN), PACKAGES)))
    monkeypatch.setenv("FINETUNE_STAND_IN", str(tmp_path / "stand-in.json"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    made = Desk(tmp_path)
    made.tell()
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    """An API server, named by KUBECONFIG, with the namespace `ml` in its current context."""
    with beside(tmp_path) as served:
        monkeypatch.setenv("KUBECONFIG", str(served.kubeconfig))
        monkeypatch.setenv("HOME", str(tmp_path))
        yield served
