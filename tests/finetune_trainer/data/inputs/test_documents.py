"""Documents become chunks under their headings; what is broken or hostile costs its own file."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from finetune_trainer.data.inputs.read import BrokenRow, Row, read_rows
from finetune_trainer.sources import DataFile
from finetune_trainer.sources.contents import data_files
from pdf import a_pdf

MARKDOWN = "# Handbuch\n\nEinleitung.\n\n## Wartung\n\nFilter *monatlich* prüfen.\n\n```\n# kein Titel\n```\n"
HTML = (
    "<!DOCTYPE html><html><head><title>x</title><script>evil()</script></head><body><h1>Manual</h1>"
    "<p>First&nbsp;words.</p><h2>Care</h2><ul><li>Check it.</li></ul></body></html>"
)


def read(path: Path) -> list[Row | BrokenRow]:
    return list(read_rows(DataFile(path, path.name)))


def texts(path: Path) -> list[str]:
    return [row.value["text"] for row in read(path) if isinstance(row, Row)]


def a_docx(path: Path, body: str, *, prolog: str = "") -> Path:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", f'{prolog}<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>')
    return path


def a_paragraph(text: str, style: str = "") -> str:
    marked = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{marked}<w:r><w:t>{text}</w:t></w:r></w:p>"


def test_markdown_keeps_its_headings_and_code_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(MARKDOWN, encoding="utf-8")
    assert texts(tmp_path / "a.md") == [
        "Handbuch\n\nEinleitung.",
        "Handbuch > Wartung\n\nFilter *monatlich* prüfen.\n\n```\n# kein Titel\n```",
    ]


def test_html_is_known_by_its_content_and_scripts_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HTML, encoding="utf-8")
    assert texts(tmp_path / "a.csv") == ["Manual\n\nFirst words.", "Manual > Care\n\nCheck it."]


def test_word_and_pdf_are_known_by_their_content(tmp_path: Path) -> None:
    body = (
        a_paragraph("Kündigung", "Heading1")
        + a_paragraph("Drei Monate.")
        + a_paragraph("Form", "berschrift2")
        + a_paragraph("x")
    )
    docx = a_docx(tmp_path / "a.bin", body)
    assert texts(docx) == ["Kündigung\n\nDrei Monate.", "Kündigung > Form\n\nx"]
    assert texts(a_pdf(tmp_path / "b.bin", "Hello page")) == ["Hello page"]


def test_long_sections_are_cut_at_paragraphs_and_each_chunk_has_the_headings(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# T\n\n" + "\n\n".join(["wort " * 300] * 6) + "\n\n" + "x" * 9000, encoding="utf-8")
    chunks = texts(tmp_path / "a.md")
    assert all(chunk.startswith("T\n\n") and len(chunk) <= 4020 for chunk in chunks)
    assert "".join(chunks).count("wort") == 1800
    assert "".join(chunks).count("x") == 9000


def test_all_chunks_of_a_document_are_of_one_group(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(MARKDOWN, encoding="utf-8")
    assert len({row.group for row in read(tmp_path / "a.md") if isinstance(row, Row)}) == 1


@pytest.mark.parametrize("name", ["rows.txt", "rows.md"])
def test_rows_under_the_name_of_a_text_stay_rows(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"text": "a"}\n{"text": "b"}\n', encoding="utf-8")
    assert texts(tmp_path / name) == ["a", "b"]


def test_a_table_named_txt_stays_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text;label\nHallo;gut\n", encoding="utf-8")
    assert [row.value for row in read(tmp_path / "a.txt") if isinstance(row, Row)] == [{"text": "Hallo", "label": "gut"}]


def test_broken_and_hostile_documents_are_left_out_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\n\0\xff broken")
    (tmp_path / "b.docx").write_bytes(b"PK\x03\x04 no archive")
    entities = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
    )
    a_docx(tmp_path / "c.docx", a_paragraph("&m;"), prolog=entities + "]>")
    a_docx(tmp_path / "d.docx", " " * (200 * 2**20))
    for path in sorted(tmp_path.iterdir()):
        (row,) = read(path)
        assert isinstance(row, BrokenRow), path
        assert row.drop, path


def test_a_pdf_whose_pages_go_in_circles_ends(tmp_path: Path) -> None:
    path = a_pdf(tmp_path / "a.pdf", "Hello")
    path.write_bytes(path.read_bytes().replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]"))
    (row,) = read(path)
    assert isinstance(row, BrokenRow)


def test_a_compressed_file_that_expands_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(json.dumps({"text": "a"}).encode() + b"\n")
        for _ in range(300):
            stream.write(b" " * 2**20)
    found = read(path)
    assert isinstance(found[-1], BrokenRow)
    assert "expands to more than 200 times" in found[-1].reason


def test_documents_of_a_directory_are_data_where_no_table_is() -> None:
    assert data_files(["a.md", "b.pdf", "README.md", "LICENSE.txt", "x.png"]) == ["a.md", "b.pdf"]
    assert data_files(["a.md", "rows.jsonl"]) == ["rows.jsonl"]
