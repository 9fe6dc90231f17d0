"""How long and how fast to train: batch, steps, learning rate, adapters."""

from __future__ import annotations

import math
from dataclasses import dataclass

from finetune_api.contract.facts import DataFacts, ModelFacts
from finetune_api.v1alpha1.job import FineTuneJobSpec
from finetune_operator.brain.choices import Notes, parameter_count
from finetune_operator.brain.machine import Topology


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast."""

    total_steps: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    evaluation_steps: int
    lora_rank: int
    lora_alpha: int


def choose_schedule(spec: FineTuneJobSpec, model: ModelFacts, data: DataFacts, topology: Topology, notes: Notes) -> Schedule:
    """Resolve batch, steps, learning rate and adapters, once model and data are known.

    Args:
        topology: a batch should have an example for each of its processes.
        notes: is told what was chosen, and why, and what somebody should read before training so.
    """
    training = spec.training
    examples = data.train.examples
    batch = training.batch_size
    if batch == "auto":
        batch, reason = _batch_size(examples, topology.world_size)
        notes.chose("training.batchSize", batch, reason)
    steps_per_epoch = max(1, examples // batch)
    if training.max_steps is not None:
        total = training.max_steps
    else:
        epochs = training.epochs
        if epochs == "auto":
            epochs = 3 if examples < 1_000 else 2 if examples < 10_000 else 1
            notes.chose("training.epochs", epochs, f"{examples:,} training examples")
        total = steps_per_epoch * epochs
    rate = training.learning_rate
    if rate is None:
        rate, reason = _learning_rate(spec, model)
        notes.chose("training.learningRate", rate, reason)
    rank, alpha = _lora(spec, model, notes)
    evaluations = training.evaluations_per_epoch if data.validation.examples else 0
    if training.evaluations_per_epoch and not data.validation.examples:
        notes.warnings.append("There are no validation examples: no early stopping, and the last step is what is kept.")
    if examples < 50:
        notes.warnings.append(f"{examples} training examples are very few; 500 to 2,000 are usual.")
    elif examples < 500:
        notes.warnings.append(f"{examples:,} training examples are few; 500 to 2,000 are usual.")
    if total < 30:
        notes.warnings.append(f"Only {total} optimizer steps: more epochs or a smaller batchSize may learn more.")
    return Schedule(
        total_steps=total,
        steps_per_epoch=steps_per_epoch,
        batch_size=batch,
        learning_rate=rate,
        warmup_steps=min(total, math.ceil(training.warmup_ratio * total)),
        evaluation_steps=max(1, round(steps_per_epoch / evaluations)) if evaluations else 0,
        lora_rank=rank,
        lora_alpha=alpha,
    )


def _batch_size(examples: int, world_size: int) -> tuple[int, str]:
    usual = 8 if examples < 1_000 else 16 if examples < 10_000 else 32
    batch = min(max(usual, world_size), max(1, examples))
    if batch == usual:
        return batch, f"{examples:,} training examples"
    if batch < usual:
        return batch, f"there are only {examples:,} training examples"
    return batch, f"one example for each of {world_size} processes"


def _learning_rate(spec: FineTuneJobSpec, model: ModelFacts) -> tuple[float, str]:
    """Rates by size: large models want small steps, adapters larger ones than full weights.

    Source: defaults of TRL, torchtune and LLaMA-Factory for 1B and above; below that measured here (docs/benchmarks.md).
    """
    billions = model.parameters / 1e9
    size = f"{parameter_count(model.parameters)} parameters, {spec.method.type}"
    if model.family == "encoder":
        lora, full = (1e-3, 3e-4) if billions < 0.05 else (5e-4, 5e-5) if billions < 0.2 else (1e-4, 2e-5)
    else:
        lora, full = (
            (2e-3, 1e-4)
            if billions < 0.2
            else (5e-4, 5e-5)
            if billions < 1
            else (2e-4, 2e-5)
            if billions < 10
            else (1e-4, 1e-5)
        )
    return (full if spec.method.type == "full" else lora), size


def _lora(spec: FineTuneJobSpec, model: ModelFacts, notes: Notes) -> tuple[int, int]:
    if spec.method.type == "full":
        return 0, 0
    rank, alpha = spec.method.lora.rank, spec.method.lora.alpha
    if rank == "auto":
        rank = 8 if model.parameters < 1e9 else 16 if model.parameters < 20e9 else 32
        notes.chose("method.lora.rank", rank, f"{parameter_count(model.parameters)} parameters")
    if alpha == "auto":
        alpha = 2 * rank
        notes.chose("method.lora.alpha", alpha, "twice the rank")
    return rank, alpha
