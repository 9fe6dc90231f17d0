"""Rows on several processes: the same to the byte as on one, and an end that is understood where one of them dies."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import DataError, FinetuneError, OutOfMemory, UserError
from finetune_operator.brain.stages import Stage
from finetune_trainer.data.anonymize import Placed
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.data.workers import worker_count
from finetune_trainer.reporting import ProgressReporter
from finetune_trainer.sources import DataFile
from rows import chats, write_jsonl
from tiny import tiny_tagger

EXAMPLES = ("tokens", "supervised", "examples", "fingerprints")
SPOOLED = [f"spool/{name}.bin" for name in (*EXAMPLES, "rows", "shingles", "factors", "ngrams")]
WEIGHTING = {
    "rules": [{"field": "customer", "present": True, "weight": 2}],
    "relevance": {"description": "invoices"},
    "quality": {},
}


def an_ingest(model: Path, data: Path, root: Path, workers: int, *, tagger: Path | None = None) -> Ingest:
    detectors = [{"uri": f"file://{tagger}"}] if tagger else []
    anonymize = {"strategy": "surrogate" if tagger else "none", "detectors": detectors}
    preparation = {"maxLength": 200, "anonymize": anonymize, "deduplicate": "near", "weighting": WEIGHTING}
    raw = stages.manifest(model, [{"name": "tickets", "uri": f"file://{data}"}], root / "out", preparation=preparation)
    workspace = Workspace(root / f"workspace-{workers}")
    workspace.root.mkdir(parents=True, exist_ok=True)
    workspace.model.symlink_to(model)
    key = {"ANONYMIZE_KEY": "a key of sixteen characters"}
    orders = stages.orders(raw, Stage.PREPARE, workspace.root)
    assert orders.prepare is not None
    placed = [Placed(detector, tagger) for detector in orders.prepare.detectors]
    return Ingest(orders, workspace, workspace.root, key, detectors=placed, workers=workers)


def read(ingest: Ingest, data: Path, reporter: Any = None) -> None:
    config = ingest.config.prepare
    assert config is not None
    ingest.read(
        config.datasets[0], [DataFile(data, data.name)], reporter or ProgressReporter({}, now=lambda: datetime.now(UTC))
    )


def test_what_is_written_is_the_same_with_any_number_of_workers(causal_lm: Path, tmp_path: Path) -> None:
    rows = chats(3_000)
    rows[7]["completion"] = "\x01"
    for number in (4, 701, 1_402, 2_101, 2_801):
        rows[number]["completion"] = "TODO"
    rows[2_900]["completion"] = "  Write to anna.schmidt@example-firma.de, please.  "
    data = write_jsonl(tmp_path / "chats.jsonl", rows)

    one, two = (an_ingest(causal_lm, data, tmp_path, workers) for workers in (1, 2))
    for ingest in (one, two):
        read(ingest, data)
        ingest.finish()

    for file in SPOOLED:
        assert (tmp_path / "workspace-2" / file).read_bytes() == (tmp_path / "workspace-1" / file).read_bytes(), file
    assert two.problems == one.problems
    assert two.problems.read["tickets"] == 3_000
    assert sum(two.problems.dropped.values()) == 6
    assert two.tally == one.tally
    assert two.tally.changed["whitespace"] == 1
    assert two.tally.dropped["placeholders"] == 5
    assert [sample.line for sample in two.tally.samples["placeholders"]] == [5, 702, 1_403]
    assert sum(two.tally.languages.values()) == 3_000 // 8
    assert two.personal == one.personal
    assert two.done.counts.matched == one.done.counts.matched == {0: 3_000 - 6}  # all but those that are left out
    assert not multiprocessing.active_children()


def test_what_a_model_finds_is_the_same_with_any_number_of_workers(causal_lm: Path, tmp_path: Path) -> None:
    rows = chats(1_200)
    for number in range(0, 1_200, 7):
        rows[number]["completion"] += " Zorblax Quinby wohnt in Xanadu."
    data = write_jsonl(tmp_path / "chats.jsonl", rows)
    tagger = tiny_tagger(tmp_path / "tagger")

    one, two = (an_ingest(causal_lm, data, tmp_path, workers, tagger=tagger) for workers in (1, 2))
    for ingest in (one, two):
        read(ingest, data)
        ingest.finish()

    for file in SPOOLED:
        assert (tmp_path / "workspace-2" / file).read_bytes() == (tmp_path / "workspace-1" / file).read_bytes(), file
    assert two.personal == one.personal
    assert two.personal is not None
    assert two.personal.found == {"PERSON": 2 * 172, "ADDRESS": 172}


def test_the_first_broken_row_and_their_number_are_told_whoever_met_them(causal_lm: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = chats(2_000)
    for number in (600, 1_900):
        del rows[number]["completion"]
    data = write_jsonl(tmp_path / "chats.jsonl", rows)
    ingest = an_ingest(causal_lm, data, tmp_path, 2)

    read(ingest, data)
    with pytest.raises(DataError, match=r"chats.jsonl line 601 .*\(2 of 2,000 rows\)"):
        ingest.finish()


def test_a_step_with_a_defect_is_told_with_its_rows_and_not_with_what_they_say(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", [{"prompt": "I am Anna", "completion": "Hello"}] * 600)
    ingest = an_ingest(causal_lm, data, tmp_path, 1)

    def broken(row: dict[str, Any]) -> float:
        return float(row["prompt"])

    ingest.pipeline.rules = broken  # type: ignore[assignment]

    with pytest.raises(FinetuneError, match=r"ValueError in test_workers.py line \d+, at chats.jsonl line 1 to 512") as told:
        read(ingest, data)
    assert "Anna" not in str(told.value)


def test_a_worker_that_is_killed_ends_the_stage_as_out_of_memory(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(20_000))
    ingest = an_ingest(causal_lm, data, tmp_path, 2)

    class Killer:
        """Is told after each batch."""

        def report(self, **_: Any) -> None:
            for process in multiprocessing.active_children()[:1]:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(OutOfMemory, match="a worker process of prepare was killed"):
        read(ingest, data, Killer())
    assert not multiprocessing.active_children()


def test_a_worker_that_cannot_begin_says_why(causal_lm: Path, tmp_path: Path) -> None:
    """A process that ends while it begins would only break the pool."""
    data = write_jsonl(tmp_path / "chats.jsonl", chats(2_000))
    ingest = an_ingest(causal_lm, data, tmp_path, 2)
    model = tmp_path / "workspace-2/model"
    model.unlink()
    model.mkdir()
    shutil.copy(causal_lm / "config.json", model)  # and no tokenizer

    with pytest.raises(UserError, match="tokenizer"):
        read(ingest, data)


def test_workers_end_with_a_stage_that_is_killed(causal_lm: Path, tmp_path: Path) -> None:
    """Nobody else would end them: they would work on for the next attempt's cores and memory."""
    data = write_jsonl(tmp_path / "chats.jsonl", chats(20_000))
    ingest = an_ingest(causal_lm, data, tmp_path, 2)
    heard, told = os.pipe()

    class Teller:
        """Is told after each batch."""

        def report(self, **_: Any) -> None:
            os.write(told, " ".join(str(process.pid) for process in multiprocessing.active_children()).encode() + b"\n")

    stage = os.fork()
    if stage == 0:
        try:
            read(ingest, data, Teller())
        finally:
            os._exit(1)
    os.close(told)
    workers = [int(pid) for pid in os.read(heard, 1_000).split(b"\n")[0].split()]
    os.kill(stage, signal.SIGKILL)
    os.waitpid(stage, 0)

    assert len(workers) == 2
    deadline = time.monotonic() + 180
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline, "they are still there"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_as_many_workers_as_the_pod_has_cores_and_one_where_little_is_to_be_done() -> None:
    much = 10 * 2**30
    assert worker_count(2**20, {}) == 1
    assert worker_count(2**20, {}, with_models=True) == len(os.sched_getaffinity(0))
    assert worker_count(much, {"OMP_NUM_THREADS": "1"}) == 1
    assert worker_count(much, {"OMP_NUM_THREADS": "100000"}) == len(os.sched_getaffinity(0)) == worker_count(much, {})


def test_a_worker_carries_no_library_for_models(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(2_000))
    ingest = an_ingest(causal_lm, data, tmp_path, 2)
    mapped: list[str] = []

    class Looker:
        """Is told after each batch."""

        def report(self, **_: Any) -> None:
            for process in multiprocessing.active_children():
                mapped.append(Path(f"/proc/{process.pid}/maps").read_text())

    read(ingest, data, Looker())
    assert any("tokenizers" in maps for maps in mapped), "one has begun"
    assert not any("libtorch" in maps for maps in mapped)
