"""Rows come out of files by what the files are, and what is no row is named with its line."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from finetune_trainer.data.inputs import json_rows, raw_rows
from finetune_trainer.data.inputs.read import BrokenRow, Row, read_rows
from finetune_trainer.sources import DataFile

ROWS: list[dict[str, Any]] = [
    {"prompt": "Grüße", "completion": "Hallo\nWelt"},
    {"prompt": 'with "quotes", commas; and \t tabs', "completion": "two"},
]


def rows(path: Path) -> list[Any]:
    return [row.value if isinstance(row, Row) else row for row in read_rows(DataFile(path, path.name))]


def csv_bytes(delimiter: str) -> bytes:
    import csv

    out = io.StringIO()
    writer = csv.DictWriter(out, ["prompt", "completion"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue().encode()


JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CONTAINERS = {
    "jsonl": JSONL,
    "jsonl with BOM and CRLF": b"\xef\xbb\xbf" + JSONL.replace(b"\n", b"\r\n"),
    "jsonl without a last newline and with empty lines": b"\n".join([b"", *JSONL.splitlines(), b""]).strip(),
    "json array": json.dumps(ROWS, indent=2).encode(),
    "json array on one line": json.dumps(ROWS).encode(),
    "csv": csv_bytes(","),
    "csv with semicolons": csv_bytes(";"),
    "tsv": csv_bytes("\t"),
}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstandard"])
@pytest.mark.parametrize("content", CONTAINERS.values(), ids=CONTAINERS)
def test_the_same_rows_come_out_of_every_container(content: bytes, compress: Any, tmp_path: Path) -> None:
    file = tmp_path / "misnamed.txt"
    file.write_bytes(compress(content))
    assert rows(file) == ROWS


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "x.parquet")
    assert rows(tmp_path / "x.parquet") == ROWS
    years = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), pa.array([2025, 2026]))
    pq.write_table(pa.table({"year": years, "text": ["a", None, "a"]}), tmp_path / "y.parquet")
    assert rows(tmp_path / "y.parquet") == [{"year": 2026, "text": "a"}, {"year": 2025}, {"text": "a"}]


def test_a_json_array_larger_than_a_chunk_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "CHUNK", 64)
    many = [{"number": n, "text": "ä" * (n % 90), "value": 1.5} for n in range(200)]
    file = tmp_path / "x.json"
    file.write_text(json.dumps(many, ensure_ascii=False, indent=1))
    found = list(read_rows(DataFile(file, "x.json")))
    assert [row.value for row in found if isinstance(row, Row)] == many
    # Each row names the line on which it begins.
    lines = file.read_text().splitlines()
    assert all(lines[row.line - 1].strip() == "{" for row in found)


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (JSONL + b'{"prompt": "x", \n' + JSONL, 3, "broken JSON at column"),
        (JSONL + b"[1, 2]\n", 3, "not an object"),
        (JSONL + b'{"prompt": "\xff"}\n', 3, "not UTF-8"),
        (b"{\n" + JSONL, 1, "one object per line is needed"),
        (JSONL + b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", 3, "nested too deeply"),
        (b'[{"a": 1},\n{"a": }]', 2, "broken JSON in the array"),
        (b'[{"a": 1},\n{"a": 2}', 2, "not closed"),
        (b"a,b\n1,2\n1,2,3\n", 3, "has 3 columns where the header has 2"),
        (b"a,a\n1,2\n", 1, "repeated column name"),
        ("öh".encode("utf-16"), 1, "UTF-16"),
    ],
)
def test_what_is_no_row_is_named_with_its_line(content: bytes, line: int, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(content)
    broken = [row for row in read_rows(DataFile(file, "x")) if isinstance(row, BrokenRow)]
    assert len(broken) == 1
    assert (broken[0].line, reason in broken[0].reason) == (line, True), broken


def test_reading_goes_on_after_a_broken_line(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"{broken\n" + JSONL)
    found = rows(file)
    assert isinstance(found[0], BrokenRow)
    assert found[1:] == ROWS


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_file_that_is_cut_short_is_said_to_be_damaged(compress: Any, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(compress(JSONL * 1000)[:-20])
    assert any(isinstance(row, BrokenRow) and "damaged" in row.reason for row in read_rows(DataFile(file, "x")))


def test_a_line_without_end_costs_its_own_row_and_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_rows, "MAX_ROW_BYTES", 1 << 20)
    file = tmp_path / "x"
    with gzip.open(file, "wb") as out:  # 64 MiB of one line in 64 KiB of file
        out.write(JSONL)
        for _ in range(64):
            out.write(b"{" * (1 << 20))
        out.write(b"\n" + JSONL)
    tracemalloc.start()
    found = rows(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row for row in found if not isinstance(row, BrokenRow)] == ROWS + ROWS
    assert peak < 16 << 20


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    assert rows(tmp_path / "x") == []
