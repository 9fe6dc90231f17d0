"""The machine is as it was: after a cluster was taken down, after one that was killed while it came up, again and again.

Runs last: it takes the session's cluster down.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.kube import PATIENCE, connected, is_true, wait_for
from cluster.machine import BRING_UP, Machine

pytestmark = pytest.mark.node_access
API_PORT = int(os.environ.get("TESTCLUSTER_API_PORT", "16443"))
SYSCTLS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")


def ours_among_the_processes(machine: Machine) -> set[str]:
    """Processes that run a program of the cache, carry its mark or live in a namespace of ours."""
    inodes = {str(path.stat().st_ino) for path in Path("/run/netns").glob("ft-*")} if Path("/run/netns").exists() else set()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            program = str((folder / "exe").readlink())
            network = str((folder / "ns" / "net").readlink()).partition("[")[2].rstrip("]")
            marked = f"FINETUNE_TESTCLUSTER={machine.cache}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if marked or network in inodes or program.startswith(str(machine.cache)):
                found.add((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200])
    return found


def left_on(machine: Machine) -> dict[str, set[str]]:
    """All of a machine that a cluster touches."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    sockets = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {
        "processes": ours_among_the_processes(machine),
        "network namespaces": {path.name for path in Path("/run/netns").glob("*")},
        "mounts": {fields[4] for fields in mounts},
        "interfaces": {line.split(": ")[1].partition("@")[0] for line in links},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob("**/ft-*")},
        "listening": {
            port
            for port in (line.split()[1] for line in sockets if line.split()[3] == "0A")
            if port.endswith(f":{API_PORT:04X}")
        },
        "kernel": {f"{name} = {Path('/proc/sys', name).read_text().strip()}" for name in SYSCTLS},
        "state": {path.name for path in machine.cache.glob("state")},
    }


def after_removal(machine: Machine) -> dict[str, set[str]]:
    """The machine once the image copies of the nodes, tens of thousands of links, have been unlinked in the background."""

    def is_over() -> bool:  # the program may not have begun yet, and may still be there when the last file is gone
        return not any((machine.cache / "trash").iterdir()) and "rm -rf" not in " ".join(ours_among_the_processes(machine))

    wait_for(is_over, what="the end of the removal", seconds=600)
    return left_on(machine)


@pytest.fixture
def before(machine: Machine, kube: object) -> Iterator[dict[str, set[str]]]:
    """The machine without a cluster, but with the session's `kubectl proxy`."""
    machine.down()
    yield after_removal(machine)
    machine.down()


@pytest.fixture
def few_images(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes start with the cluster's own images alone: tens of thousands of files less to link and to unlink."""
    monkeypatch.setenv("TESTCLUSTER_IMAGES", str(machine.cache / "golden-system"))


def whole(machine: Machine) -> bool:
    """Whether a cluster that is up has all its nodes."""
    with connected(machine.state / "pki" / "admin.kubeconfig", kubectl=str(machine.programs / "kubectl")) as kube:
        nodes = kube.list("Node")
        return len(nodes) == machine.node_count and all(is_true(node, "Ready") for node in nodes)


def kill_while_coming_up(machine: Machine, when_there_is: str) -> None:
    """End up.sh and all that it runs in the foreground, without a chance to clean up."""
    up = subprocess.Popen(
        [str(BRING_UP / "up.sh")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: (machine.state / when_there_is).exists(), what=f"{when_there_is} of a cluster that comes up", seconds=120)
    os.killpg(up.pid, signal.SIGKILL)
    up.wait()
    assert not machine.is_up()


def test_down_leaves_the_machine_as_it_was_and_up_works_twice_in_a_row(machine: Machine, before: dict[str, set[str]]) -> None:
    for _ in range(2):
        machine.up()
        wait_for(lambda: whole(machine), what="all nodes Ready")
        assert left_on(machine) != before
        machine.down()
        assert after_removal(machine) == before


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    "when_there_is", ["pki/node2.kubeconfig", "run/kube-apiserver.pid", "run/node1.pid", "run/node2-kubelet.pid"]
)
def test_after_a_run_that_was_killed_down_leaves_nothing(
    machine: Machine, before: dict[str, set[str]], when_there_is: str
) -> None:
    kill_while_coming_up(machine, when_there_is)
    machine.down()
    assert after_removal(machine) == before


@pytest.mark.usefixtures("few_images")
def test_after_a_run_that_was_killed_the_next_one_comes_up_by_itself(machine: Machine, before: dict[str, set[str]]) -> None:
    kill_while_coming_up(machine, "run/node2.pid")
    begun = time.monotonic()
    machine.up()
    assert time.monotonic() - begun < 120 * PATIENCE
    wait_for(lambda: whole(machine), what="all nodes Ready")
    machine.down()
    assert after_removal(machine) == before
