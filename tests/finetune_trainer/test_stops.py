"""SIGTERM in the middle of prepare, evaluate and publish: nothing that looks whole is left, and the next attempt completes.

Processes and real signals; training has tests of its own (test_restarts.py).
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_operator.brain.stages import Stage
from ports import a_free_port
from rows import chats, write_jsonl


def told_to_stop(process: subprocess.Popen[str], folder: Path, *, once: Callable[[], bool]) -> stages.Ended:
    """Send SIGTERM once something has been seen, and wait for the end; with 0 if it was faster than who watches it."""
    deadline = time.monotonic() + 300
    while not once() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    end = stages.ended(process, folder, timeout=120)
    assert time.monotonic() - begin < 60, "a pod has a grace period of two minutes"
    return end


def interrupted(end: stages.Ended, stage: Stage) -> None:
    assert end.code == 143, end.log
    assert "Traceback" not in end.log
    assert f"{stage}: told to stop in attempt 1" in end.log
    assert end.result is not None
    assert end.result.error is not None
    assert end.result.error.error_class == "Interrupted"
    assert end.result.stage == stage


def test_prepare_that_is_told_to_stop_leaves_no_data_and_goes_on(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(6_000))
    raw = stages.manifest(causal_lm, [{"uri": f"file://{data}"}], tmp_path / "out")
    workspace, folder = tmp_path / "workspace", tmp_path / "prepare-1"
    spool = workspace / "preparing-1/spool/tokens.bin"

    for _ in range(5):
        process = stages.start(stages.orders(raw, Stage.PREPARE, workspace), folder)
        end = told_to_stop(process, folder, once=spool.exists)
        if end.code != 0:
            break
        shutil.rmtree(workspace)  # over before it was told: it takes seconds, and a machine may stall as long
    interrupted(end, Stage.PREPARE)
    assert not (workspace / "data").exists()

    end = stages.run_here(stages.orders(raw, Stage.PREPARE, workspace, attempt=2), tmp_path / "prepare-2")
    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.prepared is not None
    assert end.result.prepared.examples.read == 6_000
    assert not list(workspace.glob("preparing-*"))


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "workspace", symlinks=True))


def test_evaluate_that_is_told_to_stop_leaves_no_report(chat_manifest: dict[str, Any], finished: Path, tmp_path: Path) -> None:
    long = {"max_new_tokens": 150, "generated_examples": 100}
    folder = tmp_path / "evaluate-1"

    process = stages.start(stages.orders(chat_manifest, Stage.EVALUATE, finished, **long), folder)
    interrupted(
        told_to_stop(process, folder, once=lambda: "packed against one by one" in (folder / "log.txt").read_text()),
        Stage.EVALUATE,
    )
    assert not (finished / "reports/evaluation.json").exists()
    assert not (finished / "reports/report.html").exists()

    end = stages.run_here(stages.orders(chat_manifest, Stage.EVALUATE, finished, attempt=2), tmp_path / "evaluate-2")
    assert end.code == 0, end.log
    assert (finished / "reports/report.html").exists()


def test_publish_that_is_told_to_stop_publishes_nothing(
    chat_manifest: dict[str, Any], finished: Path, changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    out, folder = tmp_path / "out", tmp_path / "publish-1"
    raw = changed(chat_manifest, output={"uri": f"file://{out}", "format": "merged"})
    assert stages.run_here(stages.orders(raw, Stage.EVALUATE, finished), tmp_path / "evaluate").code == 0

    process = stages.start(stages.orders(raw, Stage.PUBLISH, finished), folder)
    interrupted(told_to_stop(process, folder, once=(finished / "publication").exists), Stage.PUBLISH)
    assert not out.exists()

    end = stages.run_here(stages.orders(raw, Stage.PUBLISH, finished, attempt=2), tmp_path / "publish-2")
    assert end.code == 0, end.log
    assert (out / "manifest.json").is_file()
    assert not (finished / "publication").exists()


def test_training_that_is_told_to_stop_before_its_first_step_ends_at_once(
    chat_manifest: dict[str, Any], workspace: Path
) -> None:
    folder = workspace / "train-1"
    process = stages.start(stages.orders(chat_manifest, Stage.TRAIN, workspace), folder)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    end = told_to_stop(process, folder, once=lambda: len(children.read_text().split()) == 2)

    assert end.code == 143, end.log
    assert "Traceback" not in end.log
    assert not (workspace / "metrics.jsonl").exists()


def test_a_rank_that_still_waits_for_its_peers_ends_when_it_is_told_to(chat_manifest: dict[str, Any], workspace: Path) -> None:
    """It sits in a call of torch for minutes, in which no handler of Python is run."""
    folder = workspace / "train-1"
    port = a_free_port()
    rank = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}

    def waits() -> bool:
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", port)) == 0

    process = stages.start(stages.orders(chat_manifest, Stage.TRAIN, workspace), folder, **rank)
    end = told_to_stop(process, folder, once=waits)

    assert end.code == 143, end.log
    assert "Traceback" not in end.log
