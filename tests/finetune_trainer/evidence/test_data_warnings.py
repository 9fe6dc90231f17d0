"""What the data report asks people to look at, and that it is silent where there is nothing to see."""

from __future__ import annotations

from typing import Any

import numpy as np

from finetune_api.contract.summary import DataSummary, ExampleCounts, SplitCounts, WeightSummary
from finetune_trainer.data.problems import Problems
from finetune_trainer.data.store import EXAMPLE, Documents
from finetune_trainer.evidence.data_facts import data_summary
from finetune_trainer.evidence.data_warnings import data_warnings


def a_summary(train: int = 1000) -> DataSummary:
    return DataSummary(
        examples=ExampleCounts(read=train, kept=train),
        tokens=10 * train,
        weights=WeightSummary(effective_sample_size=float(train), lowest=1, highest=1),
        split=SplitCounts(train=train, validation=100, test=100),
        digest="sha256:0",
    )


def splits(*, supervised: float = 0.5, test: int = 100) -> dict[str, dict[str, Any]]:
    train = {"examples": 1000, "tokens": 10_000, "supervisedTokens": int(10_000 * supervised)}
    return {
        "train": {**train, "weights": {"effectiveSampleSize": 1000}},
        "validation": {"examples": 100},
        "test": {"examples": test},
    }


def test_an_exam_that_lacks_classes_is_told() -> None:
    """Seven right of seven is no success where all seven are of one class."""
    labels = {"net": {"train": 900, "test": 100}, "bills": {"train": 60}, "other": {"train": 3}}
    assert data_warnings(a_summary(), splits(), labels) == [
        '1 class has fewer than 10 training examples: "other".',
        '2 of 3 classes have no test example, so no score says anything about them: "bills", "other".',
    ]
    assert data_warnings(a_summary(), splits(test=0), {"net": {"train": 900}, "bills": {"train": 90}}) == []


def test_running_text_has_loss_on_all_of_it_and_nobody_is_warned() -> None:
    assert data_warnings(a_summary(), splits(supervised=1), {}, has_prompts=False) == []
    assert len(data_warnings(a_summary(), splits(supervised=1), {})) == 1


def test_more_reasons_than_a_message_holds_still_add_up() -> None:
    problems = Problems()
    for number in range(20):
        problems.drop("a", f"reason {number}", 20 - number)
    one = Documents(np.zeros(1, np.uint32), np.zeros(1, np.uint8), np.ones(1, EXAMPLE))
    said = data_summary({"train": one, "validation": one, "test": one}, problems, "sha256:0", None)
    assert sum(said.examples.dropped_by_reason.values()) == sum(range(1, 21))
    assert said.examples.dropped_by_reason["other_reasons"] == sum(range(1, 9))
