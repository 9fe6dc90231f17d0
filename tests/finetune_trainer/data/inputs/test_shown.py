"""What messages show of the names of classes: enough to find them, and nobody's address."""

from __future__ import annotations

import pytest

from finetune_trainer.data.inputs.shown import value_shown


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("billing", '"billing"'),
        ("Rückgabe & Umtausch", '"Rückgabe & Umtausch"'),
        ("x" * 10_000_000, f'"{"x" * 40}…"'),
        ("bill\x1b[2Jing", '"bill\\x1b[2Jing"'),
        ("anna.schmidt@firma.example", "that looks like somebody's data and is not shown here"),
        ("+49 30 901820", "that looks like somebody's data and is not shown here"),
        ("Please call Mrs Schmidt back before noon tomorrow", "that looks like somebody's data and is not shown here"),
    ],
    ids=["word", "words", "endless", "escapes", "address", "number", "sentence"],
)
def test_a_label_is_shown_unless_it_seems_to_be_no_name_of_a_class(label: str, shown: str) -> None:
    assert value_shown(label) == shown
