"""Checkpoints of one run beside those of another, and optimizer states where their kernels look for them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from finetune_api.contract.workspace import Workspace
from finetune_trainer.engine.checkpoint import Checkpoints
from finetune_trainer.engine.progress import Progress
from finetune_trainer.engine.states import EngineStates


def states(device: str = "cpu", *, fused: bool = False) -> EngineStates:
    """Of an engine that spreads nothing: DeepSpeed's holds the same two things."""
    module = torch.nn.Linear(3, 2, device=device)
    optimizer = torch.optim.AdamW(module.parameters(), fused=fused)
    made = EngineStates(SimpleNamespace(module=module, optimizer=optimizer), stage=0)
    made.prepare_for_writing(0)
    return made


def checkpoints(folder: Path, identity: str, attempt: int, *, is_writer: bool = True) -> Checkpoints:
    return Checkpoints(Workspace(folder), attempt=attempt, identity=identity, is_writer=is_writer)


def steps(folder: Path, attempt: int) -> list[int]:
    return sorted(int(m.parent.name.removeprefix("step-")) for m in folder.glob(f"checkpoints/{attempt}/step-*/complete"))


def test_another_run_with_more_steps_pushes_no_checkpoint_out_and_loses_none(tmp_path: Path) -> None:
    for step in (900, 1000):
        checkpoints(tmp_path, "another", 1).save(states(), Progress(step))
    ours = checkpoints(tmp_path, "ours", 2)
    for step in (10, 20, 30):
        ours.save(states(), Progress(step))
    assert steps(tmp_path, 2) == [20, 30]
    assert steps(tmp_path, 1) == [900, 1000]
    found = ours.newest()
    assert found is not None
    assert found.progress.step == 30


def test_a_rank_that_does_not_write_writes_nothing_and_shows_that_it_lives(tmp_path: Path) -> None:
    beats: list[int] = []
    checkpoints(tmp_path, "ours", 1, is_writer=False).save(states(), Progress(1), beat=lambda: beats.append(1))
    assert beats
    assert not (tmp_path / "checkpoints").exists()


def test_whoever_looks_at_a_checkpoint_or_reads_it_shows_that_it_lives_after_each_file(tmp_path: Path) -> None:
    ours = checkpoints(tmp_path, "ours", 1)
    ours.save(states(), Progress(1))
    beats: list[str] = []
    found = ours.newest(beat=lambda: beats.append("newest"))
    assert found is not None
    assert ours.at(1, beat=lambda: beats.append("at")) == found
    ours.load(found, states(), beat=lambda: beats.append("load"))
    assert len(dict(ours.weights(found, beat=lambda: beats.append("weights")))) == 2
    assert beats == ["newest", "at", "load", "weights"], "one file"


@pytest.mark.parametrize(("fused", "where"), [(True, "meta"), (False, "cpu")])
def test_a_fused_optimizer_finds_its_step_beside_the_parameter(fused: bool, where: str) -> None:
    module = torch.nn.Linear(3, 2, device="meta")
    optimizer = torch.optim.AdamW(module.parameters(), fused=fused)
    EngineStates(SimpleNamespace(module=module, optimizer=optimizer), stage=0).prepare_for_writing(7)
    assert {state["step"].device.type for state in optimizer.state.values()} == {where}
    assert {state["exp_avg"].device.type for state in optimizer.state.values()} == {"meta"}


def test_a_straggler_leaves_what_a_newer_attempt_keeps(tmp_path: Path) -> None:
    straggler, present = (checkpoints(tmp_path, "ours", attempt) for attempt in (1, 2))
    straggler.save(states(), Progress(10, best_step=10, best_loss=3.0))
    straggler.save(states(), Progress(20, best_step=10, best_loss=3.0))
    # The second attempt continues at 20, finds a better one at 30, and is overtaken by the first, which was given up.
    present.save(states(), Progress(30, best_step=30, best_loss=2.0))
    present.save(states(), Progress(40, best_step=30, best_loss=2.0))
    for step in (50, 60, 70):
        straggler.save(states(), Progress(step, best_step=50, best_loss=2.5))
    assert steps(tmp_path, 2) == [30, 40]
    assert steps(tmp_path, 1) == [50, 60, 70]
    assert present.at(30) is not None


def test_a_straggler_leaves_the_best_that_a_newer_attempt_took_over_from_it(tmp_path: Path) -> None:
    straggler, present = (checkpoints(tmp_path, "ours", attempt) for attempt in (1, 2))
    straggler.save(states(), Progress(10, best_step=10, best_loss=3.0))
    straggler.save(states(), Progress(20, best_step=10, best_loss=3.0))
    present.save(states(), Progress(30, best_step=10, best_loss=3.0))
    for step in (30, 40, 50):
        straggler.save(states(), Progress(step, best_step=30, best_loss=2.5))
    assert steps(tmp_path, 1) == [10, 30, 40, 50]


def test_the_present_attempt_tidies_up_after_older_ones(tmp_path: Path) -> None:
    for step in (10, 20):
        checkpoints(tmp_path, "ours", 1).save(states(), Progress(step, best_step=10, best_loss=3.0))
    present = checkpoints(tmp_path, "ours", 2)
    for step in (30, 40):
        present.save(states(), Progress(step, best_step=30, best_loss=2.0))
    assert (steps(tmp_path, 1), steps(tmp_path, 2)) == ([], [30, 40])
