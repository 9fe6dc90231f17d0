"""A training program of the user's own under the contract: the example, as real processes, with a tiny model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_cli.progress_server import ProgressServer
from finetune_operator.brain.stages import Stage
from ports import a_free_port
from rows import chats, write_jsonl
from stages import manifest, orders, run_here
from tiny import tiny_causal_lm

EXAMPLE = Path(__file__).parents[2] / "examples" / "own-trainer"
LONG = 100_000
"""Steps that nobody waits for."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("inputs")
    data = [{"uri": f"file://{write_jsonl(folder / 'chats.jsonl', chats(60))}"}]
    spec = {"training": {"batchSize": 4, "learningRate": 0.005, "precision": "fp32"}, "resources": {"gpusPerNode": 0}}
    return manifest(tiny_causal_lm(folder / "model"), data, folder / "out", **spec)


@pytest.fixture
def workspace(raw: dict[str, Any], tmp_path: Path) -> Path:
    """Prepared by our own stage."""
    folder = tmp_path / "workspace"
    assert run_here(orders(raw, Stage.PREPARE, folder), folder / "prepare").code == 0
    (folder / "prepare/result.json").rename(folder / "prepare-result.json")
    return folder


class Program:
    """The example's program as the pods of an attempt run it."""

    def __init__(self, raw: dict[str, Any], workspace: Path) -> None:
        self.workspace, self.server = workspace, ProgressServer()
        self._raw = raw
        self._started: dict[subprocess.Popen[str], Path] = {}

    def start(self, *, attempt: int = 1, ranks: int = 1, **changes: Any) -> list[subprocess.Popen[str]]:
        config = orders(self._raw, Stage.TRAIN, self.workspace, attempt=attempt, **changes)
        path = self.workspace / f"orders-{attempt}.json"
        path.write_text(config.model_dump_json(by_alias=True, exclude_none=True))
        reports = self.server.expect("token", self.workspace / "token")
        told = {
            "FINETUNE_WORKSPACE": str(self.workspace),
            "FINETUNE_CONFIG": str(path),
            "FINETUNE_ATTEMPT": str(attempt),
            "PET_NNODES": str(ranks),
            "PET_NPROC_PER_NODE": "1",
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(a_free_port()),
            "CUDA_VISIBLE_DEVICES": "",
            "SAVE_STEPS": "5",
        }
        for rank in range(ranks):
            log = (self.workspace / f"log-{attempt}-{rank}.txt").open("w")
            environment = {**os.environ, **told, **reports, "PET_NODE_RANK": str(rank), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "own_trainer"]
            process = subprocess.Popen(command, cwd=EXAMPLE, env=environment, stdout=log, stderr=log, text=True)
            self._started[process] = Path(log.name)
        return list(self._started)[-ranks:]

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Exit code and log."""
        return process.wait(600), self._started[process].read_text()

    def steps(self, attempt: int) -> list[int]:
        """Of the complete checkpoints."""
        found = (self.workspace / "checkpoints" / str(attempt)).glob("checkpoint-*/complete")
        return sorted(int(marker.parent.name.rpartition("-")[2]) for marker in found)

    def close(self) -> None:
        self.server.close()
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
def program(raw: dict[str, Any], workspace: Path) -> Iterator[Program]:
    made = Program(raw, workspace)
    yield made
    made.close()


def until(holds: Callable[[], Any], process: subprocess.Popen[str], *, what: str) -> Any:
    deadline = time.monotonic() + 300
    while not (found := holds()):
        assert process.poll() is None, f"it ended with {process.poll()} before {what}"
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def test_it_reports_stops_when_told_and_goes_on_where_it_was(program: Program) -> None:
    (first,) = program.start(total_steps=LONG)
    reported = until(lambda: (told := program.server.newest()) and told.step and told, first, what="a step was reported")
    assert (reported.total_steps, reported.loss is not None, reported.eta_seconds is not None) == (LONG, True, True)
    first.send_signal(signal.SIGTERM)
    code, log = program.ended(first)
    assert code == 143, log
    stopped_at = program.steps(1)[-1]
    assert stopped_at >= reported.step
    assert not (program.workspace / "adapter").exists()

    (program.workspace / f"checkpoints/1/checkpoint-{LONG}").mkdir()  # cut off while it was written: no marker
    (second,) = program.start(attempt=2, total_steps=stopped_at + 5)
    code, log = program.ended(second)
    assert code == 0, log
    assert program.steps(2)[-1] == stopped_at + 5
    state = json.loads((program.workspace / f"checkpoints/2/checkpoint-{stopped_at + 5}/trainer_state.json").read_text())
    assert state["log_history"][0]["step"] == 1, "it knows the steps of the first attempt"
    assert program.server.newest().percent == 100  # type: ignore[union-attr]


def test_what_it_leaves_is_what_evaluate_takes(raw: dict[str, Any], program: Program) -> None:
    (process,) = program.start(total_steps=40)
    code, log = program.ended(process)
    assert code == 0, log
    ended = run_here(orders(raw, Stage.EVALUATE, program.workspace), program.workspace / "evaluate")
    assert ended.code == 0, ended.log
    assert ended.result is not None
    assert ended.result.evaluation is not None
    scores = ended.result.evaluation
    assert scores.tuned["loss"] < scores.base["loss"] - 0.1
    assert (program.workspace / "reports/report.html").is_file()


def test_of_two_ranks_one_is_told_to_stop_and_both_save_the_same_step(program: Program) -> None:
    ranks = program.start(total_steps=LONG, ranks=2)
    until(lambda: program.steps(1), ranks[0], what="a checkpoint")
    ranks[1].send_signal(signal.SIGTERM)
    assert [program.ended(rank)[0] for rank in ranks] == [143, 143]
    whole, begun = program.steps(1), list((program.workspace / "checkpoints/1").iterdir())
    assert len(whole) == len(begun), "the last one too was written by both"


def test_a_batch_that_cannot_be_shared_is_the_manifests_fault(program: Program) -> None:
    ranks = program.start(batch_size=5, ranks=2)
    code, log = program.ended(ranks[0])
    assert code == 64
    assert "spec.training.batchSize: 5 examples cannot be shared by 2 ranks" in log
