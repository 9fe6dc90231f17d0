"""Many jobs at once on a real API server: what is measured alike for every set of controllers.

Controllers are processes of this machine. Their CPU-seconds count: they share its cores with etcd, the API server, the Job
controller, the scheduler and kwok, so that wall times tell little more than what is left over.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from cluster.kube import ApiError, Kube, path_of

AT_ONCE = 16


@dataclass(slots=True)
class Program:
    """A controller's process."""

    process: subprocess.Popen[bytes]

    @property
    def cpu_seconds(self) -> float:
        """User and system time."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mib(self) -> float:
        """Resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


class Controllers(Protocol):
    """What turns an object that a user writes into child Jobs."""

    @property
    def programs(self) -> Sequence[Program]:
        """Its processes, always in the same order."""

    def calls(self) -> dict[str, float]:
        """Calls to the API server since its start, by any names."""

    def waiting(self) -> float:
        """Keys in its queues."""


@dataclass(frozen=True, slots=True)
class Took:
    """What so many jobs at once took.

    Args:
        seconds: until the last child Job existed.
        cpu_ms, memory: of each program: CPU a job until all pods ran and nothing was left to do, and MiB then.
        calls: to the API server, a job.
    """

    seconds: float
    cpu_ms: list[float]
    calls: float
    memory: list[float]


def until(what: Callable[[], Any], name: str, *, seconds: float = 600, every: float = 0.2) -> Any:
    """Wait until something is true. Raises: SystemExit after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except (OSError, KeyError, IndexError, ApiError):
            pass
        time.sleep(every)
    sys.exit(f"{name} did not come about in {seconds:.0f} s")


async def at_once(count: int, one: Callable[[int], Awaitable[Any]]) -> None:
    """`one(number)` for each number, some at the same time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await one(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())


@contextmanager
def a_namespace(kube: Kube, name: str) -> Iterator[str]:
    """A namespace with the claim that all jobs share; gone at the end, so that nothing of it is left to work on."""
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}}
    kube.create(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "inputs"}, "spec": claim}, namespace=name
    )
    try:
        yield name
    finally:
        kube.delete("Namespace", name)
        until(lambda: kube.find("Namespace", name) is None, f"the end of {name}")


def how_many(kube: Kube, kind: str, namespace: str) -> int:
    """Objects of a kind, without reading them."""
    answer = kube.request("GET", path_of(kind, namespace), limit=1)
    return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount") or 0)


def running(kube: Kube, namespace: str) -> int:
    """Pods that run."""
    return sum(pod["status"].get("phase") == "Running" for pod in kube.list("Pod", namespace=namespace))


def taken_up(
    kube: Kube, controllers: Controllers, write: Callable[[str, int], Coroutine[Any, Any, None]], namespace: str, count: int
) -> Took:
    """So many jobs, written at once by `write(namespace, count)`, each of which becomes a child Job with a pod."""
    before, calls, begun = _cpu(controllers), _calls(controllers), time.perf_counter()
    asyncio.run(write(namespace, count))
    until(lambda: how_many(kube, "Job", namespace) >= count, f"{count} child Jobs")
    seconds = time.perf_counter() - begun
    # What follows from pods that run is work of theirs as well; how far it is when the last Job exists is chance.
    until(lambda: running(kube, namespace) >= count, f"{count} simulated pods running", every=2.0)
    until(lambda: controllers.waiting() == 0, "empty queues", every=1.0)
    time.sleep(5)
    return Took(
        seconds,
        [(after - at_first) / count * 1000 for after, at_first in zip(_cpu(controllers), before, strict=True)],
        (_calls(controllers) - calls) / count,
        [program.memory_mib for program in controllers.programs],
    )


def _cpu(controllers: Controllers) -> list[float]:
    return [program.cpu_seconds for program in controllers.programs]


def _calls(controllers: Controllers) -> float:
    return sum(controllers.calls().values())
