"""What there is to run on, and which processes run on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from finetune_api.errors import InvalidSpec, Problem
from finetune_api.v1alpha1.running import Resources

_UNITS = {
    "": 1.0,
    "m": 1e-3,
    **{prefix: 1000.0**power for power, prefix in enumerate("kMGTPE", start=1)},
    **{f"{prefix}i": 1024.0**power for power, prefix in enumerate("KMGTPE", start=1)},
}
"""What the letters behind a quantity multiply it by."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What one node offers: chart values in a cluster; on one machine what the caller found there."""

    cpu_cores: int
    memory_gib: float
    gpus: int = 0
    gpu_memory_gib: float = 80.0
    gpu_tflops: float = 989.0
    """Dense bf16 peak of one GPU, in 10^12 operations per second."""
    gpu_bf16: bool = True
    """Whether its GPUs multiply bf16 natively."""
    cpu_bf16: bool = False
    """Whether its CPU does; one that does not is slower in bf16 than in fp32."""
    local: bool = False
    """One machine without a cluster: nodes become processes."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Which processes train."""

    device: Literal["cpu", "cuda"]
    nodes: int
    processes_per_node: int
    threads_per_process: int

    @property
    def world_size(self) -> int:
        """Training processes over all nodes."""
        return self.nodes * self.processes_per_node


def cores(quantity: int | str) -> float:
    """A CPU quantity such as 4, 1.5 or 500m as a number.

    Raises: InvalidSpec for what is none, as a definition that is older than ours lets pass.
    """
    text = str(quantity)
    try:
        return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)
    except ValueError:
        told = f"{text} is no number of cores, such as 4, 1.5 or 500m; did you mean resources.memory?"
        raise InvalidSpec([Problem("spec.resources.cpu", told)]) from None


def whole_cores(quantity: int | str) -> int:
    """Cores that a CPU quantity fills, at least one. Raises: InvalidSpec for what is none."""
    return max(1, int(cores(quantity)))


def gibibytes(quantity: int | str) -> float:
    """An amount of memory such as 16Gi, 64G or a number of bytes, in GiB."""
    text = str(quantity)
    number = text.rstrip("mkKMGTPEi")
    return float(number) * _UNITS[text.removeprefix(number)] / 2**30


def beyond_a_node(wanted: Resources, machine: Machine) -> list[Problem]:
    """What the manifest asks for on one node that no node has, by what the installation says of them."""
    found = []
    # A slice of a GPU (MIG) is asked for by a name of its own, and a node has more of them than GPUs.
    if wanted.gpus_per_node > machine.gpus and "/mig-" not in wanted.gpu_resource:
        found.append(_beyond("gpusPerNode", str(wanted.gpus_per_node), str(machine.gpus), "gpus"))
    if wanted.cpu is not None and cores(wanted.cpu) > machine.cpu_cores:
        found.append(_beyond("cpu", str(wanted.cpu), str(machine.cpu_cores), "cpuCores"))
    if wanted.memory is not None and gibibytes(wanted.memory) > machine.memory_gib:
        found.append(_beyond("memory", str(wanted.memory), f"{machine.memory_gib:g}Gi", "memoryGiB"))
    return found


def large_enough(machine: Machine, wanted: Resources) -> Machine:
    """The machine, with as much as is asked for where that is more."""
    return replace(
        machine,
        gpus=max(machine.gpus, wanted.gpus_per_node),
        cpu_cores=max(machine.cpu_cores, 0 if wanted.cpu is None else math.ceil(cores(wanted.cpu))),
        memory_gib=max(machine.memory_gib, 0.0 if wanted.memory is None else gibibytes(wanted.memory)),
    )


def _beyond(field: str, wanted: str, offered: str, value: str) -> Problem:
    return Problem(
        f"spec.resources.{field}",
        f"{wanted} on one node, which has {offered} by the operator's installation: the pod would wait for ever. Ask for"
        f" less, on more nodes if need be; or, if there are such nodes, have node.{value} of the chart raised",
    )


def cores_per_node(wanted: Resources, machine: Machine) -> int:
    """Cores of one training pod: what the manifest says, else its GPUs' share of the node, which others use too."""
    if wanted.cpu is not None:
        return whole_cores(wanted.cpu)
    if wanted.gpus_per_node and machine.gpus:
        return max(1, machine.cpu_cores * min(wanted.gpus_per_node, machine.gpus) // machine.gpus)
    return machine.cpu_cores
