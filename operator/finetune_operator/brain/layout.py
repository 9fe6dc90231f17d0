"""How to lay a model out in memory: the fastest of the ways that fit.

Order: spread the states, then smaller rows, then recompute activations, then short rows, then use the host's memory. Each
later way costs more time than the one before it.
"""

from __future__ import annotations

from collections.abc import Callable

from finetune_api.contract.facts import DataFacts, ModelFacts
from finetune_api.errors import InvalidSpec, Problem
from finetune_api.v1alpha1.job import FineTuneJobSpec
from finetune_operator.brain.choices import Notes, parameter_count
from finetune_operator.brain.machine import Machine, Topology, gibibytes
from finetune_operator.brain.memory import GIB, USABLE, Layout, Offload, Precision, lora_parameters, states_bytes, total_bytes
from finetune_operator.brain.schedule import Schedule

_ROWS = (32768, 16384, 8192, 4096, 2048, 1024, 512, 256, 128, 64)
_SHORT = 2048
"""A GPU is hardly busy with shorter rows: it is faster to recompute activations than to make rows so short."""
_OFFLOAD_FROM_STAGE: dict[Offload, int] = {"none": 0, "optimizer": 1, "parameters": 3}
"""What is offloaded is a rank's own partition, so it must be partitioned."""
_REALLY_SMALLER = 0.9
_CPU_ROWS = 1024
"""Above about 1,000 tokens a row brings a CPU no speed and costs memory (docs/benchmarks.md)."""


def choose_layout(
    spec: FineTuneJobSpec,
    model: ModelFacts,
    data: DataFacts,
    schedule: Schedule,
    topology: Topology,
    precision: Precision,
    machine: Machine,
    smaller: int,
    notes: Notes,
) -> tuple[Layout, float, float]:
    """The first layout that fits, from the fastest to the slowest.

    Args:
        spec: what it fixes is kept; `auto` is resolved here.
        data: how long examples are, and how many of their tokens have loss.
        smaller: how often memory ran out before; for each time the next layout that takes clearly less is chosen.
        notes: is told what was chosen, and why.
    Returns: the layout, what it is estimated to take per GPU or process in bytes, and how many GiB of memory there are.
    Raises: InvalidSpec at spec.resources if none fits.
    """
    lora = spec.method.type != "full"
    trainable = lora_parameters(model, schedule.lora_rank) if lora else model.parameters
    cuda = topology.device == "cuda"
    available = machine.gpu_memory_gib if cuda else machine.memory_gib / topology.processes_per_node
    said = _said_memory_gib(spec, topology)
    if said is not None:
        available = min(available, said)
    budget = USABLE * available * GIB
    share = data.train.supervised_tokens / max(1, data.train.tokens)
    longest = max(data.train.longest, data.validation.longest, data.test.longest, 1)

    def bytes_of(layout: Layout) -> float:
        return total_bytes(
            model,
            layout,
            trainable=trainable,
            world_size=topology.world_size,
            lora=lora,
            precision=precision,
            supervised_share=share,
            device=topology.device,
        )

    layouts = list(_layouts(spec, model, trainable, topology, precision, longest, budget, cuda=cuda))
    fitting = [layout for layout in layouts if bytes_of(layout) <= budget]
    if not fitting:
        what, several = ("GPU", "GPUs") if cuda else ("process", "processes")
        needed = (
            f"{parameter_count(model.parameters)} parameters with {spec.method.type} and examples of {longest:,} tokens need"
            f" {min(map(bytes_of, layouts)) / GIB:.1f} GiB per {what} on {topology.world_size} of them"
        )
        bounded = said is not None and said == available
        raise InvalidSpec(
            [
                Problem(
                    "spec.resources.memory" if bounded else "spec.resources",
                    f"{needed}; there are {budget / GIB:.1f} usable of {available:.1f}."
                    f" {'Give them more, use' if bounded else 'Use'} more {several}, lora instead of full, or a smaller"
                    " preparation.maxLength",
                )
            ]
        )
    chosen = _smaller(fitting, bytes_of, smaller)
    estimated = bytes_of(chosen)
    fits = f"{estimated / GIB:.1f} of {available:.1f} GiB per {'GPU' if cuda else 'process'}"
    why = f"memory ran out {smaller} time{'s' if smaller > 1 else ''} before" if smaller else fits
    notes.chose("tokens per micro-batch", chosen.tokens, why)
    if spec.deepspeed.zero_stage == "auto":
        several = f"states fit over {topology.world_size} processes"
        notes.chose("deepspeed.zeroStage", chosen.zero_stage, several if topology.world_size > 1 else "there is one process")
    if spec.deepspeed.offload == "auto":
        notes.chose("deepspeed.offload", chosen.offload, "fits without" if chosen.offload == "none" else "fits only so")
    elif chosen.offload != spec.deepspeed.offload:
        notes.chose("deepspeed.offload", chosen.offload, "a CPU has no other memory to offload to")
    if spec.training.gradient_checkpointing == "auto":
        notes.chose(
            "training.gradientCheckpointing",
            chosen.gradient_checkpointing,
            "fits only so" if chosen.gradient_checkpointing else "fits without",
        )
    return chosen, estimated, available


