"""The machine that carries our cluster: its scripts (bring_up/) as functions.

Only these scripts know how a node is made; here is no second way to start, stop or hurt anything.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

BRING_UP = Path(__file__).parent / "bring_up"
PROJECT = Path(__file__).parents[2]


def cache_folder() -> Path:
    """Where programs, images and the running cluster are, as lib.sh says."""
    named = os.environ.get("TESTCLUSTER_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-testcluster"


def run(script: str, *arguments: object, timeout: float = 600, stdin: str | None = None) -> str:
    """Run one of the scripts; what it printed to stdout.

    Raises: RuntimeError with its last words if it fails.
    """
    command = [str(BRING_UP / script), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exited {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Machine:
    """Our own cluster's machine. Nodes are numbers from 1; node N is called nodeN."""

    cache: Path = field(default_factory=cache_folder)
    node_count: int = 2
    gpus_per_node: int = 4

    @property
    def state(self) -> Path:
        """Logs, certificates and pids of the running cluster."""
        return self.cache / "state"

    @property
    def programs(self) -> Path:
        """kubectl, helm, ctr and the others."""
        return self.cache / "bin"

    def is_up(self) -> bool:
        """Whether a cluster was brought up and not taken down."""
        return (self.state / "complete").exists()

    def up(self) -> Path:
        """Bring the cluster up if it is not; its kubeconfig."""
        # From nothing some fifty programs are compiled first.
        said = run("up.sh", "--nodes", self.node_count, "--gpus-per-node", self.gpus_per_node, timeout=3600)
        return Path(said.strip())

    def down(self) -> None:
        """Take it down; nothing of it stays but the cache."""
        run("down.sh")

    def build_image(self, tag: str, target: str) -> None:
        """Build a target of the project's Dockerfile, and load it on all nodes, now and when they start."""
        run("image.sh", "build", tag, "--target", target, PROJECT, timeout=3600)

    def program(self, name: str, *, module: str | None = None) -> Path:
        """A program that is not part of every cluster, built when first asked for: kwok, versitygw, kueue, prometheus.

        Args:
            module: the folder of bring_up/modules that it comes from, where that has another name.
        """
        run("build.sh", module or name, timeout=3600)
        return self.programs / name

    def program_image(self, name: str) -> str:
        """An image of such a program alone, on all nodes; its tag."""
        self.program(name)
        run("image.sh", "program", name)
        return f"localhost/{name}:1"

    def node(self, command: str, number: int, *arguments: object) -> str:
        """up, kill, freeze, thaw, cut, join, stop, start or exec: see node.sh."""
        return run("node.sh", command, number, *arguments)

    def control_plane(self, command: str, *arguments: object) -> str:
        """start, stop or signal a component: see control-plane.sh."""
        return run("control-plane.sh", command, *arguments)
