"""Ctrl-C, kill -9, a second run at the same time: nothing is lost, and running again continues."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from finetune_cli import local

if TYPE_CHECKING:
    from conftest import Desk

WAITS = {"train_1": {"wait": True}}


def test_ctrl_c_lets_the_stage_save_and_running_again_continues(desk: Desk) -> None:
    desk.tell(**WAITS)
    manifest = desk.manifest()
    run = desk.start("run", manifest)
    desk.until(desk.at_work("train-1"))
    # As a terminal does it: to everybody in the foreground. The stage is not among them, or it would exit 2.
    os.killpg(run.pid, signal.SIGINT)
    stopped = desk.ended(run)
    assert stopped.code == 130
    assert "The same command again continues where it stopped." in stopped.out
    assert stopped.told[-3:] == [
        "Stopping: a checkpoint is written at the next step."
        " Ctrl-C again stops at once and loses what came since the last one.",
        "Suspended; what was reached is kept.",
        "train attempt 1 stopped",
    ]
    (attempt,) = [a for a in desk.job.status.attempts if a.stage == "train"]
    assert (attempt.reason, attempt.exit_code, attempt.charged) == ("Suspended", 143, False)
    again = desk.finetune("run", manifest)
    assert (again.code, again.told[0]) == (0, "train attempt 2 starts")
    assert desk.attempts == {"prepare-1", "train-1", "train-2", "evaluate-1", "publish-1"}


def test_ctrl_c_while_a_plan_prepares_is_no_plan(desk: Desk) -> None:
    desk.tell(prepare_1={"wait": True})
    run = desk.start("plan", desk.manifest(), "--prepare")
    desk.until(desk.at_work("prepare-1"))
    run.send_signal(signal.SIGINT)
    stopped = desk.ended(run)
    assert (stopped.code, stopped.out) == (130, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_session_that_closes_stops_as_gently(desk: Desk, number: signal.Signals) -> None:
    desk.tell(**WAITS)
    run = desk.start("run", desk.manifest())
    desk.until(desk.at_work("train-1"))
    run.send_signal(number)
    assert desk.ended(run).code == 130
    assert desk.job.status.attempts[-1].exit_code == 143


def test_a_second_ctrl_c_does_not_wait_for_a_stage_that_does_not_listen(desk: Desk) -> None:
    desk.tell(train_1={"wait": True, "deaf": True})
    run = desk.start("run", desk.manifest())
    desk.until(desk.at_work("train-1"))
    os.killpg(run.pid, signal.SIGINT)
    assert run.stderr is not None
    while "Stopping" not in run.stderr.readline():  # two signals that come before one is looked at are one
        assert run.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(0.7)
    os.killpg(run.pid, signal.SIGINT)
    assert desk.ended(run).code == 130
    assert desk.job.status.attempts[-1].exit_code == 137


def test_a_stage_that_does_not_listen_is_killed_in_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "KILL_AFTER_SECONDS", 0.3)
    desk.tell(train_1={"wait": True, "deaf": True, "report": {"current_step": 1}})  # and reports no step again
    ran = desk.finetune("run", desk.manifest(runPolicy={"stallTimeoutSeconds": 1}))
    assert any(line.startswith("train attempt 1 ended at step 1: no step for 1 s.") for line in ran.told)
    assert ran.code == 0


def test_a_killed_run_takes_its_stage_along_and_running_again_continues(desk: Desk) -> None:
    desk.tell(**WAITS)
    manifest = desk.manifest()
    run = desk.start("run", manifest)
    desk.until(desk.at_work("train-1"))
    run.kill()
    desk.ended(run)
    desk.until(lambda: desk.finetune("run", manifest, "--claim", f"models={desk.folder}").code == 0)
    lost = next(a for a in desk.job.status.attempts if (a.stage, a.number) == ("train", 1))
    assert (lost.reason, lost.charged) == ("Disruption", False)
    assert lost.message == "it was killed together with the program that watched it"
    assert desk.job.status.restarts.charged == 0
    assert "train-2" in desk.attempts


def test_work_that_was_finished_when_the_run_was_killed_is_not_done_again(desk: Desk) -> None:
    manifest = desk.manifest()
    desk.tell(train_1={"wait": True})
    run = desk.start("run", manifest)
    desk.until(desk.at_work("train-1"))
    run.kill()
    desk.ended(run)
    words = '{"stage": "train", "trained": {"steps": 75, "totalSteps": 75, "bestStep": 75}}'
    (desk.workspace / "attempts" / "train-1" / "result.json").write_text(words, encoding="utf-8")
    desk.until(lambda: desk.finetune("run", manifest).code == 0)
    assert "train-2" not in desk.attempts


def test_two_runs_of_one_workspace_exclude_each_other(desk: Desk) -> None:
    desk.tell(**WAITS)
    manifest = desk.manifest()
    run = desk.start("run", manifest)
    desk.until(desk.at_work("train-1"))
    for arguments in (("run", manifest), ("run", manifest, "--fresh"), ("plan", manifest, "--prepare")):
        second = desk.finetune(*arguments)
        assert second.code == 2
        assert second.err == f"finetune: the workspace {desk.workspace} is used by another run (process {run.pid})\n"
    assert run.poll() is None
    run.terminate()
    assert desk.ended(run).code == 130


def test_a_stage_that_outlives_its_run_keeps_the_workspace_to_itself(desk: Desk) -> None:
    desk.tell(train_1={"wait": True, "orphan": True})
    manifest = desk.manifest()
    run = desk.start("run", manifest, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    desk.until(desk.at_work("train-1"))
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(run.pid)], capture_output=True, text=True, check=True)
    run.kill()
    run.wait()
    assert desk.finetune("run", manifest).code == 2
    os.kill(int(children.stdout), signal.SIGKILL)
    desk.until(lambda: desk.finetune("run", manifest).code == 0)


def test_other_workspaces_are_free(desk: Desk) -> None:
    desk.tell(**WAITS)
    run = desk.start("run", desk.manifest())
    desk.until(desk.at_work("train-1"))
    desk.tell()
    assert desk.finetune("run", desk.manifest("other")).code == 0
    assert desk.finetune("run", desk.manifest(), "--workspace", "elsewhere").code == 0
    run.terminate()
    desk.ended(run)


@pytest.mark.parametrize("command", ["crd", "status"], ids=["more than a buffer", "one line"])
def test_a_reader_that_has_seen_enough_is_no_error(desk: Desk, command: str) -> None:
    shell = f"{sys.executable} -m finetune_cli.main {command} | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_on_a_terminal_there_is_a_bar_per_stage(desk: Desk) -> None:
    ours, theirs = pty.openpty()
    run = desk.start("run", desk.manifest(), stderr=theirs)
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert run.wait(300) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.decode())
    last = text[text.rindex("prepare") :]
    assert [line.split()[0] for line in last.splitlines() if "done" in line] == ["prepare", "train", "evaluate", "publish"]


def test_ctrl_c_while_a_command_waits_for_its_input_is_no_traceback(desk: Desk) -> None:
    run = desk.start("validate", "-", stdin=subprocess.PIPE)
    desk.until(lambda: _reads_its_input(run.pid))
    run.send_signal(signal.SIGINT)
    stopped = desk.ended(run)
    assert (stopped.code, stopped.out, stopped.err) == (130, "", "")


def _reads_its_input(pid: int) -> bool:
    """Whether a process sleeps in a read of its standard input."""
    return Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").startswith("0 0x0 ")
