"""Parquet: every kind of column comes out as it went in, and a few hundred bytes that stand for a terabyte cost little."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finetune_trainer.data.inputs.read import BrokenRow, Row, read_rows
from finetune_trainer.sources import DataFile

MIB = 2**20
BOMB = "the compressed file expands to more than 200 times its size"
GUARDED = """
import json, resource, sys
from pathlib import Path
import pyarrow, pyarrow.parquet, numpy
from finetune_trainer.data.inputs.read import Row, read_rows
from finetune_trainer.sources import DataFile
pyarrow.set_memory_pool(pyarrow.system_memory_pool())
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + {more}, taken + {more}))
rows, reasons = 0, []
for row in read_rows(DataFile(Path(sys.argv[1]), "x.parquet")):
    rows += isinstance(row, Row)
    reasons += [] if isinstance(row, Row) else [(row.line, row.reason, row.drop)]
print(json.dumps([rows, reasons]))
"""


def read_in_little_memory(path: Path, *, mib: int = 700) -> tuple[int, list[list[Any]]]:
    """Rows and what is none, read by a process to which the kernel gives no more."""
    program = [sys.executable, "-c", GUARDED.format(more=mib * MIB), str(path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    rows, reasons = json.loads(done.stdout)
    return rows, reasons


def many_times(kind: pa.DataType = pa.string()) -> pa.DictionaryArray:  # noqa: B008
    """One text of 4 MiB, in a hundred thousand rows: 400 GiB."""
    text = b"x" * 4 * MIB if kind == pa.binary() else "x" * 4 * MIB
    return pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array([text], kind))


def in_one_list() -> pa.Table:
    return pa.table({"x": pa.ListArray.from_arrays(pa.array([0, 100_000], pa.int32()), many_times())})


BOMBS: dict[str, tuple[Callable[[], pa.Table], bool, int]] = {
    "a text in a list": (in_one_list, False, 0),
    "a text in a record": (lambda: pa.table({"x": pa.StructArray.from_arrays([many_times()], names=["text"])}), False, 0),
    "a text": (lambda: pa.table({"x": many_times()}), False, 63),
    "a large text": (lambda: pa.table({"x": many_times(pa.large_string())}), True, 63),
    "bytes": (lambda: pa.table({"x": many_times(pa.binary())}), False, 63),
    "empty rows": (lambda: pa.table({"x": pa.nulls(40_000_000, pa.int8())}), False, 0),
    "an endless list": (
        lambda: pa.table(
            {"x": pa.ListArray.from_arrays(pa.array([0, 100_000_000], pa.int32()), pa.nulls(100_000_000, pa.int8()))}
        ),
        False,
        0,
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_tiny_file_that_stands_for_gigabytes_is_left_out_in_bounded_memory(tmp_path: Path, name: str) -> None:
    make, with_schema, usable = BOMBS[name]
    path = tmp_path / "x.parquet"
    pq.write_table(make(), path, compression="zstd", store_schema=with_schema, row_group_size=100_000_000)
    assert path.stat().st_size < MIB

    rows, reasons = read_in_little_memory(path)

    assert rows == usable
    assert [(reason, drop) for _, reason, drop in reasons] == [(BOMB, True)]


def test_who_goes_on_in_a_file_that_expands_without_end_ends_where_the_first_reader_did(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int32()), pa.array(["x" * 4 * MIB]))
    pq.write_table(pa.table({"x": column}), path, compression="zstd", store_schema=False, row_group_size=10)

    for after in (0, 20, 63, 64):
        lines = [(row.line, isinstance(row, Row)) for row in read_rows(DataFile(path, path.name), after=after)]
        assert lines == [*((line, True) for line in range(after + 1, 64)), (64, False)][: 64 - after], (
            "64 such texts are too many"
        )


def test_two_columns_of_one_name_must_be_mended_as_in_a_table_of_text(tmp_path: Path) -> None:
    path, once, twice = tmp_path / "x.parquet", pa.array(["a"]), BrokenRow(0, "the schema has a repeated column name")
    inside = pa.StructArray.from_arrays([once, once], names=["role", "role"])
    in_a_list = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), inside)
    for columns, names in (([once, once], ["x", "x"]), ([inside], ["x"]), ([in_a_list], ["x"])):
        pq.write_table(pa.Table.from_arrays(columns, names=names), path)
        assert list(read_rows(DataFile(path, path.name))) == [twice]
    apart = pa.StructArray.from_arrays([once], names=["b"])
    pq.write_table(pa.Table.from_arrays([apart, once, apart], names=["a", "a.b", "b"]), path)
    assert list(read_rows(DataFile(path, path.name))) == [Row(1, {"a": {"b": "a"}, "a.b": "a", "b": {"b": "a"}})]


def test_a_row_group_of_too_many_values_in_lists_is_left_out_with_what_to_do(tmp_path: Path) -> None:
    many = 34_000_000
    lists = pa.ListArray.from_arrays(pa.array([0, many], pa.int32()), pa.nulls(many, pa.int8()))
    pq.write_table(pa.table({"x": lists}), tmp_path / "x.parquet")
    (found,) = read_rows(DataFile(tmp_path / "x.parquet", "x.parquet"))
    reason = "a row group has more than 33,554,432 values in lists; write it with fewer rows in each row group"
    assert found == BrokenRow(0, reason, drop=True)


def test_a_row_that_is_too_large_costs_itself_alone(tmp_path: Path) -> None:
    values = [["a"], ["b"] * 1_000_001, ["c"], ["d" * MIB] * 17, ["e"]]
    pq.write_table(pa.table({"x": values}), tmp_path / "x.parquet")
    found = list(read_rows(DataFile(tmp_path / "x.parquet", "x.parquet")))
    assert [row.value["x"] for row in found if isinstance(row, Row)] == [["a"], ["c"], ["e"]]
    assert [(row.line, row.reason, row.drop) for row in found if isinstance(row, BrokenRow)] == [
        (2, "the row has more than 1,000,000 values", True),
        (4, "the row is longer than 16,777,216 bytes", True),
    ]


def test_a_schema_that_is_nested_without_end_is_no_file_that_can_be_read(tmp_path: Path) -> None:
    kind: pa.DataType = pa.string()
    for _ in range(400):
        kind = pa.list_(kind)
    pq.write_table(pa.schema([("x", kind)]).empty_table(), tmp_path / "x.parquet")
    (found,) = read_rows(DataFile(tmp_path / "x.parquet", "x.parquet"))
    assert isinstance(found, BrokenRow)
    assert "too deeply nested" in found.reason


def a_table(rows: int) -> pa.Table:
    """Every kind of column, with gaps."""
    chance = random.Random(1)

    def turn() -> dict[str, Any]:
        return {
            "role": chance.choice(["user", "assistant"]),
            "content": "t" * chance.randrange(90),
            "k": [1] * chance.randrange(4),
        }

    plain = [
        {
            "prompt": None if number % 13 == 0 else "x" * chance.randrange(50),
            "number": number,
            "bytes": b"ab" if number % 2 else None,
            "messages": None if number % 17 == 0 else [turn() for _ in range(chance.randrange(5))],
            "record": {"a": "q", "deeper": {"z": None if number % 3 else "w"}},
            "share": 1.5,
            "lists": [["a"], [], None] if number % 5 else [],
        }
        for number in range(rows)
    ]
    further = {
        "map": pa.array([[(f"k{n % 9}", "v")] if n % 4 else None for n in range(rows)], pa.map_(pa.string(), pa.string())),
        "pairs": pa.array([[1, 2]] * rows, pa.list_(pa.int32(), 2)),
        "class": pa.array([f"c{n % 7}" for n in range(rows)]).dictionary_encode(),
        "large": pa.array(["L"] * rows, pa.large_string()),
        "time": pa.array([0] * rows, pa.timestamp("ms")),
        "fixed": pa.array([b"abc"] * rows, pa.binary(3)),
        "price": pa.array([1] * rows, pa.decimal128(5, 1)),
        "a.b": pa.array(["dotted"] * rows),
    }
    table = pa.Table.from_pylist(plain)
    for name, column in further.items():
        table = table.append_column(name, column)
    return table


@pytest.mark.parametrize(
    "how", [{"row_group_size": 300}, {"use_dictionary": False}, {"row_group_size": 77, "data_page_size": 100}]
)
def test_every_kind_of_column_comes_out_as_it_went_in(tmp_path: Path, how: dict[str, Any]) -> None:
    table, path = a_table(1_500), tmp_path / "x.parquet"
    pq.write_table(table, path, **how)
    expected = [{key: value for key, value in row.items() if value is not None} for row in table.to_pylist()]
    for after in (0, 1, 299, 300, 301, 1_499, 1_500):
        found = list(read_rows(DataFile(path, path.name), after=after))
        assert [row.value for row in found if isinstance(row, Row)] == expected[after:]
        assert [row.line for row in found] == list(range(after + 1, 1_501))


def texts_of(*texts: bytes) -> pa.Array:
    """A column of texts whose bytes nobody checks."""
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    borders = b"".join(end.to_bytes(4, "little") for end in ends)
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(borders), pa.py_buffer(b"".join(texts))])


def test_a_cell_that_is_no_text_or_no_time_costs_its_own_row_which_is_named(tmp_path: Path) -> None:
    days = pa.array([0, 2**30, 1, 2, 3], pa.date32())
    inside = pa.ListArray.from_arrays(pa.array(range(6), pa.int32()), texts_of(b"a", b"b", b"c", b"Sch\xfcb", b"e"))
    texts = texts_of(b"a", b"b", b"Sch\xfcb", b"d", "ü".encode())
    pq.write_table(pa.table({"text": texts, "day": days, "inside": inside}), tmp_path / "x.parquet")

    found = list(read_rows(DataFile(tmp_path / "x.parquet", "x.parquet")))

    assert [(row.line, row.value["text"]) for row in found if isinstance(row, Row)] == [(1, "a"), (5, "ü")]
    assert [row for row in found if isinstance(row, BrokenRow)] == [
        BrokenRow(2, "has a time or a number that is beyond what can be read"),
        BrokenRow(3, "has a text that is no UTF-8"),
        BrokenRow(4, "has a text that is no UTF-8"),
    ]


def test_times_of_nanoseconds_are_read_to_the_microsecond(tmp_path: Path) -> None:
    units = (pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("ns"), pa.time64("ns"), pa.duration("ns"))
    columns = {str(unit): pa.array([1_234_567_890], unit) for unit in units}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")

    (found,) = read_rows(DataFile(tmp_path / "x.parquet", "x.parquet"))

    assert isinstance(found, Row)
    second = timedelta(seconds=1, microseconds=234_567)
    began = datetime(1970, 1, 1)  # noqa: DTZ001 - as the column without a zone
    assert list(found.value.values()) == [
        began.replace(tzinfo=UTC) + second,
        began + second,
        (began + second).time(),
        second,
    ]
