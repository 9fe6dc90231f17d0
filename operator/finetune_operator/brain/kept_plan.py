"""The plan that a job was trained with, out of its status: for the stages after training, where it can't be made anew.

What a node has is a value of the chart, and a job may live for weeks. After an upgrade of the chart the same manifest may fit
no node; what is trained is trained all the same, and to score and publish it needs little of a plan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.choices import Choice, Notes
from finetune_operator.brain.machine import Machine, Topology
from finetune_operator.brain.memory import Layout, Offload, Precision
from finetune_operator.brain.plan import Plan, outline
from finetune_operator.brain.stages import Stage

AFTER_TRAINING = (Stage.EVALUATE, Stage.PUBLISH)
"""The stages for which it is enough."""
_REASON = "planned before training"


def kept_plan(job: FineTuneJob, machine: Machine) -> Plan | None:
    """What the status holds of the plan, for the stages after training; None if it holds none that training was begun with.

    Args:
        machine: what one node offers now; of it a pod's share of the cores is taken, and no memory.
    Returns: a plan without a schedule. The reasons of its choices are not kept.
    """
    told = job.status.plan
    if told is None or told.tokens_per_micro_batch is None:
        return None
    drafted, memory = outline(job.spec, machine, Notes()), told.gpu_memory_gi_b
    return replace(
        drafted,
        topology=_with_processes(drafted.topology, told.world_size),
        precision=next((known for known in get_args(Precision) if known == told.precision), drafted.precision),
        layout=Layout(
            zero_stage=told.zero_stage or 0,
            offload=next((known for known in get_args(Offload) if known == told.offload), "none"),
            gradient_checkpointing=bool(told.gradient_checkpointing),
            tokens=told.tokens_per_micro_batch,
        ),
        memory_gib=memory.estimated if memory else None,
        available_gib=memory.available if memory else None,
        choices=tuple(Choice(field, value, _REASON) for field, value in told.hyperparameters.items()),
        warnings=(),
    )


def _with_processes(topology: Topology, world_size: int | None) -> Topology:
    """As many processes as trained, which share the threads that there are: a machine may have lost GPUs since."""
    processes = max(1, (world_size or topology.world_size) // topology.nodes)
    threads = max(1, topology.threads_per_process * topology.processes_per_node // processes)
    return replace(topology, processes_per_node=processes, threads_per_process=threads)
