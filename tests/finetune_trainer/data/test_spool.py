"""Examples count up to the last commit, whatever lies beyond it; and what was counted comes back as it was."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.workspace import Workspace
from finetune_operator.brain.stages import Stage
from finetune_trainer.data.counts import Counts
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.data.plain import from_plain, to_plain
from finetune_trainer.reporting import ProgressReporter
from finetune_trainer.sources import DataFile
from rows import chats, write_jsonl

FILES = (
    "tokens.bin",
    "supervised.bin",
    "examples.bin",
    "fingerprints.bin",
    "rows.bin",
    "shingles.bin",
    "factors.bin",
    "ngrams.bin",
)
BATCHES = 5


class Cut(Exception):
    """Stands for the end of a process."""


class Cutting:
    """Is told after each batch, and ends it all after some."""

    def __init__(self, after: int) -> None:
        self.left = after

    def report(self, **_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Cut


class Bench:
    """One dataset of two files, read as often as wanted."""

    def __init__(self, model: Path, root: Path) -> None:
        rows: list[dict[str, Any]] = chats(1_700)
        rows[3]["completion"] = "\x01"
        rows[1_500]["completion"] += "  \n\n\n\nbye"
        del rows[1_650]["completion"]
        files = [write_jsonl(root / "a.jsonl", rows[:1_100]), write_jsonl(root / "b.jsonl", rows[1_100:])]
        self.root, self.files = root, [DataFile(file, file.name) for file in files]
        weighting = {"relevance": {"description": "invoices"}, "quality": {}}
        preparation = {"maxLength": 200, "deduplicate": "near", "weighting": weighting}
        self.raw = stages.manifest(model, [{"uri": f"file://{root}"}], root / "out", preparation=preparation)
        self.workspace = Workspace(root / "workspace")
        self.workspace.root.mkdir()
        self.workspace.model.symlink_to(model)
        self.whole = self.read("whole")

    def read(self, name: str, *, earlier: Path | Sequence[Path] = (), reporter: Any = None, workers: int = 1) -> Ingest:
        config = stages.orders(self.raw, Stage.PREPARE, self.workspace.root)
        assert config.prepare is not None
        ingest = Ingest(config, self.workspace, self.root / name, workers=workers, clock=lambda: 0.0)
        ingest.go_on([self.files], [earlier] if isinstance(earlier, Path) else earlier)
        with contextlib.suppress(Cut):
            ingest.read(config.prepare.datasets[0], self.files, reporter or ProgressReporter({}, now=lambda: datetime.now(UTC)))
        ingest.spool.close()
        return ingest

    def bytes_of(self, name: str) -> list[bytes]:
        return [(self.root / name / "spool" / file).read_bytes() for file in FILES]


@pytest.fixture(scope="module")
def bench(causal_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(causal_lm, tmp_path_factory.mktemp("bench"))


def rows_of(ingest: Ingest) -> int:
    return sum(ingest.problems.read.values())


@pytest.mark.parametrize(("after", "workers"), [*((after, 1) for after in range(1, BATCHES + 1)), (2, 2)])
def test_after_an_end_in_any_batch_the_rest_is_the_same_to_the_byte(bench: Bench, after: int, workers: int) -> None:
    whole = bench.whole
    name = f"{after}-{workers}"
    bench.read(f"torn-{name}", reporter=Cutting(after), workers=workers)
    told = Cutting(0)
    second = bench.read(f"second-{name}", earlier=bench.root / f"torn-{name}", reporter=told, workers=workers)

    assert bench.bytes_of(f"second-{name}") == bench.bytes_of("whole")
    assert second.done == whole.done
    assert -told.left == BATCHES - after, "batches that were done are not done again"
    assert rows_of(second) == 1_700


def test_what_a_dying_attempt_still_appends_does_not_count(bench: Bench) -> None:
    bench.read("dying", reporter=Cutting(2))
    for file in FILES:
        with (bench.root / "dying/spool" / file).open("ab") as stream:
            stream.write(b"under way when it ended")

    bench.read("after-dying", earlier=bench.root / "dying")

    assert bench.bytes_of("after-dying") == bench.bytes_of("whole")


def test_of_two_spools_the_furthest_that_is_whole_is_gone_on_with(bench: Bench) -> None:
    for name, batches in (("nearer", 1), ("further", 2), ("furthest", 3)):
        bench.read(name, reporter=Cutting(batches))
    with (bench.root / "furthest/spool/supervised.bin").open("r+b") as file:
        file.truncate(100)
    told = Cutting(0)

    bench.read("after-three", earlier=[bench.root / name for name in ("furthest", "nearer", "further")], reporter=told)

    assert -told.left == BATCHES - 2
    assert bench.bytes_of("after-three") == bench.bytes_of("whole")


@pytest.mark.parametrize(
    "harm", ["lost writes", "no commit", "half a commit", "another's", "other fields", "a number for a text"]
)
def test_a_spool_that_is_not_whole_is_begun_anew(bench: Bench, tmp_path: Path, harm: str) -> None:
    if not (bench.root / "good").exists():
        bench.read("good", reporter=Cutting(2))
    folder = Path(shutil.copytree(bench.root / "good", tmp_path / "harmed"))
    commit = folder / "spool/commit.json"
    said = json.loads(commit.read_text())
    match harm:
        case "lost writes":
            with (folder / "spool/supervised.bin").open("r+b") as file:
                file.truncate(100)
        case "no commit":
            commit.unlink()
        case "half a commit":
            commit.write_text(commit.read_text()[:-30])
        case "another's":
            commit.write_text(json.dumps({**said, "of": "something else"}))
        case "other fields":
            commit.write_text(json.dumps({**said, "state": {**said["state"], "newer": 1}}))
        case _:
            commit.write_text(json.dumps({**said, "state": {**said["state"], "labels": [[1, 2]]}}))
    told = Cutting(0)

    bench.read(f"anew-{harm}", earlier=folder, reporter=told)

    assert -told.left == BATCHES
    assert bench.bytes_of(f"anew-{harm}") == bench.bytes_of("whole")


def test_counts_come_back_as_they_were(bench: Bench) -> None:
    counts = bench.whole.done.counts
    assert counts.problems.dropped_of, "something is counted"

    back = from_plain(Counts, json.loads(json.dumps(to_plain(counts))))

    assert back == counts
    back.merge(counts)
    assert back.problems.read == Counter({name: 2 * rows for name, rows in counts.problems.read.items()})


def test_what_has_no_plain_form_is_said_and_not_lost() -> None:
    with pytest.raises(TypeError, match="Path has no plain form"):
        to_plain({"a": [Path("x")]})
    with pytest.raises(ValueError, match="a tuple of another length"):
        from_plain(tuple[int, int], [1])
    assert from_plain(dict[tuple[str, int], float | None], [[["a", 1], 2], [["b", 2], None]]) == {("a", 1): 2.0, ("b", 2): None}
