"""A dataset goes on at any border of a batch, whatever its files are, as if nobody had stopped there."""

from __future__ import annotations

import gzip
import json
from collections import deque
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finetune_api.contract.trainer_config import DatasetInput
from finetune_trainer.data.batches import batches
from finetune_trainer.data.inputs.formats import Shape
from finetune_trainer.data.inputs.read import read_rows
from finetune_trainer.data.rows import Batch
from finetune_trainer.sources import DataFile

SHAPE = Shape("prompt_completion", {"prompt": "prompt", "completion": "completion"}, "a test says so")
FILES = (
    "lines.jsonl",
    "packed.jsonl.gz",
    "array.json",
    "tickets.json",
    "table.csv",
    "columns.parquet",
    "box.mbox",
    "manual.md",
)
ROWS = 1_100


def a_file(path: Path, name: str, rows: int = ROWS) -> DataFile:
    values = [{"prompt": f"{name} {number}", "completion": "x"} for number in range(rows)]
    lines = "".join(json.dumps(value) + "\n" for value in values)
    match name:
        case "lines.jsonl":
            path.write_text("\n" + lines.replace("}\n", "}\n\n", 3).replace('"x"', "", 1))  # empty lines, and a broken one
        case "packed.jsonl.gz":
            path.write_bytes(gzip.compress(lines.encode()))
        case "array.json":
            path.write_text(json.dumps(values, indent=1))
        case "tickets.json":
            path.write_text(json.dumps({"count": rows, "tickets": values}))
        case "table.csv":
            path.write_text("prompt,completion\n" + "".join(f'"{one["prompt"]}\nand more",x\n' for one in values))
        case "columns.parquet":
            pq.write_table(pa.Table.from_pylist(values), path, row_group_size=300)
        case "box.mbox":
            head = "From a Mon Nov  2 10:00:00 2026\nFrom: {who}\nSubject: {n}\nMessage-ID: <{me}>\n{to}\n{text}\n\n"
            asked = [head.format(who="a@b.example", n=n, me=f"q{n}", to="", text=f"Q{n}") for n in range(rows)]
            said = [
                head.format(who="c@d.example", n=n, me=f"a{n}", to=f"In-Reply-To: <q{n}>\n", text="A") for n in range(rows - 9)
            ]
            path.write_text("".join([*asked, *said]))
        case _:
            path.write_text("".join(f"# Chapter {number}\n\n{name}\n\n" for number in range(rows)))
    return DataFile(path, name)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataFile]:
    folder = tmp_path_factory.mktemp("files")
    return {name: a_file(folder / name, name) for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_rows_after_a_place_are_those_that_stand_there(files: dict[str, DataFile], name: str) -> None:
    whole = list(read_rows(files[name]))
    assert len(whole) == ROWS
    assert len({str(row) for row in whole}) == ROWS
    for after in (1, 2, 299, 300, 512, ROWS - 1, ROWS):
        assert list(read_rows(files[name], after=after)) == whole[after:]


def made(
    files: list[DataFile], begin: tuple[int, int] = (0, 0), ends: deque[tuple[int, int]] | None = None
) -> list[tuple[Any, ...]]:
    """What each batch is of, and how much of it a glance is at."""
    dataset = DatasetInput(name="all", field="spec.datasets[0]", uri="file:///all")

    def told(batch: Batch) -> tuple[Any, ...]:
        return batch.number, batch.file, batch.file_number, batch.rows, batch.glance, batch.letters

    return [told(batch) for batch in batches(dataset, 3, files, SHAPE, begin=begin, ends=ends)]


def test_what_is_logged_of_a_batch_holds_no_row(files: dict[str, DataFile]) -> None:
    """A worker of Dask logs the arguments of what failed there."""
    dataset = DatasetInput(name="all", field="spec.datasets[0]", uri="file:///all")
    first = next(iter(batches(dataset, 0, [files["table.csv"]], SHAPE)))
    assert "and more" in str(first.rows[0])
    assert "and more" not in repr(first)


def test_rows_left_out_for_one_reason_are_named_ten_times_and_then_counted(
    files: dict[str, DataFile], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "x" * 16 * 2**20}) + "\n")
    made([files["box.mbox"], DataFile(long, long.name)])  # of the mailbox 9 questions have no answer
    assert len(caplog.messages) == 10
    caplog.clear()
    box = tmp_path / "box.mbox"
    box.write_text("From a Mon Nov  2 10:00:00 2026\nFrom: a@b.example\nSubject: s\n\n\n" * 1_012)
    made([DataFile(box, box.name), DataFile(long, long.name)])
    assert caplog.messages[9:] == [
        "dataset all: box.mbox number 10 left out: the message has no text of its own",
        "dataset all: long.jsonl number 1 left out: the row is longer than 16,777,216 bytes",
        "dataset all: 1,002 further left out: the message has no text of its own",
    ]


def test_a_dataset_goes_on_at_the_end_of_any_batch(files: dict[str, DataFile], tmp_path: Path) -> None:
    exact = a_file(tmp_path / "exact", "array.json", rows=512)  # as many as go into a batch
    empty = tmp_path / "empty"
    empty.write_text("")
    several = [files["table.csv"], exact, DataFile(empty, "empty"), files["columns.parquet"], files["lines.jsonl"]]
    ends: deque[tuple[int, int]] = deque()

    whole = made(several, ends=ends)

    assert [len(rows) for _, _, _, rows, _, _ in whole] == [512, 512, 76, 512, 512, 512, 76, 512, 512, 76]
    assert len(ends) == len(whole)
    for number, end in enumerate(ends, 1):
        assert made(several, begin=end) == whole[number:]
