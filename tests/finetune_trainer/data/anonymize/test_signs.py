"""What is not looked for, since its signs are missing, would not have been found: gates cost nothing but time."""

from __future__ import annotations

import importlib
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from finetune_trainer.data.anonymize.cues import CUES, introductions
from finetune_trainer.data.anonymize.phones import phones
from finetune_trainer.data.anonymize.signs import Signs, stretches
from real_texts import paragraphs

REGIONS = ("DE", "AT", "CH", "US", "GB")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Letters and tickets of the labelled corpus, alone and twenty at a time, and real documentation."""
    sys.path.insert(0, str(Path(__file__).parents[4] / "benchmarks"))
    try:
        documents = [one.text for one in importlib.import_module("anonymize_corpus").corpus(800)]
    finally:
        sys.path.pop(0)
    real = paragraphs(2_000)
    return [*documents, *("\n".join(documents[i : i + 20]) for i in range(0, 800, 20)), *real, "\n\n".join(real)]


def test_every_cue_that_stands_anywhere_in_a_text_is_met_by_its_first_words(texts: list[str]) -> None:
    found = 0
    for text in texts:
        met = {(id(cue), match.span(1)) for cue, match in introductions(Signs(text))}
        for cue in CUES:
            for match in cue.pattern.finditer(text):
                if cue.before is None or cue.before.search(text, 0, match.start()):
                    found += 1
                    assert (id(cue), match.span(1)) in met, match.group()
    assert found > 2_000


def test_a_cue_is_met_where_small_letters_change_the_length_of_a_text() -> None:
    assert [match[1] for _, match in introductions(Signs("İ, Name: Anna Schmidt"))] == ["Anna Schmidt"]


@pytest.mark.parametrize("gap", [0, 1, 5, 60])
def test_stretches_hold_every_sign_and_do_not_overlap(gap: int) -> None:
    text = ("ab " + "x " * gap + "12 cd ") * 50
    signs = [match.span() for match in re.finditer("12", text)]
    parts = list(stretches(text, iter(signs), before=6, after=9))
    assert all(any(begin <= first and behind <= end for begin, end in parts) for first, behind in signs)
    assert all(before[1] < after[0] for before, after in pairwise(parts))
    assert all(end == len(text) or text[end].isspace() for _, end in parts)
    assert (len(parts) == 1) == (gap <= 1)


@pytest.mark.parametrize(
    "text",
    [
        "slope=3.09078914170, intercept=1.75684970486",
        "=NORM.S.INV(0.908789) returns 1.333334673",
        "returns -0.0652940278579471+0.0752249603027732i",
        "call f(21.0260698175)",
    ],
)
def test_decimals_are_no_telephones(text: str) -> None:
    assert list(phones(text, REGIONS)) == []


@pytest.mark.parametrize(
    "text", ["whois: +1.4155550123", "ruf 030.1234567 an", "Karten 4111 1111 1111 1112, Tel. 0171 2345678"]
)
def test_telephones_with_dots_and_behind_other_digits_are_found(text: str) -> None:
    assert len(list(phones(text, REGIONS))) == 1
