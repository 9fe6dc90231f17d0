"""A prepare that is killed goes on where it was: the same to the byte as one that nothing befell, and nothing is done twice."""

from __future__ import annotations

import gzip
import json
import logging
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_operator.brain.stages import Stage
from rows import chats, write_jsonl


@pytest.fixture(autouse=True)
def whole_log(caplog: pytest.LogCaptureFixture) -> None:
    """Also of stages that run in this process."""
    caplog.set_level(logging.INFO)


KEY = {"ANONYMIZE_KEY": "a key of sixteen characters"}


def a_manifest(model: Path, folder: Path) -> dict[str, Any]:
    """Three files in two datasets, with something for every counter."""
    rows = chats(7_000)
    for number, row in enumerate(rows):
        if number % 50 == 0:
            row["completion"] += "  \n\n\n Yours, Anna Schmidt, anna.schmidt@firma.example, Tel. +49 30 90182015"
        if number % 70 == 0:
            row["completion"] = "\x01"
        if number % 90 == 0:
            row.update(rows[number - 1])
    write_jsonl(folder / "data/a.jsonl", rows[:3_000])
    text = "".join(json.dumps(row) + "\n" for row in rows[3_000:5_000])
    (folder / "data/b.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    write_jsonl(folder / "more.jsonl", rows[5_000:])
    data = [{"uri": f"file://{folder}/data", "fields": {"weight": "importance"}}, {"uri": f"file://{folder}/more.jsonl"}]
    preparation = {
        "maxLength": 200,
        "overlong": "drop",
        "deduplicate": "near",
        "anonymize": {"strategy": "surrogate", "maxResidualRate": 1},
        "weighting": {"rules": [{"field": "customer", "equals": "c3", "weight": 2}]},
    }
    return stages.manifest(model, data, folder / "out", preparation=preparation)


def holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:  # gone meanwhile
        return False


def rows_committed(workspace: Path) -> int:
    found = [0]
    for commit in workspace.glob("preparing-*/spool/commit.json"):
        try:
            state = json.loads(commit.read_text())["state"]
        except (OSError, ValueError):
            continue
        found.append(sum(rows for _, rows in state["counts"]["problems"]["read"]))
    return max(found)


def killed(process: Any, folder: Path, *, with_signal: signal.Signals, once: Callable[[], bool]) -> stages.Ended:
    """How it ended; with 0 if it was faster than who watches it."""
    deadline = time.monotonic() + 600
    while not once() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(with_signal)
    return stages.ended(process, folder)


def killed_at_first(
    raw: dict[str, Any], workspace: Path, folder: Path, *, once: Callable[[], bool], **environment: str
) -> stages.Ended:
    """A first attempt that is killed in the middle; begun anew where it was over before: a machine may stall for seconds."""
    for _ in range(5):
        process = stages.start(stages.orders(raw, Stage.PREPARE, workspace), folder, **environment)
        end = killed(process, folder, with_signal=signal.SIGKILL, once=once)
        if end.code != 0:
            break
        shutil.rmtree(workspace)
    assert end.code == 137, end.log
    return end


def test_a_prepare_killed_again_and_again_ends_as_one_that_never_was(causal_lm: Path, tmp_path: Path) -> None:
    raw = a_manifest(causal_lm, tmp_path)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert stages.run_here(stages.orders(raw, Stage.PREPARE, whole), tmp_path / "run", **KEY).code == 0

    chance = random.Random(20261130)
    done = 0
    for attempt, how in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGKILL), 1):
        folder = tmp_path / f"prepare-{attempt}"
        wanted = done + chance.randint(1, 1_800)

        def once(wanted: int = wanted) -> bool:
            return rows_committed(torn) >= wanted

        if attempt == 1:
            end = killed_at_first(raw, torn, folder, once=once, **KEY)
        else:
            process = stages.start(stages.orders(raw, Stage.PREPARE, torn, attempt=attempt), folder, **KEY)
            end = killed(process, folder, with_signal=how, once=once)
        if end.code == 0:  # on a machine with much else to do
            break
        assert end.code == (143 if how == signal.SIGTERM else 137), end.log
        assert not (torn / "data").exists()
        assert done == 0 or f"goes on after {done:,} rows" in end.log
        done = rows_committed(torn)
        assert done >= wanted
    else:
        end = stages.run_here(stages.orders(raw, Stage.PREPARE, torn, attempt=4), tmp_path / "prepare-4", **KEY)

    assert end.code == 0, end.log
    assert f"goes on after {done:,} rows" in end.log
    names = sorted(str(file.relative_to(whole)) for file in (whole / "data").rglob("*") if file.is_file())
    assert len(names) > 9
    for name in [*names, "reports/data.json"]:
        assert (torn / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(torn.glob("preparing-*"))


@pytest.mark.parametrize("changed", ["key", "data", "orders", "no key"])
def test_what_was_made_from_something_else_is_not_gone_on_with(causal_lm: Path, tmp_path: Path, changed: str) -> None:
    raw = a_manifest(causal_lm, tmp_path)
    workspace, folder = tmp_path / "w", tmp_path / "prepare-1"
    key = {} if changed == "no key" else KEY
    if changed == "no key":
        spool = workspace / "preparing-1/spool/tokens.bin"
        killed_at_first(raw, workspace, folder, once=lambda: holds_something(spool))
        assert not list(workspace.rglob("commit.json")), "who has the surrogates' key by chance alone keeps nothing"
    else:
        killed_at_first(raw, workspace, folder, once=lambda: rows_committed(workspace) >= 1_000, **key)
    if changed == "key":
        key = {"ANONYMIZE_KEY": "another key of as many"}
    if changed == "data":
        rows = chats(2_000, seed=2)
        write_jsonl(tmp_path / "more.jsonl", rows)
    if changed == "orders":
        raw["spec"]["preparation"]["clean"] = {"minCharacters": 2}

    end = stages.run_here(stages.orders(raw, Stage.PREPARE, workspace, attempt=2), tmp_path / "prepare-2", **key)

    assert end.code == 0, end.log
    assert "is taken for" in end.log
    assert "goes on after" not in end.log
    assert end.result is not None
    assert end.result.prepared is not None
    assert end.result.prepared.examples.read == 7_000
    assert not list(workspace.glob("preparing-*"))


def test_nothing_is_left_of_data_that_somebody_has_to_mend(causal_lm: Path, tmp_path: Path) -> None:
    data = tmp_path / "chats.jsonl"
    data.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "c"}\n')
    raw = stages.manifest(causal_lm, [{"uri": f"file://{data}"}], tmp_path / "out")
    workspace = tmp_path / "w"
    (workspace / "downloads/old").mkdir(parents=True)

    end = stages.run_here(stages.orders(raw, Stage.PREPARE, workspace), tmp_path / "prepare")

    assert end.code == 65
    assert not list(workspace.glob("preparing-*"))
    assert not (workspace / "downloads").exists()
