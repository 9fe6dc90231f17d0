"""Packing loses no document, and the order of examples depends on the seed alone."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.data.tokens.pack import rows_for_step, rows_one_by_one
from finetune_trainer.engine.order import GlobalOrder
from finetune_trainer.engine.schedule import learning_rate

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@given(lengths=LENGTHS, world_size=st.integers(1, 8), budget=st.integers(1, 500))
def test_every_document_is_in_one_row_and_no_row_is_over_budget(lengths: list[int], world_size: int, budget: int) -> None:
    rows = rows_for_step(lengths, world_size=world_size, budget_tokens=budget)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert len(rows) % world_size == 0, "ranks must run the same number of rows"
    assert all(sum(lengths[i] for i in row) <= max(budget, max(lengths)) for row in rows)


@given(lengths=LENGTHS, world_size=st.integers(1, 8), budget=st.integers(1, 500))
def test_a_step_has_the_fewest_rows_that_keep_the_budget(lengths: list[int], world_size: int, budget: int) -> None:
    """Tried one number of rows after another from the first on, which is what a step is defined by."""
    ceiling = max(budget, *lengths)
    for per_rank in itertools.count(1):
        wanted: list[list[int]] = [[] for _ in range(per_rank * world_size)]
        for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
            min(wanted, key=lambda row: sum(lengths[i] for i in row)).append(index)
        if max(sum(lengths[i] for i in row) for row in wanted) <= ceiling:
            break
    assert rows_for_step(lengths, world_size=world_size, budget_tokens=budget) == wanted


@pytest.mark.parametrize(("shortest", "longest"), [(1, 4096), (1000, 1800), (2049, 4096)])
def test_a_whole_split_is_packed_as_well_as_it_can_be_without_trying_every_number_of_rows(shortest: int, longest: int) -> None:
    # Tried one by one, documents of more than half a row took an hour and the others minutes.
    lengths = np.random.default_rng(0).integers(shortest, longest + 1, 10_000)
    rows = rows_for_step(lengths, world_size=8, budget_tokens=4096)
    assert sorted(index for row in rows for index in row) == list(range(10_000))
    assert max(int(lengths[row].sum()) for row in rows) <= 4096
    least = max(int(lengths.sum()) / 4096, int((lengths > 2048).sum()))
    assert len(rows) <= 4 / 3 * least + 8, "Graham's bound for longest first"


def test_documents_are_spread_evenly_over_ranks() -> None:
    loads = [
        sum([9, 8, 7, 6, 5, 4][i] for i in row) for row in rows_for_step([9, 8, 7, 6, 5, 4], world_size=2, budget_tokens=40)
    ]
    assert loads == [20, 19]


@given(count=st.integers(1, 30), world_size=st.integers(1, 8))
def test_one_by_one_gives_every_rank_as_many_rows(count: int, world_size: int) -> None:
    rows = rows_one_by_one(count, world_size=world_size)
    assert len(rows) % world_size == 0
    assert [index for row in rows for index in row] == list(range(count))


def order(count: int = 20, *, batch_size: int = 6, seed: int = 3, mixing: tuple[float, ...] = (1.0,)) -> GlobalOrder:
    datasets = np.arange(count, dtype=np.int32) % len(mixing)
    return GlobalOrder(datasets, mixing, batch_size=batch_size, seed=seed)


def test_an_epoch_sees_each_example_at_most_once_and_every_epoch_another_order() -> None:
    made = order()
    assert made.steps_per_epoch == 3
    epochs = [np.concatenate([made.batch(3 * epoch + step) for step in range(3)]) for epoch in range(2)]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 18
    assert epochs[0].tolist() != epochs[1].tolist()


def test_a_step_is_the_same_whoever_asks_and_whenever() -> None:
    assert [order().batch(step).tolist() for step in (4, 0)] == [order().batch(4).tolist(), order().batch(0).tolist()]
    assert order().batch(0).tolist() != order(seed=4).batch(0).tolist()


def test_mixing_weights_change_how_often_an_example_is_seen() -> None:
    made = order(40, batch_size=5, mixing=(2.0, 0.5))
    assert made.per_epoch == 2 * 20 + 10
    first, second = (
        Counter(np.concatenate([made.batch(made.steps_per_epoch * epoch + s) for s in range(made.steps_per_epoch)]).tolist())
        for epoch in range(2)
    )
    assert all(first[index] == 2 for index in range(0, 40, 2))
    halves = [{index for index in seen if index % 2} for seen in (first, second)]
    assert [len(half) for half in halves] == [10, 10]
    assert halves[0] != halves[1], "another half each epoch"


def test_fewer_examples_than_a_batch_make_one_smaller_step() -> None:
    made = order(4, batch_size=100)
    assert sorted(made.batch(7).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("scheduler", "step", "rate"),
    [
        ("cosine", 0, 0.5),
        ("cosine", 1, 1.0),
        ("cosine", 2, 1.0),
        ("cosine", 6, 0.5),
        ("linear", 6, 0.5),
        ("constant", 9, 1.0),
    ],
)
def test_the_learning_rate_rises_and_falls_as_said(scheduler: str, step: int, rate: float) -> None:
    found = learning_rate(step, highest=1.0, warmup_steps=2, total_steps=10, scheduler=scheduler)  # type: ignore[arg-type]
    assert found == pytest.approx(rate)
