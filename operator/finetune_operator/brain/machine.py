"""What there is to run on, and which processes run on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from finetune_api.v1alpha1.running import Resources


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


def whole_cores(quantity: int | str) -> int:
    """Cores that a CPU quantity such as 4, 1.5 or 500m fills, at least one."""
    text = str(quantity)
    return max(1, int(float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)))


def cores_per_node(wanted: Resources, machine: Machine) -> int:
    """Cores of one training pod: what the manifest says, else its GPUs' share of the node, which others use too."""
    if wanted.cpu is not None:
        return whole_cores(wanted.cpu)
    if wanted.gpus_per_node and machine.gpus:
        return max(1, machine.cpu_cores * min(wanted.gpus_per_node, machine.gpus) // machine.gpus)
    return machine.cpu_cores
