"""Strings that are made to be slow come to an end: work that grew with the square of a megabyte would outlast the run.

How long each takes, `benchmarks/anonymize.py --hostile` prints; here nothing is timed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from finetune_api.v1alpha1.anonymize import Anonymize
from finetune_trainer.data.anonymize import Anonymizer
from finetune_trainer.data.inputs.formats import Example

sys.path.insert(0, str(Path(__file__).parents[4] / "benchmarks"))
from anonymize_hostile import HOSTILE, detectors, hostile

MEGABYTE = 1_000_000
OF_A_MEGABYTE = (
    ("accounts", "accounts begun"),
    ("cards", "digits"),
    ("phones", "digits"),
    ("emails", "at signs"),
    ("emails", "addresses begun"),
    ("nets", "dots"),
    ("people", "capital words"),
    ("people", "angle brackets"),
    ("addresses", "capitals and hyphens"),
    ("organisations", "companies"),
    ("columns", "table headings"),
    ("births", "births"),
    ("second pass", "brackets nested"),
    ("second pass", "digits and blanks"),
)


@pytest.mark.parametrize(("detector", "what"), OF_A_MEGABYTE)
def test_a_megabyte_comes_to_an_end(detector: str, what: str) -> None:
    for _ in detectors()[detector](hostile(HOSTILE[what], MEGABYTE)):
        pass


@pytest.mark.parametrize("what", HOSTILE)
def test_whatever_is_repeated_goes_through_both_passes(what: str) -> None:
    anonymizer = Anonymizer(Anonymize(strategy="redact", max_residual_rate=1), {"ANONYMIZE_KEY": "sixteen characters"})
    text = hostile(HOSTILE[what], 60_000)
    result = anonymizer(Example(text=text), place="here").text
    assert result is not None
    assert len(result) <= len(text)
