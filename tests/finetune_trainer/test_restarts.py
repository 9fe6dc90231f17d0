"""Whatever ends a training run, the next attempt continues it as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_operator.brain.stages import Stage


def wait_until(condition: Callable[[], Any], *, seconds: float = 300, what: str = "it") -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen in {seconds} s")


def complete_checkpoints(workspace: Path) -> list[int]:
    return sorted(int(m.parent.name.removeprefix("step-")) for m in (workspace / "checkpoints").glob("*/step-*/complete"))


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of the ranks of a launcher, by rank."""
    found = {}
    for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        rank = next((int(entry[5:]) for entry in environment if entry.startswith(b"RANK=")), None)
        if rank is not None:
            found[rank] = int(pid)
    return [found[rank] for rank in sorted(found)]


def start_training(raw: dict[str, Any], workspace: Path, attempt: int, **changes: Any) -> subprocess.Popen[str]:
    config = stages.orders(raw, Stage.TRAIN, workspace, attempt=attempt, **{**stages.STEADY, **changes})
    return stages.start(config, workspace / f"train-{attempt}")


def finish(process: subprocess.Popen[str], workspace: Path, attempt: int, **options: Any) -> stages.Ended:
    return stages.ended(process, workspace / f"train-{attempt}", **options)


def in_the_middle(workspace: Path, *, beyond: int = 3) -> Callable[[], bool]:
    return lambda: bool(complete_checkpoints(workspace)) and complete_checkpoints(workspace)[-1] >= beyond


def test_a_killed_rank_ends_the_attempt_and_the_next_one_repeats_every_loss_bit_for_bit(
    chat_manifest: dict[str, Any], workspace: Path, trained: Path
) -> None:
    process = start_training(chat_manifest, workspace, 1)
    wait_until(in_the_middle(workspace), what="a checkpoint")
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    end = finish(process, workspace, 1)
    assert end.code == 137, "the killed rank is to blame, not the survivor that lost its peer"
    reached = complete_checkpoints(workspace)[-1]
    assert reached < 60, "the run was over before it could be killed"

    end = finish(start_training(chat_manifest, workspace, 2), workspace, 2)

    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.trained is not None
    assert end.result.trained.resumed_from_step == reached
    assert stages.losses(workspace) == stages.losses(trained)
    assert (workspace / "adapter/adapter_model.safetensors").read_bytes() == (
        trained / "adapter/adapter_model.safetensors"
    ).read_bytes()


def test_sigterm_saves_the_step_that_is_running_and_exits_143(
    chat_manifest: dict[str, Any], workspace: Path, trained: Path
) -> None:
    process = start_training(chat_manifest, workspace, 1, checkpoint_seconds=3600.0)
    wait_until(lambda: (workspace / "metrics.jsonl").is_file(), what="a step")
    process.send_signal(signal.SIGTERM)
    end = finish(process, workspace, 1)

    assert end.code == 143, end.log
    assert end.result is not None
    assert end.result.error is not None
    assert end.result.error.error_class == "Interrupted"
    step = complete_checkpoints(workspace)[-1]
    assert max(stages.losses(workspace)) == step, "the checkpoint holds the last step that was taken"

    # On one process instead of two: the same steps, up to the rounding of sums in another order.
    raw = {**chat_manifest, "spec": {**chat_manifest["spec"], "resources": {"nodes": 1}}}
    end = finish(start_training(raw, workspace, 2), workspace, 2)
    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.trained is not None
    assert end.result.trained.resumed_from_step == step
    assert stages.losses(workspace) == pytest.approx(stages.losses(trained), rel=1e-4)


def test_a_damaged_or_half_written_checkpoint_is_passed_over(
    chat_manifest: dict[str, Any], trained: Path, workspace: Path
) -> None:
    process = start_training(chat_manifest, workspace, 1)
    wait_until(lambda: len(complete_checkpoints(workspace)) > 1, what="two checkpoints")
    os.kill(ranks_of(process)[0], signal.SIGKILL)
    assert finish(process, workspace, 1).code == 137
    older, newer = complete_checkpoints(workspace)[-2:]
    damaged = next((workspace / "checkpoints/1" / f"step-{newer:08d}").glob("*.safetensors"))
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    half = workspace / "checkpoints/1/step-00000059"
    half.mkdir()
    (half / damaged.name).write_bytes(content[: len(content) // 2])

    end = finish(start_training(chat_manifest, workspace, 2), workspace, 2)

    assert end.code == 0, end.log
    assert "is damaged" in end.log
    assert end.result is not None
    assert end.result.trained is not None
    assert end.result.trained.resumed_from_step == older
    assert stages.losses(workspace) == stages.losses(trained)


def test_a_frozen_rank_is_noticed_and_its_peer_says_that_it_is_not_to_blame(
    chat_manifest: dict[str, Any], workspace: Path
) -> None:
    """Wherever it is: the moment after a checkpoint may lie in a step, in the validation or in the next checkpoint."""
    process = start_training(chat_manifest, workspace, 1, stall_seconds=20.0)
    wait_until(in_the_middle(workspace), what="a checkpoint")
    frozen = ranks_of(process)[1]
    os.kill(frozen, signal.SIGSTOP)

    end = finish(process, workspace, 1, timeout=600)

    assert "nothing happened for" in end.log
    assert end.code == 75, "the launcher killed the frozen rank in the end, but nobody else did"
    assert not Path(f"/proc/{frozen}").exists()


def test_only_the_newest_two_checkpoints_and_the_best_are_kept(trained: Path) -> None:
    kept = complete_checkpoints(trained)
    best = json.loads((trained / "reports/training.json").read_text())["bestStep"]
    assert best in kept
    assert len(kept) <= 3


def test_a_checkpoint_of_other_data_is_not_continued(chat_manifest: dict[str, Any], trained: Path, tmp_path: Path) -> None:
    import shutil

    workspace = Path(shutil.copytree(trained, tmp_path / "workspace", symlinks=True))
    (workspace / "metrics.jsonl").unlink()
    manifest = workspace / "data/manifest.json"
    manifest.write_text(manifest.read_text().replace('"digest": "sha256:', '"digest": "sha256:f'))
    end = finish(start_training(chat_manifest, workspace, 2, total_steps=60), workspace, 2)
    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.trained is not None
    assert end.result.trained.resumed_from_step == 0
    assert "belongs to another run" in end.log
