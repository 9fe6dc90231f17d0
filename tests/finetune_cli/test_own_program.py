"""A training program of the user's on one machine: what it is told, what its end means, how it is stopped."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Desk, Ran


def run(desk: Desk, *command: str, **spec: Any) -> Ran:
    return desk.finetune("run", desk.manifest(image="theirs:1", command=list(command), **spec))


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def test_it_is_told_what_the_contract_says_and_starts_beside_its_manifest(desk: Desk) -> None:
    elsewhere = desk.folder / "elsewhere"
    elsewhere.mkdir()
    written = desk.manifest(image="theirs:1", command=list(shell("env > told.txt")), resources={"nodes": 3, "gpusPerNode": 0})
    manifest = Path(written).rename(elsewhere / "job.yaml")
    ran = desk.finetune("run", str(manifest))
    assert ran.code == 0, ran.err
    told = dict(line.split("=", 1) for line in (elsewhere / "told.txt").read_text().splitlines() if "=" in line)
    attempt = desk.workspace / "attempts" / "train-1"
    assert told["FINETUNE_WORKSPACE"] == str(desk.workspace)
    assert told["FINETUNE_CONFIG"] == str(attempt / "config.json")
    assert told["FINETUNE_ATTEMPT"] == "1"
    assert (told["PET_NNODES"], told["PET_NODE_RANK"]) == ("1", "0")
    assert told["PET_NPROC_PER_NODE"] == str(desk.orders("train-1")["train"]["processesPerNode"])
    assert told["PET_MASTER_ADDR"] == "127.0.0.1"
    assert told["PATH"].startswith(f"{Path(sys.executable).parent}{os.pathsep}")
    assert told["KUBEFLOW_TRAINER_SERVER_URL"].startswith("http://127.0.0.1:")
    assert desk.orders("train-1")["stage"] == "train"


def test_the_other_stages_are_ours(desk: Desk) -> None:
    ran = run(desk, "true")
    assert ran.told == [
        "prepare attempt 1 starts",
        "prepare is done",
        "train attempt 1 starts",
        "train is done",
        "evaluate attempt 1 starts",
        "evaluate is done",
        "publish attempt 1 starts",
        "publish is done",
        ran.told[-1],
    ]


@pytest.mark.parametrize(
    ("code", "tries", "reason"), [(64, 1, "UserError"), (65, 1, "UserError"), (71, 2, "OutOfMemory"), (7, 2, "Unknown")]
)
def test_its_exit_codes_mean_what_ours_do(desk: Desk, code: int, tries: int, reason: str) -> None:
    assert run(desk, *shell(f"exit {code}")).code == 1
    attempts = [attempt for attempt in desk.job.status.attempts if attempt.stage == "train"]
    assert [attempt.reason for attempt in attempts] == [reason] * tries
    assert {attempt.exit_code for attempt in attempts} == {code}


def test_a_program_that_is_not_there_is_said_with_its_field(desk: Desk) -> None:
    ran = run(desk, "no-such-program")
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == "finetune: spec.command: there is no program no-such-program on this machine"


def test_ctrl_c_reaches_it_as_sigterm_and_the_next_run_goes_on(desk: Desk) -> None:
    script = 'if [ -e stopped ]; then exit 0; fi; trap "touch stopped; exit 143" TERM; touch ready; while :; do sleep 0.1; done'
    manifest = desk.manifest(image="theirs:1", command=list(shell(script)))
    process = desk.start("run", manifest)
    desk.until((desk.folder / "ready").is_file)
    process.send_signal(signal.SIGINT)
    assert desk.ended(process).code == 130
    assert desk.job.status.attempts[-1].reason == "Suspended"
    assert desk.finetune("run", manifest).code == 0


def test_a_second_ctrl_c_ends_all_that_it_has_started(desk: Desk) -> None:
    script = (
        'trap "" TERM; sh -c \'echo $$ > child; trap "" TERM; while :; do sleep 0.1; done\' & wait; while :; do sleep 0.1; done'
    )
    process = desk.start("run", desk.manifest(image="theirs:1", command=list(shell(script))))
    child = desk.folder / "child"
    desk.until(lambda: child.is_file() and bool(child.read_text()))
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Stopping" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert desk.ended(process).code == 130
    desk.until(lambda: not is_alive(int(child.read_text())))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
