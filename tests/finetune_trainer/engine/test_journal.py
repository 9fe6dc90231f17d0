"""metrics.jsonl: a line per step, written later than the step and never held up by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from finetune_api.errors import UserError
from finetune_trainer.engine.journal import Journal, read_journal


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Loss:
    """A loss that notices when somebody reads it; on a GPU each read would wait for all work before it."""

    def __init__(self, value: float) -> None:
        self.tensor = torch.tensor(value)
        self.reads = 0

    def detach(self) -> torch.Tensor:
        self.reads += 1
        return self.tensor


def nothing(step: int) -> str:
    return f"the examples of step {step + 1}"


def a_journal(path: Path | None, clock: Clock, *, ranks: int = 1) -> Journal:
    """A journal whose other ranks have the same losses as this one."""
    return Journal(path, attempt=2, add_up=lambda tensor: tensor * ranks, clock=clock)


def test_a_step_costs_no_read_of_its_loss_and_no_write(tmp_path: Path) -> None:
    clock, loss = Clock(), Loss(1.5)
    journal = a_journal(tmp_path / "metrics.jsonl", clock)

    journal.add(1, loss, learning_rate=0.1, tokens=10, norm=None)  # type: ignore[arg-type]  # a loss as far as it is used

    assert loss.reads == 0
    assert not (tmp_path / "metrics.jsonl").exists()
    journal.flush(nothing)
    assert loss.reads == 1


def test_a_line_holds_what_the_step_measured_over_all_ranks(tmp_path: Path) -> None:
    clock = Clock()
    journal = a_journal(tmp_path / "metrics.jsonl", clock, ranks=2)
    for step in (1, 2):
        clock.now += 0.5
        journal.add(step, torch.tensor(0.75 * step), learning_rate=0.1 / step, tokens=100, norm=torch.tensor(0.25))
    journal.flush(nothing)
    clock.now += 3.0
    journal.validated(2, 1.25)

    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    step = {"attempt": 2, "gradientNorm": 0.25, "tokens": 100, "seconds": 0.5}
    assert lines == [
        {**step, "step": 1, "loss": 1.5, "learningRate": 0.1},
        {**step, "step": 2, "loss": 3.0, "learningRate": 0.05},
        {"attempt": 2, "step": 2, "validationLoss": 1.25},
    ]
    assert (journal.last_loss, journal.tokens_per_second) == (3.0, 200.0)
    clock.now += 0.5
    journal.add(3, torch.tensor(1.0), learning_rate=0.1, tokens=100, norm=None)
    journal.flush(nothing)
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["seconds"] == 0.5, "not the validation's time"


def test_a_flush_is_due_after_a_second_or_many_steps_and_never_without_a_step(tmp_path: Path) -> None:
    clock = Clock()
    journal = a_journal(tmp_path / "metrics.jsonl", clock)
    clock.now += 60.0
    assert not journal.due(seconds=1.0, steps=20)
    journal.add(1, torch.tensor(1.0), learning_rate=0.1, tokens=1, norm=None)
    assert journal.due(seconds=1.0, steps=20)
    journal.flush(nothing)
    for step in range(2, 21):
        journal.add(step, torch.tensor(1.0), learning_rate=0.1, tokens=1, norm=None)
    assert not journal.due(seconds=1.0, steps=20)
    journal.add(21, torch.tensor(1.0), learning_rate=0.1, tokens=1, norm=None)
    assert journal.due(seconds=1.0, steps=20)


@pytest.mark.parametrize(("loss", "norm"), [(float("nan"), 0.1), (float("inf"), 0.1), (1.0, float("inf"))])
def test_the_first_step_that_is_no_number_ends_the_run_and_the_ones_before_are_written(
    loss: float, norm: float, tmp_path: Path
) -> None:
    journal = a_journal(tmp_path / "metrics.jsonl", Clock())
    journal.add(1, torch.tensor(1.0), learning_rate=0.1, tokens=1, norm=0.1)
    journal.add(2, torch.tensor(loss), learning_rate=0.1, tokens=1, norm=norm)
    journal.add(3, torch.tensor(1.0), learning_rate=0.1, tokens=1, norm=0.1)

    with pytest.raises(UserError, match="the loss of step 2 is no finite number; its examples: the examples of step 2"):
        journal.flush(nothing)

    assert [step["step"] for step in read_journal(tmp_path / "metrics.jsonl")[0]] == [1]


def test_a_rank_that_does_not_write_sums_all_the_same(tmp_path: Path) -> None:
    asked: list[torch.Tensor] = []
    journal = Journal(None, attempt=1, add_up=lambda tensor: asked.append(tensor) or tensor, clock=Clock())  # type: ignore[func-returns-value]
    journal.add(1, torch.tensor(1.0), learning_rate=0.1, tokens=1, norm=None)
    journal.flush(nothing)
    assert len(asked) == 1
    assert not list(tmp_path.iterdir())


def test_steps_are_read_as_the_last_attempt_had_them_and_a_cut_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [
        {"attempt": 1, "step": 1, "loss": 3.0},
        {"attempt": 1, "step": 2, "loss": 2.0},
        {"attempt": 1, "step": 2, "validationLoss": 2.5},
        {"attempt": 2, "step": 2, "loss": 1.9},
    ]
    path.write_text(
        "".join(json.dumps(line) + "\n" for line in lines[:3]) + '{"attempt": 1, "st\n' + json.dumps(lines[3]) + "\n"
    )
    assert read_journal(path) == ([lines[0], lines[3]], [lines[2]])
    assert read_journal(tmp_path / "none.jsonl") == ([], [])
