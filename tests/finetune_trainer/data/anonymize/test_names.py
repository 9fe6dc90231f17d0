"""Names that nothing introduces: what docs/benchmarks.md states of the held-out texts is kept, and nouns are no people."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune_trainer.data.anonymize.detect import FirstPass

FIND = FirstPass(["PERSON"], ("de", "en"), {})
LEAST_RECALL, LEAST_PRECISION = 0.8, 0.95


def found(text: str) -> set[str]:
    return {text[one.begin : one.end] for one in FIND(text)}


@pytest.fixture(scope="module")
def texts() -> Any:
    """The held-out texts of the benchmark."""
    sys.path.insert(0, str(Path(__file__).parents[4] / "benchmarks"))
    try:
        yield importlib.import_module("anonymize_names")
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize("part", ["FIRST", "SECOND"])
@pytest.mark.parametrize("language", ["de", "en"])
def test_most_names_without_a_cue_are_found_and_nothing_else(texts: Any, part: str, language: str) -> None:
    hits = items = right = findings = 0
    for text, names in map(texts.marked, getattr(texts, part)[language]):
        spans = [(one.begin, one.end) for one in FIND(text)]
        covered = {place for begin, end in spans for place in range(begin, end)}
        items += len(names)
        hits += sum(all(place in covered for place in range(*name) if text[place].isalnum()) for name in names)
        findings += len(spans)
        right += sum(any(begin < end_ and begin_ < end for begin_, end_ in names) for begin, end in spans)
    assert items >= 35
    assert hits / items >= LEAST_RECALL
    assert right / findings >= LEAST_PRECISION


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ohne Sabine läuft hier nichts.", {"Sabine"}),
        ("Das kam von Aylin Demirtaş.", {"Aylin Demirtaş"}),
        ("Gestern war J. R. Brubaker hier, und mit H. Müller sprach keiner.", {"J. R. Brubaker", "H. Müller"}),
        ("Anwesend: Knut Bärwald, Xaveria Quandt und Elif Şahin", {"Knut Bärwald", "Xaveria Quandt", "Elif Şahin"}),
        ("Vertretung macht Öztürk, Durchwahl 22.", {"Öztürk"}),
        ("Bei Marlies und Heribert Zumbusch brannte Licht.", {"Marlies", "Heribert Zumbusch"}),
        ("Patient: Hanna Zschiesche\nH. Zschiesche schläft.", {"Hanna Zschiesche", "H. Zschiesche"}),
        ("Frau Ilka Trautwein-Bock kam, Bock ging.", {"Ilka Trautwein-Bock", "Bock"}),
        ("Das Gutachten von Pfannenschmidt fehlt.", {"Pfannenschmidt"}),
        ("The flat is let to Wasim Al-Harbi.", {"Wasim Al-Harbi"}),
        ("deren Neffe Quintus und the trainee Hunter Blakemore", {"Quintus", "Hunter Blakemore"}),
        ("Mit freundlichem Gruß\ni. A. Thyra Wrobel", {"Thyra Wrobel"}),
    ],
)
def test_who_is_named_is_found(text: str, names: set[str]) -> None:
    assert found(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "Choose Edit Points, then Page Style and Insert Object.",
        "Am Rand der Linde liegt das Lager; der Berg, die Lage und die Tage sind lang.",
        "Die Gregorian calendar rules, the Fisher test and the Taylor series.",
        "Julia, Ruby und Pascal sind Sprachen, Verona und Florence sind Städte.",
        "function name: String value, name: Function, namens EmployeeData, a signed PDF export",
        "z. B. Haus, B. A. Abschluss, the U. S. Army, Abschnitt A. Einleitung",
        "Das Biedermeier und die Fraunhofer Gesellschaft, St. Martin in der Stadt",
        "see /home/anna/file, anna.py, $Martin and maria_db",
        "Der Zeugenstand, die Kundenakte und das Mietverhältnis enden im Mai.",
        "RAS, SVG, TIFF, XPM. Open Case, Price List, Star Office, Grand Central Station",
    ],
)
def test_nouns_places_and_programs_are_nobody(text: str) -> None:
    assert found(text) == set()