def _said_memory_gib(spec: FineTuneJobSpec, topology: Topology) -> float | None:
    """What the manifest gives a process: on CPUs that of its pod. What a program of the user's needs is not ours to reckon."""
    if topology.device == "cuda" or spec.resources.memory is None or spec.command is not None:
        return None
    return gibibytes(spec.resources.memory)


def _layouts(
    spec: FineTuneJobSpec,
    model: ModelFacts,
    trainable: int,
    topology: Topology,
    precision: Precision,
    longest: int,
    budget: float,
    *,
    cuda: bool,
) -> list[Layout]:
    """What may be tried, fastest first."""
    stages = [1, 2, 3] if spec.deepspeed.zero_stage == "auto" else [int(spec.deepspeed.zero_stage)]
    if topology.world_size == 1 and spec.deepspeed.zero_stage == "auto":
        stages = [1]
    offloads: list[Offload] = ["none", "optimizer", "parameters"]
    if spec.deepspeed.offload != "auto":
        offloads = [spec.deepspeed.offload]
    if not cuda:
        offloads = ["none"]  # from its own memory into its own memory
    checkpointing = {"auto": [False, True], "always": [True], "never": [False]}[spec.training.gradient_checkpointing]
    top = _ROWS[0] if cuda else _CPU_ROWS
    rows = [row for row in _ROWS if longest <= row <= top] or [longest]
    if rows[-1] > longest:
        rows.append(longest)
    short = [row for row in rows[1:] if cuda and row < _SHORT]
    usual = [row for row in rows if row not in short]
    found = []
    for offload in offloads:
        usable = [stage for stage in stages if stage >= _OFFLOAD_FROM_STAGE[offload]]
        if not usable:
            if spec.deepspeed.zero_stage != "auto":
                continue
            usable = [_OFFLOAD_FROM_STAGE[offload]]
        roomy = [
            stage
            for stage in usable
            if states_bytes(model.parameters, trainable, topology.world_size, Layout(stage, offload, False, 0), precision)
            <= 0.55 * budget
        ] or usable[-1:]
        found += [
            Layout(stage, offload, again, row)
            for some in (usual, short)
            for again in checkpointing
            for stage in (roomy[0], *usable[-1:])
            for row in some
        ]
    return list(dict.fromkeys(found))


def _smaller(fitting: list[Layout], bytes_of: Callable[[Layout], float], times: int) -> Layout:
    """The fastest layout, or after memory ran out the next that takes really less; the last one if none does."""
    chosen = fitting[0]
    for _ in range(times):
        below = [layout for layout in fitting if bytes_of(layout) < bytes_of(chosen)]
        clearly = [layout for layout in below if bytes_of(layout) <= _REALLY_SMALLER * bytes_of(chosen)]
        chosen = clearly[0] if clearly else min(below, key=bytes_of, default=chosen)
    return chosen
