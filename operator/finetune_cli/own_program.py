"""A training program of the user's on this machine, told what a pod would tell it.

In a cluster `spec.image` holds the program; here this machine does, and the manifest's directory is where it is started. So
one manifest serves for trying out and for the cluster (docs/contract.md).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finetune_api import meta
from finetune_operator.brain.machine import Topology

_HERE = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class OwnProgram:
    """What is started instead of our trainer."""

    command: tuple[str, ...]
    folder: Path
    """Where it is started."""
    variables: Mapping[str, str]
    """Of the contract."""


def own_variables(
    topology: Topology, attempt: int, *, orders: Path, workspace: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """The variables of the contract, for one machine.

    Args:
        orders: file with the resolved configuration.
        environment: of this process; the directory of its Python comes first on the PATH, as in the trainer's image.
    """
    return {
        meta.CONFIG_VARIABLE: str(orders),
        meta.WORKSPACE_VARIABLE: str(workspace),
        meta.ATTEMPT_VARIABLE: str(attempt),
        "PET_NNODES": "1",
        "PET_NODE_RANK": "0",
        "PET_NPROC_PER_NODE": str(topology.processes_per_node),
        "PET_MASTER_ADDR": _HERE,
        "PET_MASTER_PORT": str(_free_port()),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), environment.get("PATH", os.defpath))),
    }


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """End a program and all it has started: of a foreign one nobody knows whether its children see that it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HERE, 0))
        port: int = probe.getsockname()[1]
    return port
