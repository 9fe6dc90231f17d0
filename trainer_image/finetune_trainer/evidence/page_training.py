"""How training went, on the page: the curves, what they say in words, and what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from finetune_trainer.evidence.charts import (
    BUCKETS,
    DOTS,
    Best,
    Curve,
    buckets,
    loss_chart,
    small_chart,
    smoothing_window,
)
from finetune_trainer.evidence.page_words import counted, duration, number, shown

_TABLE_ROWS = 12
_VALIDATIONS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A stretch of the curve, for readers of numbers."""

    steps: str
    mean: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Curves:
    """The loss curve with everything around it."""

    chart: Markup
    words: str
    unit: str
    smoothing: int
    """Steps in a smoothed point; 1: not smoothed."""
    steps_in_bucket: int
    """Steps drawn as one point; 1: each is drawn."""
    has_validation: bool
    many_validations: bool
    """Whether they are drawn as a line instead of dots."""
    best: str
    small: list[tuple[str, Markup]]
    rows: list[CurveRow]
    validations: list[tuple[str, str, bool]]
    """Step, loss, whether its weights were kept."""
    further_validations: int


def curves(training: Mapping[str, Any], *, task: str) -> Curves | None:
    """The curves of a run; None if it wrote none."""
    journal: Sequence[Mapping[str, Any]] = training.get("journal") or []
    loss, validation = _curve(journal, "loss"), _curve(training.get("validations") or [], "validationLoss")
    if not loss.steps and not validation.steps:
        return None
    best = training.get("bestStep") if validation.steps else None
    kept = f"weights kept: step {best:,}" if best else ""
    words = _in_words(loss, validation, best)
    drawn = len(buckets(loss))
    small = [
        (title, small_chart(curve, words=f"{title}, {_range(curve)}."))
        for title, key in (("Learning rate", "learningRate"), ("Gradient norm before clipping", "gradientNorm"))
        if (curve := _curve(journal, key)).steps
    ]
    return Curves(
        chart=loss_chart(loss, validation, best=Best(best, kept) if best else None, words=words),
        words=words,
        unit="nats per example" if task == "classification" else "nats per token with loss",
        smoothing=smoothing_window(len(loss.steps)),
        steps_in_bucket=1 if drawn == len(loss.steps) else -(-(len(loss.steps) - 2) // (BUCKETS - 2)),
        has_validation=bool(validation.steps),
        many_validations=len(validation.steps) > DOTS,
        best=kept,
        small=small,
        rows=[
            CurveRow(
                f"{b.first:,.0f}" if b.first == b.last else f"{b.first:,.0f} to {b.last:,.0f}",
                number(b.mean),
                number(b.low),
                number(b.high),
            )
            for b in buckets(loss, at_most=_TABLE_ROWS)
        ],
        validations=_validations(validation, best),
        further_validations=max(0, len(validation.steps) - _VALIDATIONS_SHOWN),
    )


def _curve(lines: Sequence[Mapping[str, Any]], key: str) -> Curve:
    """Values by step; a line without a number is left out."""
    points = [(line["step"], float(line[key])) for line in lines if line.get(key) is not None]
    return Curve([step for step, _ in points], [value for _, value in points])


def _range(curve: Curve) -> str:
    return f"from {number(min(curve.values))} to {number(max(curve.values))}"


def _in_words(loss: Curve, validation: Curve, best: int | None) -> str:
    """What the chart shows, told."""
    said = []
    if len(loss.steps) == 1:
        said.append(f"One step was trained; its loss is {number(loss.values[0])}.")
    elif loss.steps:
        lowest = min(range(len(loss.values)), key=loss.values.__getitem__)
        said.append(
            f"Training loss is {number(loss.values[0])} at step {loss.steps[0]:,} and {number(loss.values[-1])} at step"
            f" {loss.steps[-1]:,}; its lowest is {number(loss.values[lowest])} at step {loss.steps[lowest]:,}."
        )
    if len(validation.steps) == 1:
        said.append(f"Validation loss is {number(validation.values[0])} at step {validation.steps[0]:,}.")
    elif validation.steps:
        said.append(
            f"Validation loss is {number(validation.values[0])} at step {validation.steps[0]:,} and"
            f" {number(validation.values[-1])} at step {validation.steps[-1]:,}."
        )
    if best:
        said.append(f"The weights of step {best:,} were kept.")
    return " ".join(said)


def _validations(validation: Curve, best: int | None) -> list[tuple[str, str, bool]]:
    """The validations in order; of many, the kept one and the last."""
    points = list(zip(validation.steps, validation.values, strict=True))
    if len(points) > _VALIDATIONS_SHOWN:
        later = len(points) - _VALIDATIONS_SHOWN + 1
        points = [point for i, point in enumerate(points) if i >= later or point[0] == best][-_VALIDATIONS_SHOWN:]
    return [(f"{step:,}", number(value), step == best) for step, value in points]


# ---------------------------------------------------------------- what was done


def training_facts(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was done, as pairs of a term and its value; what the report does not hold is left out."""
    orders: Mapping[str, Any] = training.get("orders") or {}
    journal: Sequence[Mapping[str, Any]] = training.get("journal") or []
    facts = [("Method", method(training))] if orders else []
    facts += [("Steps", _steps(training))] if training.get("steps") else []
    for term, key, unit in (("Batch", "batchSize", " examples per step"), ("Learning rate", "learningRate", "")):
        if orders.get(key) is not None:
            facts.append((term, shown(orders[key]) + unit))
    if orders.get("scheduler"):
        facts.append(("Schedule", f"{orders['scheduler']}, after {counted(orders.get('warmupSteps') or 0, 'warm-up step')}"))
    facts += [
        (term, shown(orders[key]))
        for term, key in (("Weight decay", "weightDecay"), ("Gradient clipping", "maxGradNorm"), ("Arithmetic", "precision"))
        if orders.get(key) is not None
    ]
    if "packing" in training:
        alone = "no: one example per row"
        facts.append(("Packing", "yes: examples share rows, each sees itself alone" if training["packing"] else alone))
    if orders.get("tokensPerMicroBatch"):
        facts.append(("Micro-batch", f"at most {counted(orders['tokensPerMicroBatch'], 'token')}"))
    processes = training.get("worldSize") or orders.get("worldSize")
    if processes:
        facts.append(("Processes", _processes(processes, orders)))
    if orders.get("zeroStage") is not None:
        offload = orders.get("offload") or "none"
        kept = "nothing" if offload == "none" else offload
        facts.append(("ZeRO stage", f"{orders['zeroStage']}, {kept} moved to the host's memory"))
    if orders.get("gradientCheckpointing") is not None:
        facts.append(("Gradient checkpointing", shown(orders["gradientCheckpointing"])))
    memory = [
        f"{name} {number(value, digits=3)} GiB"
        for name, value in (("planned", orders.get("estimatedMemoryGiB")), ("measured", training.get("peakMemoryGiB")))
        if value is not None
    ]
    facts += [("Memory per process", ", ".join(memory))] if memory else []
    return facts + _from_journal(journal) + ([("Seed", shown(orders["seed"]))] if orders.get("seed") is not None else [])


def method(training: Mapping[str, Any]) -> str:
    """Adapters or all weights."""
    lora = (training.get("orders") or {}).get("lora")
    if not lora:
        return "all weights"
    where = ", ".join(lora.get("targetModules") or [])
    dropout = f", dropout {number(lora['dropout'])}" if lora.get("dropout") else ""
    return f"LoRA, rank {shown(lora.get('rank'))}, alpha {shown(lora.get('alpha'))}{dropout}{f', on {where}' if where else ''}"


def _steps(training: Mapping[str, Any]) -> str:
    steps, planned = training["steps"], (training.get("orders") or {}).get("totalSteps")
    said = f"{steps:,}"
    if planned and steps < planned:
        said += f" of {planned:,} planned: it stopped early, as validation loss no longer improved"
    if training.get("bestStep"):
        said += f"; weights of step {training['bestStep']:,}"
    return said


def _processes(processes: int, orders: Mapping[str, Any]) -> str:
    nodes = orders.get("nodes")
    return shown(processes) + (f" on {counted(nodes, 'node')}" if nodes else "")


def _from_journal(journal: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Tokens, time and attempts, from what each step wrote."""
    facts = []
    tokens = sum(line.get("tokens") or 0 for line in journal)
    seconds = sum(line.get("seconds") or 0.0 for line in journal)
    if tokens:
        facts.append(("Tokens", f"{tokens:,}" + (f" ({tokens / seconds:,.0f} per second)" if seconds else "")))
    if seconds:
        facts.append(("Time of these steps", duration(seconds)))
    parts = [
        (attempt, [line["step"] for line in lines])
        for attempt, lines in groupby(journal, key=lambda line: line.get("attempt", 1))
    ]
    if len(parts) > 1:
        said = [f"{a}: steps {steps[0]:,} to {steps[-1]:,}" for a, steps in parts[-5:]]
        facts.append(("Attempts", ("… " if len(parts) > 5 else "") + "; ".join(said)))
    return facts
