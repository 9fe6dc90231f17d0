"""A full disk and a read-only one end every stage in a sentence, and what was complete before stays so.

On file systems of a few hundred kilobytes, which are mounted for the test: that needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.result import StageError
from finetune_operator.brain.stages import Stage
from rows import chats, write_jsonl

Mount = Callable[[int], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system of so many bytes; again, to resize it."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def mount(size: int, *options: str) -> Path:
        nonlocal mounted
        said = ",".join([f"size={size // 1024}k", *(["remount"] if mounted else []), *options])
        subprocess.run(["mount", "-t", "tmpfs", "-o", said, "tmpfs", str(folder)], check=True)
        mounted = True
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave not a byte of a file system free."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def bytes_below(folder: Path) -> int:
    """What the files take, in whole pages of the file system."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in files)


def run(
    raw: dict[str, Any], stage: Stage, workspace: Path, elsewhere: Path, *, attempt: int = 1, **changes: Any
) -> stages.Ended:
    """Run a stage whose orders and last words lie on another disk."""
    config = stages.orders(raw, stage, workspace, attempt=attempt, **changes)
    go = stages.train_here if stage == Stage.TRAIN else stages.run_here
    return go(config, elsewhere / f"{stage}-{attempt}")


def refused(end: stages.Ended, *, field: str, place: Path) -> StageError:
    assert end.code == 64, end.log
    assert "Traceback" not in end.log
    assert end.result is not None
    error = end.result.error
    assert error is not None
    assert error.error_class == "UserError"
    assert error.field == field
    assert str(place) in error.message, "the place is named"
    assert error.hint, "what to do is said"
    return error


@pytest.fixture
def one_process(chat_manifest: dict[str, Any], changed: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return changed(chat_manifest, resources={"nodes": 1})


# ---------------------------------------------------------------- full


def test_prepare_on_a_full_disk_leaves_nothing_that_looks_whole(disk: Mount, causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(4000))
    raw = stages.manifest(causal_lm, [{"uri": f"file://{data}"}], tmp_path / "out")
    place = disk(300 * 1024)

    end = run(raw, Stage.PREPARE, place / "workspace", tmp_path)

    error = refused(end, field="spec.workspace.size", place=place)
    assert "bytes are free" in error.message
    assert not (place / "workspace/data").exists()


def test_a_checkpoint_that_finds_no_room_leaves_the_older_ones_and_the_next_attempt_continues_there(
    disk: Mount, one_process: dict[str, Any], prepared: Path, trained: Path, tmp_path: Path
) -> None:
    checkpoint = bytes_below(next(trained.glob("checkpoints/1/step-*")))
    size = bytes_below(prepared) + 5 * checkpoint // 2
    workspace = Path(shutil.copytree(prepared, disk(size) / "workspace", symlinks=True))
    often = {"total_steps": 8, "evaluation_steps": 0, "checkpoint_seconds": 0.0}

    end = run(one_process, Stage.TRAIN, workspace, tmp_path, **often)

    refused(end, field="spec.workspace.size", place=workspace)
    complete = sorted(marker.parent.name for marker in workspace.glob("checkpoints/1/*/complete"))
    assert complete == ["step-00000001", "step-00000002"]
    assert not (workspace / "adapter").exists()

    disk(size + 4 * checkpoint)
    end = run(one_process, Stage.TRAIN, workspace, tmp_path, attempt=2, **often)
    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.trained is not None
    assert end.result.trained.resumed_from_step == 2


@pytest.mark.parametrize("stage", [Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH])
def test_a_disk_without_a_free_byte_is_said_to_be_full(
    stage: Stage, disk: Mount, one_process: dict[str, Any], trained: Path, tmp_path: Path
) -> None:
    workspace = Path(shutil.copytree(trained, disk(16 << 20) / "workspace", symlinks=True))
    shutil.rmtree(workspace / "checkpoints")
    if stage == Stage.PUBLISH:
        assert run(one_process, Stage.EVALUATE, workspace, tmp_path).code == 0
    fill(workspace)

    end = run(one_process, stage, workspace, tmp_path, attempt=2)

    refused(end, field="spec.workspace.size", place=workspace)
    assert not (workspace / "reports/report.html").exists() or stage == Stage.PUBLISH
    if stage == Stage.EVALUATE:
        assert not (workspace / "reports/evaluation.json").exists(), "half a report would be read by publish"

    (workspace / "filler").unlink()
    end = run(one_process, stage, workspace, tmp_path, attempt=3, **({"total_steps": 2} if stage == Stage.TRAIN else {}))
    assert end.code == 0, end.log


def test_a_marker_that_a_full_disk_cut_short_is_no_obstacle(disk: Mount, chat_manifest: dict[str, Any], tmp_path: Path) -> None:
    workspace = disk(16 << 20) / "workspace"
    (workspace / "model").mkdir(parents=True)
    (workspace / "model/.finetune.json").write_text("")

    end = run(chat_manifest, Stage.PREPARE, workspace, tmp_path)

    assert end.code == 0, end.log


# ---------------------------------------------------------------- read-only


@pytest.mark.parametrize("stage", list(Stage))
def test_a_read_only_workspace_is_said_to_be_one(
    stage: Stage, disk: Mount, one_process: dict[str, Any], trained: Path, tmp_path: Path
) -> None:
    workspace = Path(shutil.copytree(trained, disk(16 << 20) / "workspace", symlinks=True))
    (workspace / "reports/evaluation.json").write_text('{"summary": {}}')
    read_only(workspace.parent)

    end = run(one_process, stage, workspace, tmp_path, attempt=2)

    error = refused(end, field="spec.workspace", place=workspace)
    assert "Read-only file system" in error.message
