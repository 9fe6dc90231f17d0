"""How long and how fast: the arithmetic of batches, steps and rates, checked by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from builders import a_job, some_data
from finetune_api.contract.facts import DataFacts, ModelFacts
from finetune_operator.brain.choices import Notes
from finetune_operator.brain.machine import Topology
from finetune_operator.brain.schedule import Schedule, choose_schedule
from known_models import an_encoder, llama_8b, llama_70b, smollm_135m


def a_schedule(
    data: DataFacts | None = None, model: ModelFacts | None = None, *, gpus: int = 1, method: str = "lora", **training: Any
) -> tuple[Schedule, Notes]:
    job, notes = a_job(training=training, method={"type": method}), Notes()
    topology = Topology("cuda", 1, gpus, 2)
    return choose_schedule(job.spec, model or llama_8b(), data or some_data(), topology, notes), notes


def test_steps_are_whole_batches_of_every_epoch() -> None:
    schedule, _ = a_schedule(some_data(1000), batchSize=32, epochs=3)
    assert schedule.steps_per_epoch == 31  # 1000 / 32 = 31.25
    assert schedule.total_steps == 93


def test_max_steps_is_taken_at_its_word() -> None:
    schedule, notes = a_schedule(some_data(1000), batchSize=32, maxSteps=40)
    assert (schedule.total_steps, schedule.steps_per_epoch) == (40, 31)
    assert "training.epochs" not in {choice.field for choice in notes.choices}


def test_fewer_examples_than_a_batch_still_make_a_step() -> None:
    schedule, _ = a_schedule(some_data(5), batchSize=32, epochs=2)
    assert (schedule.steps_per_epoch, schedule.total_steps) == (1, 2)


@pytest.mark.parametrize(
    ("ratio", "steps", "warmup"), [(0.05, 100, 5), (0.05, 10, 1), (0.03, 100, 3), (0.0, 100, 0), (1.0, 7, 7), (0.05, 1, 1)]
)
def test_the_warm_up_is_its_share_of_the_steps_rounded_up(ratio: float, steps: int, warmup: int) -> None:
    schedule, _ = a_schedule(warmupRatio=ratio, maxSteps=steps)
    assert schedule.warmup_steps == warmup


@pytest.mark.parametrize(
    ("per_epoch", "every"),
    [(2, 16), (1, 31), (4, 8), (1000, 1), (0, 0)],
)
def test_validations_are_spread_over_an_epoch(per_epoch: int, every: int) -> None:
    schedule, _ = a_schedule(some_data(1000), batchSize=32, evaluationsPerEpoch=per_epoch)
    assert schedule.evaluation_steps == every


def test_without_validation_examples_there_is_no_validation_and_the_plan_says_so() -> None:
    schedule, notes = a_schedule(some_data(held_out=0))
    assert schedule.evaluation_steps == 0
    assert notes.warnings[0].startswith("There are no validation examples")


def test_validations_that_nobody_asked_for_are_not_missed() -> None:
    _, notes = a_schedule(some_data(held_out=0), evaluationsPerEpoch=0)
    assert notes.warnings == []


@pytest.mark.parametrize(
    ("examples", "gpus", "batch", "why"),
    [
        (999, 1, 8, "999 training examples"),
        (1000, 1, 16, "1,000 training examples"),
        (9_999, 1, 16, "9,999 training examples"),
        (10_000, 1, 32, "10,000 training examples"),
        (10_000, 64, 64, "one example for each of 64 processes"),
        (5, 1, 5, "there are only 5 training examples"),
        (5, 64, 5, "there are only 5 training examples"),
    ],
)
def test_the_batch_follows_the_data_and_leaves_no_gpu_idle(examples: int, gpus: int, batch: int, why: str) -> None:
    schedule, notes = a_schedule(some_data(examples), gpus=gpus)
    assert schedule.batch_size == batch
    assert notes.choices[0].reason == why


@pytest.mark.parametrize(("examples", "epochs"), [(999, 3), (1000, 2), (9_999, 2), (10_000, 1)])
def test_little_data_is_seen_more_often(examples: int, epochs: int) -> None:
    schedule, _ = a_schedule(some_data(examples), batchSize=1)
    assert schedule.total_steps == examples * epochs


@pytest.mark.parametrize(
    ("model", "method", "rate"),
    [
        (smollm_135m(), "lora", 2e-3),
        (smollm_135m(), "full", 1e-4),
        (llama_8b(), "lora", 2e-4),
        (llama_8b(), "full", 2e-5),
        (llama_70b(), "lora", 1e-4),
        (llama_70b(), "full", 1e-5),
        (an_encoder(), "lora", 5e-4),
        (an_encoder(), "full", 5e-5),
    ],
)
def test_the_learning_rate_falls_with_size_and_is_lower_for_all_weights(model: ModelFacts, method: str, rate: float) -> None:
    schedule, _ = a_schedule(model=model, method=method)
    assert schedule.learning_rate == rate


@pytest.mark.parametrize(("model", "rank"), [(smollm_135m(), 8), (llama_8b(), 16), (llama_70b(), 32)])
def test_larger_models_get_wider_adapters_with_twice_the_alpha(model: ModelFacts, rank: int) -> None:
    schedule, _ = a_schedule(model=model)
    assert (schedule.lora_rank, schedule.lora_alpha) == (rank, 2 * rank)


def test_training_all_weights_has_no_adapters() -> None:
    schedule, notes = a_schedule(method="full")
    assert (schedule.lora_rank, schedule.lora_alpha) == (0, 0)
    assert not any(choice.field.startswith("method.lora") for choice in notes.choices)


@pytest.mark.parametrize(
    ("examples", "warning"),
    [(49, "49 training examples are very few"), (499, "499 training examples are few"), (500, None)],
)
def test_few_examples_are_said_to_be_few(examples: int, warning: str | None) -> None:
    _, notes = a_schedule(some_data(examples), maxSteps=100)
    assert [text.split(";")[0] for text in notes.warnings] == ([warning] if warning else [])


def test_very_few_steps_are_said() -> None:
    assert a_schedule(maxSteps=29)[1].warnings == [
        "Only 29 optimizer steps: more epochs or a smaller batchSize may learn more."
    ]
    assert a_schedule(maxSteps=30)[1].warnings == []


@given(strategies.data(), strategies.models(), st.integers(1, 64))
def test_a_schedule_is_always_one_that_can_be_run(data: DataFacts, model: ModelFacts, gpus: int) -> None:
    schedule, _ = a_schedule(data, model, gpus=gpus)
    assert 1 <= schedule.batch_size <= data.train.examples
    assert schedule.total_steps >= schedule.steps_per_epoch >= 1
    assert 0 <= schedule.warmup_steps <= schedule.total_steps
    assert 0 <= schedule.evaluation_steps <= schedule.steps_per_epoch
    assert schedule.steps_per_epoch * schedule.batch_size <= data.train.examples
    assert schedule.learning_rate > 0
