"""The plan that a job was trained with, out of its status: for the stages after training, where it can't be made anew.

What a node has is a value of the chart, and a job may live for weeks. After an upgrade of the chart the same manifest may fit
no node; what is trained is trained all the same, and to score and publish it needs little of a plan.
"""

from __future__ import annotations

from typing import get_args

from finetune_api.v1alpha1.evaluation import metrics_of
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.choices import Choice
from finetune_operator.brain.machine import Machine, Topology, cores_per_node
from finetune_operator.brain.memory import Layout, Offload, Precision
from finetune_operator.brain.plan import DEFAULT_HELD_OUT, Plan
from finetune_operator.brain.stages import Stage

AFTER_TRAINING = (Stage.EVALUATE, Stage.PUBLISH)
"""The stages for which it is enough."""
_REASON = "planned before training"


def kept_plan(job: FineTuneJob, machine: Machine) -> Plan | None:
    """What the status holds of the plan, for the stages after training; None if it holds none that training was begun with.

    Args:
        machine: what one node offers now; of it the share of a pod's cores alone is taken.
    Returns: a plan without a schedule. The reasons of its choices are not kept.
    """
    told, spec = job.status.plan, job.spec
    if told is None or told.tokens_per_micro_batch is None:
        return None
    wanted = spec.resources
    nodes = 1 if machine.local else wanted.nodes
    processes = max(1, (told.world_size or nodes) // nodes)
    cores = machine.cpu_cores if machine.local else cores_per_node(wanted, machine)
    cuda = wanted.gpus_per_node > 0 and (machine.gpus > 0 or not machine.local)
    split, memory = spec.preparation.split, told.gpu_memory_gi_b
    return Plan(
        topology=Topology("cuda" if cuda else "cpu", nodes, processes, max(1, cores // processes)),
        precision=next((known for known in get_args(Precision) if known == told.precision), "fp32"),
        validation_share=DEFAULT_HELD_OUT if split.validation is None else split.validation,
        test_share=DEFAULT_HELD_OUT if split.test is None else split.test,
        output_format=spec.output.format or ("merged" if spec.method.type == "full" else "adapter"),
        metrics=spec.evaluation.metrics or metrics_of(spec.task),
        layout=Layout(
            zero_stage=told.zero_stage or 0,
            offload=next((known for known in get_args(Offload) if known == told.offload), "none"),
            gradient_checkpointing=bool(told.gradient_checkpointing),
            tokens=told.tokens_per_micro_batch,
        ),
        memory_gib=memory.estimated if memory else None,
        available_gib=memory.available if memory else None,
        choices=tuple(Choice(field, value, _REASON) for field, value in told.hyperparameters.items()),
    )
