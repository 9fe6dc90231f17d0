"""A pod's first process for training: starts one rank per GPU, and tells truthfully how they ended.

torchrun turns every exit code into 1, so an operator behind it cannot tell a full disk from a crash. This parent starts the
ranks with the usual environment, passes SIGTERM on, ends the others when one dies, and exits with the code of the rank that
is to blame: survivors of a dead peer exit 75 within seconds and are never taken for the culprit.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_api import meta
from finetune_api.contract.exit_codes import ExitCode, blame
from finetune_api.contract.trainer_config import TrainConfig

_POLL_SECONDS = 0.05
_AFTER_A_DEATH_SECONDS = 10.0
"""How long the others may take to notice by themselves that a rank is gone."""
_MULTI_NODE_PORT = "29500"
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}
"""glibc gives each large tensor back to the system and faults it in again, page by page: a tenth of a step on a CPU."""

PARENT_VARIABLE = "FINETUNE_PARENT_PID"
"""Tells a rank whose child it is: it ends when its parent does."""


@dataclass(slots=True)
class _Rank:
    process: subprocess.Popen[bytes]
    result: Path
    ended_at: float | None = None
    has_peers: bool = False
    given_up: bool = False
    """Killed by us, because it did not end by itself after another rank had died."""

    @property
    def code(self) -> int | None:
        """Exit code as a shell gives it: 128 + n for signal n. A rank that we killed only lost a peer.

        So has one among several that aborted: NCCL's own watchdog ends a process so when a peer is gone or does not answer,
        and Python never hears of it.
        """
        code = self.process.poll()
        if code is not None and (self.given_up or (self.has_peers and code == -signal.SIGABRT)):
            return ExitCode.TRANSIENT
        return code if code is None or code >= 0 else 128 - code


def launch(arguments: list[str], orders: TrainConfig, environment: Mapping[str, str]) -> int:
    """Run all ranks of this machine to their end.

    Args:
        arguments: of the program, as in `train --config FILE`.
        orders: world size, processes per machine, threads.
        environment: of this process; JOB_COMPLETION_INDEX says which machine this is, MASTER_ADDR where rank 0 is.
    Returns: the exit code to end with. The result of the rank to blame, or of rank 0, becomes the termination message.
    """
    folder = Path(tempfile.mkdtemp(prefix="finetune-ranks-"))
    ranks: list[_Rank] = []
    told = False

    def stop(*_: Any) -> None:
        nonlocal told
        told = True
        for rank in ranks:
            if rank.process.poll() is None:
                rank.process.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        master = _master(orders, environment)
        for local_rank in range(orders.processes_per_node):
            ranks.append(_start(arguments, orders, environment, local_rank, folder, master))
        if told:  # while they were being started
            stop()
        _wait(ranks)
        culprit = min(ranks, key=lambda r: (blame(r.code or 0), r.ended_at or 0.0))
        _pass_on(culprit.result, environment)
        return culprit.code or ExitCode.DONE
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for rank in ranks:
            if rank.process.poll() is None:
                rank.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _master(orders: TrainConfig, environment: Mapping[str, str]) -> tuple[str, str]:
    """Where rank 0 listens: named by the surroundings, or a free port of this machine."""
    if orders.nodes > 1 or "MASTER_ADDR" in environment:
        return environment.get("MASTER_ADDR", "127.0.0.1"), environment.get("MASTER_PORT", _MULTI_NODE_PORT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1", str(probe.getsockname()[1])


def _start(
    arguments: list[str],
    orders: TrainConfig,
    environment: Mapping[str, str],
    local_rank: int,
    folder: Path,
    master: tuple[str, str],
) -> _Rank:
    machine = int(environment.get("JOB_COMPLETION_INDEX", "0"))
    result = folder / f"rank-{local_rank}.json"
    ours = {
        "RANK": str(machine * orders.processes_per_node + local_rank),
        "LOCAL_RANK": str(local_rank),
        "WORLD_SIZE": str(orders.world_size),
        "LOCAL_WORLD_SIZE": str(orders.processes_per_node),
        "MASTER_ADDR": master[0],
        "MASTER_PORT": master[1],
        "OMP_NUM_THREADS": str(orders.threads_per_process),
        meta.TERMINATION_LOG_VARIABLE: str(result),
        PARENT_VARIABLE: str(os.getpid()),
        **KEEP_MEMORY,
    }
    command = [sys.executable, "-m", "finetune_trainer", *arguments]
    return _Rank(subprocess.Popen(command, env={**environment, **ours}), result, has_peers=orders.world_size > 1)


def _wait(ranks: list[_Rank]) -> None:
    """Return when all have ended; what outlives a dead rank for too long is killed."""
    first_death: float | None = None
    while True:
        now = time.monotonic()
        for rank in ranks:
            if rank.ended_at is None and rank.code is not None:
                rank.ended_at = now
                if rank.code != ExitCode.DONE and first_death is None:
                    first_death = now
        if all(rank.ended_at is not None for rank in ranks):
            return
        # After an orderly stop the others are saving; their own limit is the surroundings' grace period.
        orderly = any(rank.code == ExitCode.INTERRUPTED for rank in ranks)
        if first_death is not None and not orderly and now - first_death > _AFTER_A_DEATH_SECONDS:
            for rank in ranks:
                if rank.process.poll() is None:
                    rank.given_up = True
                    rank.process.kill()
        time.sleep(_POLL_SECONDS)


def _pass_on(result: Path, environment: Mapping[str, str]) -> None:
    """Make a rank's last words those of the pod. A rank that was killed left none."""
    target = Path(environment.get(meta.TERMINATION_LOG_VARIABLE, meta.TERMINATION_LOG_PATH))
    try:
        if result.is_file():
            target.write_text(result.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:  # the exit code still says how the ranks ended
        sys.stderr.write(f"the result could not be written to {target}: {error.strerror}\n")


def die_with_parent(environment: Mapping[str, str]) -> None:
    """End this process when the one that started it ends, however it ends: no rank outlives its launcher."""
    parent = environment.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    import ctypes

    set_death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != int(parent):  # it ended before we had asked
        os._exit(ExitCode.TRANSIENT)
