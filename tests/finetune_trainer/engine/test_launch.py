"""The launcher tells truthfully how its ranks ended. The ranks here are small programs that act out an end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from finetune_api.contract.exit_codes import ExitCode, blame

RANK = """
import json, os, signal, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
scripts = json.loads(os.environ["SCRIPT"])
script = scripts[rank]
signal.signal(signal.SIGTERM, lambda *_: os._exit(143))  # an exception would be lost where an object is being taken apart
open(os.environ["FINETUNE_TERMINATION_LOG"], "w").write(json.dumps({"stage": "train", "rank": rank}))
print(rank, os.getpid(), flush=True)
here = Path(os.environ["MEETING_PLACE"])
(here / f"{rank}.begun").write_text(str(os.getpid()))
(here / f"{rank}.begun").rename(here / str(rank))

def is_noticed(earlier):  # gone and waited for: until then its process is there
    place = here / str(earlier)
    return place.exists() and not Path("/proc", place.read_text()).exists()

def is_my_turn():
    turn = script["turn"]
    others = [other for other in range(len(scripts)) if turn and scripts[other]["turn"] and scripts[other]["turn"] < turn]
    return turn and all(map(is_noticed, others))

while not is_my_turn():  # a signal in the moment before a sleep begins is seen after it: no sleep is long
    time.sleep(0.01)
if script["code"] < 0:
    os.kill(os.getpid(), -script["code"])
sys.exit(script["code"])
"""

LAUNCHER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from finetune_trainer import launch
from finetune_api.contract.trainer_config import TrainConfig
launch._AFTER_A_DEATH_SECONDS = float(sys.argv[4])
sizes = {"processes_per_node": int(sys.argv[2]), "world_size": int(sys.argv[2]), "nodes": 1, "threads_per_process": 1}
orders = TrainConfig.model_construct(**sizes)
sys.exit(launch.launch(["train"], orders, {**os.environ, "PYTHONPATH": sys.argv[3]}))
"""


NEVER = 0


def start(folder: Path, *script: tuple[int, int], patience: float = 600.0) -> subprocess.Popen[str]:
    """A launcher over ranks that end with a code, each when those whose turn is before its own have been seen to end.

    Args:
        patience: seconds that the launcher gives those that outlive another.
    """
    package = folder / "ranks/finetune_trainer"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(textwrap.dedent(RANK))
    environment = {
        **os.environ,
        "SCRIPT": json.dumps([{"code": code, "turn": turn} for code, turn in script]),
        "MEETING_PLACE": str(package),
        "FINETUNE_TERMINATION_LOG": str(folder / "result.json"),
    }
    command = [sys.executable, "-c", LAUNCHER, "", str(len(script)), str(folder / "ranks"), str(patience)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE)


def told(folder: Path) -> int:
    rank: int = json.loads((folder / "result.json").read_text())["rank"]
    return rank


@pytest.mark.parametrize(
    ("script", "code", "rank"),
    [
        ([(0, 1), (0, 2)], 0, 0),
        ([(75, 1), (-9, 2)], 137, 1),
        ([(75, 1), (64, 2)], 64, 1),
        ([(75, 1), (71, 2), (1, 3)], 71, 1),
        ([(1, 1), (65, 2)], 65, 1),
        ([(75, 2), (75, 1)], 75, 1),
        ([(143, 1), (143, 2)], 143, 0),
        ([(0, 1), (75, 2)], 75, 1),
        ([(-6, 1), (1, 2)], 1, 1),
        ([(-6, 1), (-6, 2)], 75, 0),
        ([(-6, 1)], 134, 0),
    ],
)
def test_the_exit_code_is_that_of_the_rank_to_blame(
    script: list[tuple[int, int]], code: int, rank: int, tmp_path: Path
) -> None:
    process = start(tmp_path, *script)
    assert process.wait(120) == code
    assert told(tmp_path) == rank


def test_what_outlives_a_dead_rank_is_killed_and_not_blamed(tmp_path: Path) -> None:
    process = start(tmp_path, (64, 1), (0, NEVER), patience=1.0)
    assert process.wait(120) == 64
    assert told(tmp_path) == 0


def test_sigterm_reaches_every_rank(tmp_path: Path) -> None:
    process = start(tmp_path, (0, NEVER), (0, NEVER))
    assert process.stdout is not None
    for _ in range(2):
        process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 143


def test_the_order_of_blame() -> None:
    assert sorted([0, 143, 75, 1, 64, 137], key=blame) == [137, 64, 1, 75, 143, 0]
    assert blame(ExitCode.OUT_OF_MEMORY) == blame(ExitCode.KILLED)


def test_no_rank_outlives_a_launcher_that_was_killed(prepared: Path, chat_manifest: dict[str, object], tmp_path: Path) -> None:
    import shutil

    import stages
    from finetune_operator.brain.stages import Stage

    workspace = Path(shutil.copytree(prepared, tmp_path / "workspace", symlinks=True))
    process = stages.start(stages.orders(chat_manifest, Stage.TRAIN, workspace), tmp_path / "train")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 120
    while len(ranks := children.read_text().split()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1.0)  # until the ranks have asked to die with their parent; imports take longer than that
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in ranks):
        assert time.monotonic() < deadline, "a rank lives on"
        time.sleep(0.05)
