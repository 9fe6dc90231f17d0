"""prepare over what a company really has: folders of documents and of mail, with a broken file among them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_operator.brain.stages import Stage

PROSE = "Der Filter wird jeden Monat geprüft und bei Bedarf gereinigt, Nummer {}."


def a_job(model: Path, folder: Path, output: Path) -> dict[str, Any]:
    preparation = {"anonymize": {"strategy": "none"}}
    return stages.manifest(model, [{"name": "papers", "uri": f"file://{folder}"}], output, preparation=preparation)


def report_of(model: Path, folder: Path, source: Path, **dataset: Any) -> dict[str, Any]:
    """The data report of a prepare in a folder of its own, of one dataset called desk."""
    data = [{"name": "desk", "uri": f"file://{source}", **dataset}]
    raw = stages.manifest(model, data, folder / "out", preparation={"maxLength": 200})
    end = stages.run_here(stages.orders(raw, Stage.PREPARE, folder / "workspace"), folder / "prepare")
    assert end.code == 0, end.log
    report: dict[str, Any] = json.loads((folder / "workspace/reports/data.json").read_text())
    return report


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    for n in range(12):
        (folder / f"{n}.md").write_text(f"# Wartung {n}\n\n{PROSE.format(n)}\n", encoding="utf-8")
        (folder / f"{n}.html").write_text(f"<!doctype html><h1>Betrieb {n}</h1><p>{PROSE.format(n + 50)}</p>", encoding="utf-8")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\n nothing follows")
    with zipfile.ZipFile(folder / "00.docx", "w") as archive:
        archive.writestr("word/other.xml", "<x/>")
    return folder


def test_a_folder_of_documents_is_prepared_and_a_broken_file_costs_itself_alone(
    papers: Path, causal_lm: Path, tmp_path: Path
) -> None:
    end = stages.prepare(a_job(causal_lm, papers, tmp_path / "out"), tmp_path / "work")
    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.prepared is not None
    read = end.result.prepared.examples
    assert read.dropped_by_reason == {
        "the pdf document is broken or needs more than its limits": 1,
        "the docx document is broken or needs more than its limits": 1,
    }
    assert read.kept == 24


def test_a_folder_of_which_nothing_is_usable_ends_with_its_first_reason(papers: Path, causal_lm: Path, tmp_path: Path) -> None:
    for path in papers.iterdir():
        if path.suffix not in (".pdf", ".docx"):
            path.unlink()
    end = stages.prepare(a_job(causal_lm, papers, tmp_path / "out"), tmp_path / "work")
    assert end.code == 65, end.log
    assert "Traceback" not in end.log
    assert end.result is not None
    assert end.result.error is not None
    assert "of 2 files none could be used; the first is 00.docx: the docx document is broken" in end.result.error.message


def test_an_export_that_does_not_mark_internal_comments_is_told_with_their_number_and_a_way_out(
    causal_lm: Path, tmp_path: Path
) -> None:
    head = "Issue key,Summary,Description,Reporter,Comment,Comment,Resolution text\n"
    rows = [
        f"IT-{n},Error {n},It shows error {n}.,cust,01/Jan/26;help;Look at page {n}.,02/Jan/26;cust;Thanks.,Replace part {n}.\n"
        for n in range(40)
    ]
    (tmp_path / "jira.csv").write_text(head + "".join(rows))
    columns = {"prompt": "Description", "completion": "Resolution text"}
    reports = [
        report_of(causal_lm, tmp_path / name, tmp_path / "jira.csv", **more)
        for name, more in (("guessed", {}), ("declared", {"fields": columns}))
    ]

    (told,) = [warning for warning in reports[0]["warnings"] if "internal" in warning]
    assert "all 40 of them that are not the customer's are learned as answers" in told
    assert "spec.datasets[0].fields.prompt" in told
    assert not [warning for warning in reports[1]["warnings"] if "internal" in warning]
    assert reports[1]["datasets"][0]["format"] == "prompt_completion"


def test_conversations_that_are_only_guessed_are_told_with_their_number_and_a_way_out(causal_lm: Path, tmp_path: Path) -> None:
    box = []
    for n in range(40):
        customer, subject = f"k{n}@kunde.example", f"Re: Auftrag {n}"
        turns = [(customer, "hilfe@firma.example", "Wo bleibt"), ("hilfe@firma.example", customer, "Morgen kommt")]
        turns += [("anna@firma.example", customer, "Heute kam")] if n % 2 else []
        for hour, (sender, recipient, text) in enumerate(turns):
            head = f"From: {sender}\nTo: {recipient}\nSubject: {subject}\nDate: Mon, 02 Nov 2026 1{hour}:00:00 +0100\n"
            box.append(
                f"From x Mon Nov  2 10:00:00 2026\n{head}Message-ID: <{n}.{hour}@firma.example>\n\n{text} Paket {n}?\n\n"
            )
    (tmp_path / "mails.mbox").write_text("".join(box), encoding="utf-8")
    inside = {"mail": {"insideDomains": ["firma.example"]}}
    reports = [
        report_of(causal_lm, tmp_path / name, tmp_path / "mails.mbox", **more)
        for name, more in (("guessed", {}), ("declared", inside))
    ]

    guessed, declared = ([one for one in report["warnings"] if "put together" in one] for report in reports)
    assert [report["datasets"][0]["rows"] for report in reports] == [40, 40]
    assert len(guessed) == 1
    assert guessed[0].startswith('Dataset "desk": 20 conversations of three or more people were put together by subject')
    assert guessed[0].endswith("with spec.datasets[0].mail.insideDomains.")
    assert not declared
