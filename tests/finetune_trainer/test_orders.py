"""Orders that a stage cannot read, or only half understands, are refused with a sentence before anything is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stages


@pytest.fixture(scope="module")
def good(chat_manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    config = stages.orders(chat_manifest, stages.Stage.PREPARE, tmp_path_factory.mktemp("orders") / "w")
    value: dict[str, Any] = config.model_dump(mode="json", by_alias=True)
    return value


def refused(path: Path, folder: Path) -> str:
    """Run prepare with these orders; the message."""
    end = stages.run_with(path, "prepare", folder)
    assert end.code == 64, end.log
    assert "Traceback" not in end.log
    assert end.result is not None
    assert end.result.error is not None
    assert end.result.error.error_class == "UserError"
    assert end.result.error.message in end.log, "the log says what the result says"
    return end.result.error.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "v9"}, "is of version 'v9'; this trainer reads v1alpha1"),
        ({"version": None}, "is of version None"),
        ({"surprise": 1}, "surprise: unknown field"),
        ({"prepare": None}, "has no block prepare"),
        ({"stage": "publish"}, "has no block publish"),
        ({"stage": "dance"}, "stage"),
        ({"model": {"uri": 5}}, "model.uri"),
    ],
)
def test_orders_of_another_version_or_shape_are_refused(
    change: dict[str, Any], message: str, good: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**good, **change}))
    assert message in refused(path, tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"12", b'"job"', b"\xff\xfe{\x00}\x00", b'{"version": "\xff"}', b"\x00" * 64, b"[" * 100_000],
    ids=["empty", "cut", "list", "null", "number", "text", "UTF-16", "a bad byte", "zeros", "deep"],
)
def test_bytes_that_are_no_orders_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_bytes(content)
    assert "job.json" in refused(path, tmp_path)


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_orders_that_are_no_file_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    if kind == "directory":
        path.mkdir()
    assert f"the orders {path} cannot be read" in refused(path, tmp_path)


def test_a_result_that_has_no_place_does_not_change_how_a_stage_ends(good: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**good, "version": "v9"}))
    end = stages.run_with(path, "prepare", tmp_path, FINETUNE_TERMINATION_LOG=str(tmp_path / "nowhere/result.json"))
    assert (end.code, end.result) == (64, None)
    assert "the result could not be written to" in end.log
    assert "Traceback" not in end.log
