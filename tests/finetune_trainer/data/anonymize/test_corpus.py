"""The bounds that docs/benchmarks.md states are kept on the labelled corpus, and half of it is none that the detectors know."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune_trainer.data.anonymize.known_names import known_given, known_surnames
from finetune_trainer.data.anonymize.words import towns

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
DOCUMENTS = 1_200
CHECKED = ("IBAN", "CREDIT_CARD", "TAX_ID", "SOCIAL_SECURITY", "EMAIL")
"""Kinds whose form or check digits tell."""
LEAST_RECALL = dict.fromkeys(CHECKED, 0.99) | {"PHONE": 0.97}
LEAST_PRECISION = 0.95


@pytest.fixture(scope="module")
def modules() -> Any:
    """The corpus and the measure of the benchmark."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("anonymize_corpus"), importlib.import_module("anonymize")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize("held_out", [False, True])
def test_the_bounds_are_kept(modules: Any, held_out: bool) -> None:
    corpus, benchmark = modules
    documents = [one for one in corpus.corpus(DOCUMENTS) if one.held_out is held_out]
    assert len(documents) >= 600
    found = benchmark.score(documents, benchmark.ours())
    assert {kind for kind, _ in found} >= {*CHECKED, "PHONE", "ADDRESS", "PERSON", "DATE_OF_BIRTH"}
    for (kind, language), (hit, items, right, findings) in found.items():
        assert items >= 25, (kind, language)
        assert hit / items >= LEAST_RECALL.get(kind, 0.95), (kind, language, hit, items)
        assert right / findings >= LEAST_PRECISION, (kind, language, right, findings)


def test_what_is_held_out_is_in_no_list(modules: Any) -> None:
    corpus, _ = modules
    for given, families in corpus.HELD_OUT.values():
        assert not [name for name in given if name in known_given()]
        assert not [name for name in families if name in known_surnames()]
    places = [place.split()[1] for place in corpus.TOWNS["de held out"]]
    assert len([place for place in places if place not in towns()]) >= len(places) - 2
