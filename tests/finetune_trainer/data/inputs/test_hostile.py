"""Files made to do harm cost their own rows: memory and time stay bounded, and each limit says what was beyond it.

What is hostile to parsers of mail, documents and Parquet alone stands in test_mail.py, test_documents.py and test_parquet.py.
"""

from __future__ import annotations

import gzip
import io
import json
import resource
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

import stages
from finetune_operator.brain.stages import Stage
from finetune_trainer.data.inputs import documents
from finetune_trainer.data.inputs.read import BrokenRow, Row, read_rows
from finetune_trainer.data.inputs.threads import Head, threads
from finetune_trainer.sources import DataFile
from pdf import a_pdf
from rows import chats, write_jsonl

GOOD = b'{"prompt": "a", "completion": "b"}\n'
MIB = 2**20


def read(path: Path) -> list[Row | BrokenRow]:
    return list(read_rows(DataFile(path, path.name)))


def left_out(path: Path) -> tuple[list[int], BrokenRow]:
    """Lines of the rows that came out, and the one place that did not, which must be none that somebody has to mend."""
    found = read(path)
    (broken,) = [row for row in found if isinstance(row, BrokenRow)]
    assert broken.drop, broken
    return [row.line for row in found if isinstance(row, Row)], broken


@contextmanager
def in_cpu_seconds(seconds: float) -> Iterator[None]:
    """Time of this process alone, which no neighbour can stretch."""
    begin = time.process_time()
    yield
    assert time.process_time() - begin < seconds


