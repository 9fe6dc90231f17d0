"""Every `auto` becomes a value with a reason that a person can read.

Planned twice: before prepare, with what the manifest says, and after it, with the facts it found. The operator, `finetune
plan` and the trainer's orders all come from here, so that what is shown is what runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from finetune_api.contract.facts import DataFacts, ModelFacts
from finetune_api.errors import InvalidSpec, Problem
from finetune_api.exam import left_without_exam, without_exam
from finetune_api.v1alpha1.evaluation import METRIC_TRAITS, Metric, metrics_of
from finetune_api.v1alpha1.job import FineTuneJobSpec
from finetune_api.v1alpha1.status import Facts
from finetune_operator.brain.choices import Choice, Notes, parameter_count
from finetune_operator.brain.cost import training_flops
from finetune_operator.brain.layout import choose_layout
from finetune_operator.brain.machine import Machine, Topology, beyond_a_node, cores_per_node
from finetune_operator.brain.memory import GIB, USABLE, Layout, Precision, loaded_bytes
from finetune_operator.brain.schedule import Schedule, choose_schedule

DEFAULT_HELD_OUT = 0.1
_GPU_EFFICIENCY = 0.4
_CPU_EFFICIENCY = 0.55
"""Of the rate of matrix products; 50 to 62 % were measured (docs/benchmarks.md)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What we intend. What depends on model and data is None until prepare has reported its facts."""

    topology: Topology
    precision: Precision
    validation_share: float
    test_share: float
    output_format: Literal["adapter", "merged"]
    metrics: tuple[Metric, ...]
    layout: Layout | None = None
    schedule: Schedule | None = None
    memory_gib: float | None = None
    available_gib: float | None = None
    seconds: float | None = None
    """Expected wall time of training."""
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether training can be started from it."""
        return self.layout is not None and self.schedule is not None


def plan(spec: FineTuneJobSpec, facts: Facts | None, machine: Machine, *, smaller: int = 0) -> Plan:
    """Resolve everything that the manifest leaves open.

    Args:
        spec: what is wanted.
        facts: what prepare found; None before it ran.
        machine: what one node offers.
        smaller: how often memory ran out in training (retries.smaller_plans): each time the plan gets smaller.
    Raises: InvalidSpec if it cannot be run at all, with the numbers.
    """
    notes = Notes()
    draft = outline(spec, machine, notes)
    topology, precision = draft.topology, draft.precision
    if facts is None or facts.model is None or facts.data is None:
        # Only here: a chart value that changes, or an operator that has learned to look, stops nothing that goes on.
        if not machine.local and (problems := beyond_a_node(spec.resources, machine)):
            raise InvalidSpec(problems)
        return draft
    model, data = facts.model, facts.data
    _check_against_facts(spec, model, data)
    schedule = choose_schedule(spec, model, data, topology, notes)
    layout, estimated, available = choose_layout(spec, model, data, schedule, topology, precision, machine, smaller, notes)
    _check_evaluation(model, topology, precision, machine)
    _idle_ranks(data, schedule, layout, topology, notes)
    return replace(
        draft,
        layout=layout,
        schedule=schedule,
        memory_gib=round(estimated / GIB, 1),
        available_gib=round(available, 1),
        seconds=_seconds(spec, facts, schedule, layout, topology, machine, precision),
        choices=tuple(notes.choices),
        warnings=tuple(notes.warnings),
    )


def outline(spec: FineTuneJobSpec, machine: Machine, notes: Notes) -> Plan:
    """What manifest and machine alone decide, before anything is known of model and data.

    Args:
        notes: gets the reasons.
    """
    topology = _topology(spec, machine, notes)
    precision = _precision(spec, topology, machine, notes)
    return Plan(
        topology=topology,
        precision=precision,
        validation_share=_held_out(spec, "validation", notes),
        test_share=_held_out(spec, "test", notes),
        output_format=_output_format(spec, notes),
        metrics=spec.evaluation.metrics or _all_metrics(spec, notes),
        choices=tuple(notes.choices),
        warnings=tuple(notes.warnings),
    )


