"""CPU, memory and accelerators of each stage's pod.

Requests equal limits: a namespace with a quota takes the pod, and a node that runs short evicts others first. What the
manifest leaves open follows the plan, and is never more than a node has to offer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.machine import whole_cores
from finetune_operator.brain.memory import BYTES, loaded_bytes
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.stages import STAGES, Stage
from finetune_operator.render.child import Manifest
from finetune_operator.render.settings import RenderSettings

_GIB = 2**30
_HEADROOM = 1.3
"""Memory beyond the estimate: what the allocator keeps, files in the page cache."""
_RUNTIME_GIB = 3.0
"""A process with torch and its libraries, before it has loaded anything, and room to read weights through."""
_OFFLOADED_BYTES = 16
"""Of one trained weight in the machine's memory: in fp32 itself, its gradient and two moments. DeepSpeed (0.19, ZeRO-2) adds
two copies in the training precision: gradients between micro-batches, and weights on their way back."""
_SHARED_GIB_PER_GPU = 1.0
_SHARED_GIB_ON_CPU = 0.25


@dataclass(frozen=True, slots=True)
class Room:
    """What one pod gets."""

    cpu: int | str
    memory: int | str
    shared_memory: int | str | None
    """Size of /dev/shm, which is part of `memory`; None: the 64 MiB that every container has."""
    gpus: int = 0
    gpu_resource: str = ""

    def as_resources(self) -> Manifest:
        """As a container says it."""
        each: Manifest = {"cpu": self.cpu, "memory": self.memory}
        if self.gpus:
            each[self.gpu_resource] = self.gpus
        return {"requests": each, "limits": dict(each)}

    @property
    def threads(self) -> int:
        """Threads that have a core each, at least one."""
        return whole_cores(self.cpu)


def room(job: FineTuneJob, plan: Plan, stage: Stage, settings: RenderSettings) -> Room:
    """What the pods of a stage get. Only `spec.resources` of training can be said; the other stages follow from the plan.

    Args:
        settings: holds what a node has, which bounds all that is chosen here, and what stages without a model get.
    """
    wanted, machine = job.spec.resources, settings.machine
    gpus = wanted.gpus_per_node
    if stage is Stage.PUBLISH and plan.output_format == "merged" and job.spec.method.type != "full":
        return Room(settings.light_cpu, _quantity(min(_merging_gib(job), machine.memory_gib)), None)
    if not STAGES[stage].accelerator:
        return Room(settings.light_cpu, settings.light_memory, None)
    if stage is Stage.EVALUATE:
        one = min(gpus, 1)
        shared = _SHARED_GIB_PER_GPU * one
        memory = _evaluating_gib(job, plan) + shared
        return Room(
            plan.topology.threads_per_process,
            _quantity(min(memory, machine.memory_gib)),
            _quantity(shared) if shared else None,
            one,
            wanted.gpu_resource,
        )
    processes = plan.topology.processes_per_node
    shared = _SHARED_GIB_PER_GPU * gpus if gpus else _SHARED_GIB_ON_CPU
    memory = _training_gib(job, plan, processes=processes) + shared
    return Room(
        wanted.cpu if wanted.cpu is not None else plan.topology.threads_per_process * processes,
        wanted.memory or _quantity(min(memory, machine.memory_gib)),
        wanted.shared_memory or _quantity(shared),
        gpus,
        wanted.gpu_resource,
    )


def _training_gib(job: FineTuneJob, plan: Plan, *, processes: int) -> float:
    """Memory of the machine, in GiB, that so many training processes need."""
    if plan.topology.device == "cpu":
        # The copy that is exported at the end comes when gradients and activations are gone, which took as much.
        return processes * max(_RUNTIME_GIB, _HEADROOM * (plan.memory_gib or 0.0))
    weights = _weights_gib(job, plan)
    trained = weights if job.spec.method.type == "full" else 0.0
    # Each process reads the weights into the machine's memory before they go to its GPU. What the allocator keeps of that is
    # no room for the export: of a trained model the first process gathers all weights once more, in the training precision.
    held = processes * (_RUNTIME_GIB + _HEADROOM * weights) + _HEADROOM * trained
    if plan.layout is None or plan.layout.offload == "none":
        return held
    size = BYTES[plan.precision]
    offloaded = trained / size * (_OFFLOADED_BYTES + 2 * size) / plan.topology.nodes
    return held + offloaded + (weights if plan.layout.offload == "parameters" else 0.0)


def _evaluating_gib(job: FineTuneJob, plan: Plan) -> float:
    """Memory of the machine, in GiB, that the one process of evaluate needs: it holds one whole model."""
    if plan.topology.device != "cpu":
        return _RUNTIME_GIB + _HEADROOM * _weights_gib(job, plan)
    facts = job.status.facts.model if job.status.facts else None
    loaded = loaded_bytes(facts, plan.precision, "cpu") / _GIB if facts else 0.0  # training may have spread it over several
    return max(_RUNTIME_GIB, _HEADROOM * max(loaded, plan.memory_gib or 0.0))


def _weights_gib(job: FineTuneJob, plan: Plan) -> float:
    facts = job.status.facts.model if job.status.facts else None
    return BYTES[plan.precision] * (facts.parameters if facts else 0) / _GIB


def _merging_gib(job: FineTuneJob) -> float:
    """Base and adapter are added in fp32, and the sum is loaded once more to be compared."""
    facts = job.status.facts.model if job.status.facts else None
    return _RUNTIME_GIB + _HEADROOM * 4 * (facts.parameters if facts else 0) / _GIB


def _quantity(gib: float) -> str:
    return f"{math.ceil(gib * 1024)}Mi"
