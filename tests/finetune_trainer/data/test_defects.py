"""An error that nobody foresaw says where it happened and at which rows, and nothing that it read there."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from finetune_api.errors import DataError, FinetuneError
from finetune_trainer.data.defects import told_without_words
from finetune_trainer.data.inputs.read import read_rows
from finetune_trainer.sources import DataFile

MAIL = "From a Mon Nov  2 10:00:00 2026\nFrom: anna@kunde.example\nSubject: {0}\nMessage-ID: <{0}>\n\nIs it?\n\n"


def test_kind_and_places_are_told_and_not_what_a_parser_quotes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(FinetuneError) as told, told_without_words(lambda: "tickets.csv line 7 to 9"):
        float("Anna Schmidt")
    assert told.value.message.startswith("ValueError in test_defects.py line ")
    assert told.value.message.endswith(", at tickets.csv line 7 to 9")
    assert told.value.__cause__ is None
    assert "test_kind_and_places_are_told" in caplog.text
    assert 'Anna Schmidt"' in caplog.text, "as the program has it"
    assert "'Anna Schmidt'" not in caplog.text, "as the error quotes it"


@pytest.mark.parametrize("error", [OSError(28, "No space left"), MemoryError(), RuntimeError("out of memory"), DataError("x")])
def test_what_is_answered_by_what_it_says_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as told, told_without_words(lambda: "anywhere"):
        raise error
    assert told.value is error


def test_whoever_reads_a_file_is_told_behind_which_row_it_was(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("".join(map(MAIL.format, ("one", "two"))) + "no mail at all\n")
    broken = DataFile(tmp_path / "box", "box", inside=(5,))  # type: ignore[arg-type]
    with pytest.raises(FinetuneError, match=r"^TypeError in threads.py line \d+, at box behind line 0"):
        list(read_rows(broken))
