"""`finetune data diff`: what changed between two versions, of raw rows and of prepared data; numbers, never content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import Ran, finetune
from rows import write_jsonl

OLD: list[dict[str, Any]] = [{"id": n, "question": f"Frage {n}?", "answer": f"Geheim {n}"} for n in range(8)]
NEW: list[dict[str, Any]] = [
    *OLD[2:7],  # 0, 1 and 7 are gone
    {"id": 7, "question": "Frage 7?", "answer": "Anders"},  # but 7 comes back with another answer
    {"id": 8, "question": "Frage 8?", "answer": "Neu"},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "old.jsonl", OLD)
    write_jsonl(tmp_path / "new.jsonl", NEW[::-1])
    return tmp_path


def differ(*arguments: str) -> dict[str, Any]:
    ran = finetune("data", "diff", *arguments, "--output", "json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_raw_rows_are_known_by_their_question_or_by_a_field(folder: Path) -> None:
    expected = {"unchanged": 5, "changed": 1, "added": 1, "removed": 2}

    assert differ("old.jsonl", "new.jsonl")["rows"] == {**expected, "knownBy": "what is asked"}
    assert differ("old.jsonl", "new.jsonl", "--key", "id")["rows"] == {**expected, "knownBy": 'the field "id"'}


def test_rows_of_which_nobody_knows_what_they_ask_are_known_by_all_of_their_fields_and_it_is_said(folder: Path) -> None:
    for name, rows in (("alt", OLD), ("neu", NEW)):
        renamed = [{"nr": row["id"], "beschreibung": row["question"], "lösung": row["answer"]} for row in rows]
        write_jsonl(folder / f"{name}.jsonl", renamed)

    found = differ("alt.jsonl", "neu.jsonl")
    assert found["rows"] == {"unchanged": 5, "changed": 0, "added": 2, "removed": 3, "knownBy": "all of their fields"}
    assert "--field prompt=description" in found["remarks"][0]

    mapped = differ("alt.jsonl", "neu.jsonl", "--field", "prompt=beschreibung", "--field", "completion=lösung")
    assert mapped["rows"] == {"unchanged": 5, "changed": 1, "added": 1, "removed": 2, "knownBy": "what is asked"}
    assert mapped["remarks"] == []
    assert finetune("data", "diff", "alt.jsonl", "neu.jsonl", "--field", "frage=x").code == 2


def test_the_text_says_what_changed_and_shows_no_content(folder: Path) -> None:
    ran = finetune("data", "diff", "old.jsonl", "new.jsonl", "--key", "id")

    assert ran.code == 0, ran.err
    assert 'Rows, known by the field "id": 5 unchanged, 1 changed, 1 added, 2 removed' in ran.out
    assert "rows 8 7 -1" in " ".join(ran.out.split())
    for content in ("Geheim", "Anders", "Frage"):
        assert content not in ran.out


def test_the_order_of_rows_fields_and_files_is_no_difference(folder: Path) -> None:
    (folder / "parts").mkdir()
    write_jsonl(folder / "parts/a.jsonl", [dict(reversed(row.items())) for row in OLD[5:]])
    write_jsonl(folder / "parts/b.jsonl", OLD[:5])

    found = differ("old.jsonl", "parts")

    assert found["rows"]["unchanged"] == 8
    assert found["old"]["digest"] == found["new"]["digest"]


def test_prepared_data_is_compared_with_reasons_splits_and_weights(folder: Path) -> None:
    write_jsonl(folder / "new.jsonl", [*NEW, NEW[0]])
    for name in ("old", "new"):
        share = "0" if name == "old" else "0.3"
        ran = finetune("prepare", f"{name}.jsonl", "--format", "prompt_completion", "--set", f"split.test={share}")
        assert ran.code == 0, ran.err

    found = differ("old", "new")

    assert found["rows"] == {"unchanged": 5, "changed": 1, "added": 1, "removed": 2, "knownBy": "the group"}
    assert (found["old"]["dropped"], found["new"]["dropped"]) == ({}, {"duplicate": 1})
    assert found["new"]["splits"]["test"] > 0
    moved = {(one["from"], one["to"]): one["examples"] for one in found["moved"]}
    assert set(moved) == {("train", "test")}


def test_reports_alone_are_compared_in_numbers(folder: Path) -> None:
    for name, more in (("old", ()), ("new", ("--set", "clean.languages=[de, en]"))):
        ran = finetune("prepare", f"{name}.jsonl", "--report", f"{name}-report", *more)
        assert ran.code == 0, ran.err

    found = differ("old-report", "new-report/data.json")

    assert found["rows"] is None
    assert "one version counted every row, one every eighth" in found["remarks"][0]
    assert "a report alone holds numbers" in found["remarks"][1]
    assert [sum(found[side]["languages"].values()) for side in ("old", "new")] == [1, 7]
    assert (found["old"]["counts"]["rows read"], found["new"]["counts"]["rows read"]) == (8, 7)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["old.jsonl", "gone"], 2, "gone: no such file, directory or job"),
        (["old.jsonl", "new.jsonl", "--key", "nummer"], 1, 'old.jsonl: line 1 has no field "nummer"'),
        (["old.jsonl", "empty.jsonl"], 1, "empty.jsonl: no row can be read"),
        (["old.jsonl", "old-data-report"], 2, "one version is prepared data, the other is rows as they come"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_sentence(folder: Path, arguments: list[str], code: int, said: str) -> None:
    (folder / "empty.jsonl").touch()
    (folder / "old-data-report").mkdir()
    report = {"summary": {"examples": {"read": 1, "kept": 1}, "digest": "sha256:0"}, "splits": {}, "datasets": []}
    (folder / "old-data-report/data.json").write_text(json.dumps(report), encoding="utf-8")

    ran: Ran = finetune("data", "diff", *arguments)

    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_what_a_table_without_names_of_columns_holds_is_shown_in_no_form(folder: Path) -> None:
    values = ("Kirsten Siebenhüner", "k.siebenhuener@firma.de", "DE89370400440532013000")
    (folder / "old.csv").write_text(f"{','.join(values)}\nAnna Schmidt,anna@firma.de,x\n", encoding="utf-8")
    (folder / "new.csv").write_text(f"name,mail,konto\n{','.join(values)}\n", encoding="utf-8")

    found, ran = differ("old.csv", "new.csv"), finetune("data", "diff", "old.csv", "new.csv")

    assert found["old"]["fields"] == {"field 1: [PERSON]": 1, "field 2: [EMAIL]": 1, "field 3: [IBAN]": 1}
    assert found["new"]["fields"] == {"name": 1, "mail": 1, "konto": 1}
    assert ran.code == 0, ran.err
    for value in values:
        assert value not in f"{ran.out}{ran.err}{json.dumps(found, ensure_ascii=False)}"


def test_labels_that_are_people_are_covered_and_the_same_one_is_so_on_both_sides(folder: Path) -> None:
    for name, labels in (("alt", "abc"), ("neu", "bcd")):
        write_jsonl(folder / f"{name}.jsonl", [{"text": f"Frage {one}", "label": f"{one}@firma.de"} for one in labels])
        with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write('{"text": "Rechnung?", "label": "billing"}\n')

    found = differ("alt.jsonl", "neu.jsonl", "--task", "classification")

    people = {one: f"class {number}: [EMAIL]" for one, number in (("a", 1), ("b", 2), ("c", 4), ("d", 5))}
    assert found["old"]["labels"] == {people["a"]: 1, people["b"]: 1, people["c"]: 1, "billing": 1}
    assert found["new"]["labels"] == {people["b"]: 1, people["c"]: 1, people["d"]: 1, "billing": 1}


def test_a_report_that_names_people_as_classes_is_compared_without_their_names(folder: Path) -> None:
    report = {"summary": {"examples": {"read": 1, "kept": 1}, "digest": "sha256:0"}, "splits": {}, "datasets": []}
    for name, label in (("old", "anna@firma.de"), ("new", "class 1: [EMAIL]")):
        (folder / f"{name}.json").write_text(json.dumps(report | {"labels": {label: {"train": 7}}}), encoding="utf-8")

    found = differ("old.json", "new.json")

    assert found["old"]["labels"] == found["new"]["labels"] == {"class 1: [EMAIL]": 7}
