"""What each rank computes of a batch: every document once, by one rank, and as many rows for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finetune_trainer.data.store import EXAMPLE, Documents, SplitWriter, open_documents
from finetune_trainer.engine.shares import Shares

LENGTHS, SUPERVISED, WEIGHTS = (5, 2, 7, 3), (4, 1, 2, 2), (1.0, 0.5, 2.0, 1.0)


@pytest.fixture
def data(tmp_path: Path) -> Documents:
    """Four documents; each token says to which of them it belongs."""
    examples = np.zeros(len(LENGTHS), EXAMPLE)
    examples["length"], examples["supervised"], examples["weight"] = LENGTHS, SUPERVISED, WEIGHTS
    examples["offset"] = np.cumsum(LENGTHS) - LENGTHS
    masks = [[0] * (length - some) + [1] * some for length, some in zip(LENGTHS, SUPERVISED, strict=True)]
    writer = SplitWriter(tmp_path / "train")
    writer.write(np.repeat(np.arange(4, dtype=np.uint32), LENGTHS), np.concatenate(masks).astype(np.uint8), examples)
    writer.close()
    return open_documents(tmp_path / "train")


def shares(rank: int, world_size: int, *, packed: bool = True, classification: bool = False) -> Shares:
    return Shares(
        rank=rank,
        world_size=world_size,
        device=torch.device("cpu"),
        packed=packed,
        budget_tokens=8,
        classification=classification,
        first_position=0,
    )


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_ranks_together_compute_every_document_once_in_as_many_rows_each(
    data: Documents, world_size: int, packed: bool
) -> None:
    everything = np.arange(4)

    per_rank = [list(shares(rank, world_size, packed=packed).micro_batches(data, everything)) for rank in range(world_size)]

    rows = dict(row for rank in per_rank for row in rank)
    assert len({len(rank) for rank in per_rank}) == 1, "collectives must match"
    assert sorted(rows) == list(range(len(rows))), "each row by one rank"
    weighing = [row for row in rows.values() if row.weights.any()]
    assert sorted(torch.cat([row.input_ids[0] for row in weighing]).tolist()) == np.repeat(np.arange(4), LENGTHS).tolist()
    total = sum(float(row.weights.sum()) for row in rows.values())
    assert total == shares(0, world_size).weight_sum(data, everything) == 4 * 1.0 + 1 * 0.5 + 2 * 2.0 + 2 * 1.0


def test_a_rank_without_a_document_runs_the_shortest_of_the_batch_and_it_weighs_nothing(data: Documents) -> None:
    ((number, idle),) = shares(3, 4).micro_batches(data, np.array([0, 1, 2]))

    assert number == 3
    assert idle.input_ids.tolist() == [[1, 1]]
    assert not idle.weights.any()


def test_in_classification_each_example_has_one_target(data: Documents) -> None:
    assert shares(0, 1, classification=True).weight_sum(data, np.array([1, 2])) == 0.5 + 2.0
