"""Where a model came from, for an auditor: what is known, and what nobody stated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from finetune_trainer.evidence.measured import UNSEEN
from finetune_trainer.evidence.page import render_page
from finetune_trainer.evidence.page_origin import origin, repeats

HEX = "ab" * 32
KNOWN: dict[str, Any] = {
    "base": {"uri": "hf://org/base", "revision": "c0ffee", "digest": f"sha256:{HEX}", "license": "apache-2.0"},
    "datasets": [
        {"name": "tickets", "uri": "s3://a/b", "files": 2, "bytes": 4000, "digest": f"sha256:{HEX}", "license": None},
    ],
    "tuned": {"format": "adapter", "digest": f"sha256:{HEX}"},
    "seeds": {"split": 17, "training": 3},
    "software": {"python": "3.11.7", "torch": "2.15.0"},
    "manifest": {"spec": {"datasets": [{"uri": "s3://a/b", "fields": {"prompt": "Größe <b>"}}]}},
}


def test_everything_that_is_known_stands_on_the_page_and_nothing_of_it_is_markup() -> None:
    page = render_page({"job": {"name": "a", "task": "chat"}, "provenance": KNOWN})
    assert 'id="origin"' in page
    assert page.count(f"sha256:{HEX}") == 3
    for words in ("c0ffee", "apache-2.0", "split 17, training 3", "torch 2.15.0", "2 files, 4,000 bytes", "Größe &lt;b&gt;"):
        assert words in page
    assert "is not stated for the dataset “tickets”" in page


def test_without_a_record_there_is_no_section() -> None:
    assert origin({}) is None
    assert 'id="origin"' not in render_page({"job": {"name": "a", "task": "chat"}})


def test_a_forgotten_key_is_no_promise_of_the_same_numbers() -> None:
    assert "bit for bit" in repeats(KNOWN)
    assert "forgotten" in repeats({**KNOWN, "keyForgotten": True})


def test_the_measured_figures_are_those_of_the_benchmarks() -> None:
    """They stand twice, where people look for them; this holds the two together."""
    text = (Path(__file__).parents[3] / "docs/benchmarks.md").read_text(encoding="utf-8")
    row = re.search(r"^\| 40 further hard sentences.*$", text, re.MULTILINE)
    names = re.search(r"^\| 40 further texts[^|]*\| (\d+) \|[^|]*\| \*\*(\d+) ", text, re.MULTILINE)
    assert row is not None
    assert names is not None
    (kind, *people), *others = UNSEEN
    assert (kind, people) == ("PERSON", [int(names[2]), int(names[1])])
    assert [f"{found} of {items}" for _, found, items in others] == [cell.strip() for cell in row[0].split("|")[3:-1]]