def _topology(spec: FineTuneJobSpec, machine: Machine, notes: Notes) -> Topology:
    nodes, per_node = spec.resources.nodes, spec.resources.gpus_per_node
    if not machine.local:
        device: Literal["cpu", "cuda"] = "cuda" if per_node else "cpu"
        processes = max(per_node, 1)
        return Topology(device, nodes, processes, max(1, cores_per_node(spec.resources, machine) // processes))
    asked = nodes * max(per_node, 1)
    if per_node and machine.gpus:
        used = min(asked, machine.gpus)
        device = "cuda"
        reason = f"{nodes} x {per_node} asked, this machine has {machine.gpus} GPU{'s' if machine.gpus > 1 else ''}"
    else:
        used = min(nodes, machine.cpu_cores)
        device = "cpu"
        reason = f"nodes become processes; {'this machine has no GPU' if per_node else 'gpusPerNode is 0'}"
    notes.chose("training processes", used, reason)
    threads = max(1, machine.cpu_cores // used) if device == "cpu" else max(1, machine.cpu_cores // (2 * used))
    return Topology(device, 1, used, threads)


def _precision(spec: FineTuneJobSpec, topology: Topology, machine: Machine, notes: Notes) -> Precision:
    if spec.training.precision != "auto":
        return spec.training.precision
    what, native = ("GPU", machine.gpu_bf16) if topology.device == "cuda" else ("CPU", machine.cpu_bf16)
    value: Precision = "bf16" if native else "fp32"
    reason = f"the {what} multiplies bf16 natively" if native else f"the {what} has no native bf16 products"
    notes.chose("training.precision", value, reason)
    return value


def _held_out(spec: FineTuneJobSpec, role: Literal["validation", "test"], notes: Notes) -> float:
    split = spec.preparation.split
    said = split.validation if role == "validation" else split.test
    if said is not None:
        return said
    given = any(dataset.role == role for dataset in spec.datasets)
    value = 0.0 if given else DEFAULT_HELD_OUT
    notes.chose(f"preparation.split.{role}", value, f"a dataset has the role {role}" if given else "usual share")
    return value


def _output_format(spec: FineTuneJobSpec, notes: Notes) -> Literal["adapter", "merged"]:
    if spec.output.format is not None:
        return spec.output.format
    full = spec.method.type == "full"
    notes.chose("output.format", "merged" if full else "adapter", f"method.type is {spec.method.type}")
    return "merged" if full else "adapter"


def _all_metrics(spec: FineTuneJobSpec, notes: Notes) -> tuple[Metric, ...]:
    metrics, why = metrics_of(spec.task), f"all that the task {spec.task} has"
    if not spec.evaluation.generation.examples and any(METRIC_TRAITS[metric].generated for metric in metrics):
        metrics = tuple(metric for metric in metrics if not METRIC_TRAITS[metric].generated)
        why += " without written answers (evaluation.generation.examples is 0)"
    notes.chose("evaluation.metrics", ", ".join(metrics), why)
    return metrics


def _check_against_facts(spec: FineTuneJobSpec, model: ModelFacts, data: DataFacts) -> None:
    if not data.test.examples:
        # Here, because evaluation would say it after hours of training.
        raise InvalidSpec([without_exam(spec) or left_without_exam()])
    if spec.task == "chat" and model.family != "causal_lm":
        raise InvalidSpec(
            [
                Problem(
                    "spec.model.uri",
                    f"{model.architecture} reads text but does not write it; chat needs a causal language model",
                )
            ]
        )
    if spec.task == "classification" and model.family != "encoder":
        raise InvalidSpec(
            [Problem("spec.model.uri", f"{model.architecture} is no encoder; classification needs a BERT-class model")]
        )


def _check_evaluation(model: ModelFacts, topology: Topology, precision: Precision, machine: Machine) -> None:
    """Whether one process can hold the whole model, as evaluate does; training may have spread it over many."""
    cuda = topology.device == "cuda"
    available = machine.gpu_memory_gib if cuda else machine.memory_gib
    needed = loaded_bytes(model, precision, topology.device) / GIB
    if needed <= USABLE * available:
        return
    where, value = ("one GPU", "gpuMemoryGiB") if cuda else ("one process", "memoryGiB")
    smaller = ", training.precision bf16" if precision == "fp32" else ""
    raise InvalidSpec(
        [
            Problem(
                "spec.model.uri",
                f"{parameter_count(model.parameters)} parameters in {precision} take {needed:.1f} GiB of {where}, which has"
                f" {USABLE * available:.1f} usable of {available:.1f}. Training spreads them over several, evaluate cannot: it"
                f" would fail after all of the training. Take a smaller model{smaller}, or machines with more memory (in a"
                f" cluster node.{value} of the operator's chart says how much there is)",
            )
        ]
    )


def _idle_ranks(data: DataFacts, schedule: Schedule, layout: Layout, topology: Topology, notes: Notes) -> None:
    mean = data.train.tokens / max(1, data.train.examples)
    per_process = schedule.batch_size * mean / topology.world_size
    if schedule.batch_size < topology.world_size:
        notes.warnings.append(
            f"A batch of {schedule.batch_size} examples leaves {topology.world_size - schedule.batch_size} of"
            f" {topology.world_size} processes idle in every step; raise training.batchSize or use fewer."
        )
    elif topology.device == "cuda" and per_process < 0.25 * layout.tokens and per_process < 2048:
        notes.warnings.append(
            f"A step holds about {per_process:,.0f} tokens per GPU, too few to keep it busy; raise training.batchSize or use"
            " fewer GPUs."
        )


def _seconds(
    spec: FineTuneJobSpec,
    facts: Facts,
    schedule: Schedule,
    layout: Layout,
    topology: Topology,
    machine: Machine,
    precision: Precision,
) -> float | None:
    """Expected wall time of training: arithmetic over the rate of the hardware."""
    assert facts.model is not None
    assert facts.data is not None
    lora = spec.method.type != "full"
    epoch = training_flops(facts.model, facts.data.train, lora=lora, gradient_checkpointing=layout.gradient_checkpointing)
    total = epoch * schedule.total_steps / schedule.steps_per_epoch
    if topology.device == "cuda":
        return total / (topology.world_size * machine.gpu_tflops * 1e12 * _GPU_EFFICIENCY)
    if facts.machine is None:
        return None
    per_core = facts.machine.gflops_bf16 if precision == "bf16" else facts.machine.gflops_fp32
    cores = topology.world_size * topology.threads_per_process
    return total / (cores * per_core * 1e9 * _CPU_EFFICIENCY) if per_core > 0 else None