@contextmanager
def at_most(mib: int) -> Iterator[None]:
    """Memory that Python takes meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mib * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_file_that_expands_a_thousand_times_is_refused_in_little_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"bomb.jsonl.{kind}"
    with path.open("wb") as raw:
        open_packed: Any = gzip.GzipFile if kind == "gz" else zstandard.ZstdCompressor().stream_writer
        with open_packed(**({"fileobj": raw, "mode": "wb"} if kind == "gz" else {"writer": raw, "closefd": False})) as packed:
            packed.write(GOOD)
            for _ in range(300):
                packed.write(b" " * MIB)
    assert path.stat().st_size < 300 * MIB / 1000

    with at_most(64):
        lines, broken = left_out(path)

    assert lines == [1]
    assert broken.reason == "the compressed file expands to more than 200 times its size"


def test_a_line_of_a_gigabyte_costs_its_own_row_and_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with path.open("wb") as file:  # a hole: no gigabyte is on the disk
        file.write(GOOD + b'{"prompt": "')
        file.seek(2**30, io.SEEK_CUR)
        file.write(b'"}\n' + GOOD)

    with at_most(64):
        lines, broken = left_out(path)

    assert lines == [1, 3]
    assert (broken.line, broken.reason) == (2, "the row is longer than 16,777,216 bytes")


@pytest.mark.parametrize("form", ['{"a": %s}\n', '[{"a": %s}]'])
def test_a_row_of_millions_of_values_is_refused(tmp_path: Path, form: str) -> None:
    """Of 15 MB in the file 400 MB would become in memory."""
    path = tmp_path / "x.json"
    path.write_text(form % f"[{'[],' * 5_000_000}[]]")
    _, broken = left_out(path)
    assert broken.reason == "the row has more than 1,000,000 values"
    if form.endswith("\n"):
        with at_most(64):
            read(path)


@pytest.mark.parametrize("depth", [65, 900, 200_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_in_json_in_json_is_refused_however_deep(tmp_path: Path, depth: int, opening: str) -> None:
    path = tmp_path / "x.jsonl"
    deep = opening * depth + "1" + ("]" if opening == "[" else "}") * depth
    path.write_bytes(GOOD + f'{{"a": {deep}}}\n'.encode() + GOOD)
    lines, broken = left_out(path)
    assert lines == [1, 3]
    assert (broken.line, broken.reason) == (2, "JSON nested too deeply: more than 64 lists and objects in each other")


def test_a_quote_that_never_ends_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with path.open("wb") as file:
        file.write(b'prompt,completion\na,b\n"')
        for _ in range(100):  # many lines, each of them short enough
            file.write(b"x" * MIB + b"\n")
    with at_most(160):
        lines, broken = left_out(path)
    assert lines == [2]
    assert broken.line == 3
    assert broken.reason.startswith("the row is longer than 16,777,216 bytes")


def test_a_file_of_nul_bytes_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with path.open("wb") as file:
        file.truncate(2**30)
    with at_most(160):
        (broken,) = read(path)
    assert isinstance(broken, BrokenRow)
    assert broken.drop


@pytest.mark.parametrize(("form", "good"), [('{"n": %s}\n', [2]), ('[{"n": %s},\n{"n": 1}]', [])])
def test_a_number_of_millions_of_digits_is_left_out(tmp_path: Path, form: str, good: list[int]) -> None:
    path = tmp_path / "x.json"
    path.write_bytes((form % ("9" * 1_000_000)).encode() + (GOOD if good else b""))
    lines, broken = left_out(path)
    assert lines == good
    assert (broken.line, broken.reason.partition(";")[0]) == (1, "holds a whole number of more than 4,300 digits")


def test_a_hundred_thousand_columns_of_one_name_take_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "jira.csv"
    many = 100_000
    path.write_text(f"Issue key,{','.join(['Comment'] * many)}\nA-1,{','.join('x' * many)}\n")
    with in_cpu_seconds(5):
        (row,) = read(path)
    assert isinstance(row, Row)
    assert len(row.value["Comment"]) == many


def test_a_document_of_one_endless_line_takes_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("word " * 6_000_000)
    with in_cpu_seconds(5):
        found = read(path)
    assert len(found) == 7_500
    assert all(isinstance(row, Row) and len(row.value["text"]) <= 4_000 for row in found)


@pytest.mark.parametrize("inside", [(), ("firma.example",)], ids=["guessed", "declared"])
def test_a_mailbox_of_one_subject_takes_linear_time(inside: tuple[str, ...]) -> None:
    def heads(parents: tuple[str, ...], people: int) -> list[Head]:
        numbered = [(n, f"k{n % people}@k.example", (f"r{n}@firma.example", "hilfe@firma.example")) for n in range(30_000)]
        when = datetime(2026, 11, 2, tzinfo=UTC)
        return [Head(n, f"<{n}>", parents, "rechnung", True, sender, to, when) for n, sender, to in numbered]

    with in_cpu_seconds(20):
        apart, together, lost = (
            [len(thread.members) for thread in threads(heads(parents, people), inside)]
            for parents, people in (((), 30_000), ((), 1), (("<gone>",), 1))
        )
    assert len(apart) == 30_000
    assert together == lost == [30_000]


def test_a_letter_with_a_million_marks_costs_its_own_row(causal_lm: Path, tmp_path: Path) -> None:
    """Unicode asks that the marks of a letter be sorted; Python would take half an hour for these."""
    rows = chats(60)
    marks, line = "\u0300\u0316", "—" * 200
    rows[7]["completion"] = "a" + marks * 500_000
    rows[8]["completion"] = f"Tidy, with five: a{marks * 5}; and {line} a line."
    data = write_jsonl(tmp_path / "x.jsonl", rows)
    raw = stages.manifest(
        causal_lm,
        [{"uri": f"file://{data}"}],
        tmp_path / "out",
        preparation={"overlong": "truncate", "clean": {"maxRepetition": 1}},
    )

    end = stages.run_here(stages.orders(raw, Stage.PREPARE, tmp_path / "w"), tmp_path / "prepare")

    assert end.code == 0, end.log
    report = json.loads((tmp_path / "w/reports/data.json").read_text())
    assert report["datasets"][0]["dropped"] == {"a letter carries more than 128 marks": 1}


def fields_that_fit_nothing(model: Path, folder: Path, header: str) -> str:
    data = folder / "x.csv"
    data.write_text(f"{header}\na,b,c\n")
    raw = stages.manifest(model, [{"uri": f"file://{data}"}], folder / "out")
    end = stages.run_here(stages.orders(raw, Stage.PREPARE, folder / "w"), folder / "prepare")
    assert end.code == 65
    return end.log


def test_names_of_columns_are_shown_without_escapes_and_in_part(causal_lm: Path, tmp_path: Path) -> None:
    log = fields_that_fit_nothing(causal_lm, tmp_path, f"pro\x1b[31mmpt,{'k' * 100_000},<b>")
    assert f"x.csv line 2 has the fields pro\\x1b[31mmpt, {'k' * 40}…, <b>, which fit no format" in log
    assert "\x1b[31m" not in log


def test_a_table_without_names_of_columns_shows_nobodys_address(causal_lm: Path, tmp_path: Path) -> None:
    log = fields_that_fit_nothing(causal_lm, tmp_path, "Anna Schmidt,anna@firma.example,+49 30 901820")
    assert "has 3 fields whose names look like values, as if the line with the names were missing" in log
    assert "anna" not in log.lower()


def test_nul_bytes_in_a_row_are_no_end_of_it(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"prompt,completion\na\0b,c\n")
    (tmp_path / "y.jsonl").write_bytes(b'{"prompt": "a\\u0000b", "completion": "c"}\n')
    for name in ("x.csv", "y.jsonl"):
        (row,) = read(tmp_path / name)
        assert isinstance(row, Row)
        assert row.value == {"prompt": "a\0b", "completion": "c"}


def test_a_line_in_another_encoding_costs_its_own_row(tmp_path: Path) -> None:
    latin = "grün".encode("latin-1")
    (tmp_path / "x.csv").write_bytes(b"prompt,completion\na,b\n" + latin + b',b\n"c\nd",e\r\nf,g\r')
    (tmp_path / "y.jsonl").write_bytes(GOOD + GOOD.replace(b'"a"', b'"' + latin + b'"') + GOOD)
    found = read(tmp_path / "x.csv")
    assert [row.line for row in found] == [2, 3, 4, 6]
    assert found[1] == BrokenRow(3, "is not UTF-8")
    assert [row.line for row in read(tmp_path / "y.jsonl") if isinstance(row, BrokenRow)] == [2]


@pytest.mark.parametrize("harm", [("/Contents 4 0 R", "/Contents 3 0 R"), ("/Parent 2 0 R", "/Parent 3 0 R")])
def test_a_pdf_whose_objects_point_at_each_other_ends(tmp_path: Path, harm: tuple[str, str]) -> None:
    path = a_pdf(tmp_path / "a.pdf", "Hello")
    data = path.read_bytes()
    assert harm[0].encode() in data
    path.write_bytes(data.replace(harm[0].encode(), harm[1].encode()))
    assert len(read(path)) == 1


def test_a_parser_gets_no_more_memory_than_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(b"<html><body>" + b"<p>x</p>" * 4_000_000)
    monkeypatch.setattr(documents, "MAX_MEMORY_BYTES", 300 * MIB)
    _, broken = left_out(path)
    assert broken.reason == "the html document is broken or needs more than its limits"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 * 2**20, "KiB; of all children that ever were"


def test_a_parser_gets_no_more_time_than_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"a\n" * 10_000_000)
    monkeypatch.setattr(documents, "MAX_SECONDS", 1)
    _, broken = left_out(path)
    assert broken.reason in (
        "the text document takes longer than 1 s to read",
        "the text document is broken or needs more than its limits",
    )


def test_hostile_files_beside_good_ones_do_not_end_the_run(causal_lm: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_jsonl(data / "a.jsonl", chats(60))
    (data / "b.jsonl").write_bytes(b'{"prompt": ' + b"[" * 900 + b"]" * 900 + b"}\n")
    with (data / "c.jsonl").open("wb") as file:
        file.write(b'{"prompt": "')
        file.seek(50 * MIB, io.SEEK_CUR)
        file.write(b'"}\n')
    raw = stages.manifest(causal_lm, [{"uri": f"file://{data}"}], tmp_path / "out", preparation={"maxLength": 200})

    end = stages.run_here(stages.orders(raw, Stage.PREPARE, tmp_path / "w"), tmp_path / "prepare")

    assert end.code == 0, end.log
    assert "c.jsonl number 1 left out: the row is longer than 16,777,216 bytes" in end.log
    report = json.loads((tmp_path / "w/reports/data.json").read_text())
    assert report["datasets"][0]["dropped"] == {
        "JSON nested too deeply: more than 64 lists and objects in each other": 1,
        "the row is longer than 16,777,216 bytes": 1,
    }
