"""The data report on a page: what was found, changed and left out, and why, for somebody who trains nothing."""

from __future__ import annotations

import re
from typing import Any

from data_runs import a_full_report
from report_runs import data
from report_shapes import HOSTILE, SHAPES, Page

from finetune_trainer.evidence.data_page import render_data_page
from finetune_trainer.evidence.page_flow import fates


def a_page(report: dict[str, Any], *, model: str = "hf://corp/small-1b") -> Page:
    job = {"name": "support", "namespace": "ml", "task": "chat"}
    return Page(render_data_page({"job": job, "model": {"uri": model}, "created": "2026-11-30 09:14 UTC", "data": report}))


# ---------------------------------------------------------------- what became of the rows


def test_rows_leave_in_the_order_in_which_they_are_looked_at_and_add_up() -> None:
    found = fates(a_full_report())

    assert [(fate.kind, fate.words, fate.count, fate.share.replace("\u202f", " ")) for fate in found[:-1]] == [
        ("read", "rows read", "1,000", ""),
        ("left", "another language than declared", "25", "2.5 %"),
        ("left", "longer than the maximum length", "60", "6.0 %"),
        ("left", "copy of another example", "40", "4.0 %"),
        ("left", "also stands in held-out data, so it must not be trained on", "5", "0.5 %"),
        ("left", "nearly the same as another example", "70", "7.0 %"),
        ("kept", "examples kept", "800", "80.0 %"),
    ]
    assert found[0].parts == (("tickets", "700 rows"), ("mails", "300 rows"))
    assert found[-1].parts == (("training", "640 examples"), ("validation", "80 examples"), ("test", "80 examples"))


def test_the_river_is_as_wide_as_what_is_left() -> None:
    pictures = {fate.words: str(fate.picture) for fate in fates(a_full_report())}

    stream = {words: re.findall(r'class="stream" d="M([\d.]+) 0H([\d.]+)', picture) for words, picture in pictures.items()}
    assert stream["rows read"] == [("0.0", "700.0")]
    assert stream["longer than the maximum length"] == [("0.0", "640.5")]  # 700 - 25 - 60 rows of 1,000
    assert stream["examples kept"] == [("0.0", "560.0")]
    arm = re.search(r'class="arm" d="M([\d.]+) 0.*C[\d.]+ 40 ([\d.]+) 60', pictures["longer than the maximum length"])
    assert arm is not None
    assert arm.groups() == ("640.5", "682.5"), "what leaves begins where the stream ends, and is as wide as it is many"


def test_one_row_of_a_million_is_still_seen() -> None:
    report = data()
    report["summary"]["examples"] = {"read": 1_000_000, "kept": 999_999}
    report["datasets"][0] |= {"rows": 1_000_000, "dropped": {"duplicate": 1}}

    (lost,) = [fate for fate in fates(report) if fate.kind == "left"]

    begin, end = (float(number) for number in re.findall(r'class="arm" d="M([\d.]+).* 60 ([\d.]+) 0Z', str(lost.picture))[0])
    assert end - begin >= 4
    assert lost.share == "< 0.1\u202f%"


def test_what_would_have_betrayed_an_exam_is_told_with_the_exam() -> None:
    text = a_page(a_full_report()).text

    assert "Copies and near-duplicates were looked for, from 75% of shared pairs of words on." in text
    assert "What would have betrayed the exam" in text
    assert "mails exam-2026 also stands in held-out data, so it must not be trained on 4" in text
    assert "mails general also stands in held-out data, so it must not be trained on 1" in text
    assert "betrayed" not in a_page(a_full_report(contamination=[])).text


# ---------------------------------------------------------------- personal data


def test_personal_data_is_told_with_kinds_proof_and_quality() -> None:
    text = a_page(a_full_report()).text

    assert "Personal data: replaced, and nothing found left" in text
    assert "name of a person 412" in text
    assert "565 items in 390 examples were replaced." in text
    assert "the same item got the same invention everywhere" in text
    assert "A second pass with other means looked at 800 examples afterwards and found nothing left." in text
    assert "Measured on 600 labelled documents" in text
    assert "name of a person en 640 96.4 % 97.1 %" in text


def test_what_a_second_look_still_found_is_not_called_good() -> None:
    report = a_full_report()
    report["personal"]["residual"] = {"rate": 0.0025, "items": 2, "examples": 800, "kinds": {"PHONE": 2}, "allowed": 0.01}

    text = a_page(report).text

    assert "replaced, but not all" in text
    assert "found 2 items left (telephone number: 2), a rate of 0.0025; at most 0.01 was allowed." in text


# ---------------------------------------------------------------- rules, weights, languages


def test_rules_come_with_numbers_reasons_and_covered_examples() -> None:
    text = a_page(a_full_report()).text

    assert "HTML turned into plain text Tags are removed" in text
    assert "mails, a.mbox line 7 Before <p>Xxxxx xxx</p> After Xxxxx xxx" in text
    assert "mails, b.mbox line 3 Before Xxxxxxx xx xxxx After left out" in text


def test_weights_languages_and_both_ends_are_on_the_page() -> None:
    text = a_page(a_full_report()).text

    assert "They count as much as 512 equally weighted examples (of 640)." in text
    assert "tickets, t.jsonl line 12 Dear [PERSON], → Yes. 4 97 tokens" in text
    assert "mails, a.mbox line 80 Xxxx → Xx. 0.5 31 tokens" in text
    assert "German 640 80.0 %" in text


def test_what_a_weight_is_made_of_is_on_the_page() -> None:
    text = a_page(a_full_report()).text

    assert "rules The product of all rules that match. 1.25 1 2" in text
    assert "relevance Likeness to what matters, by counted letter sequences. 1.1 0.52 2" in text
    assert "Relevance was measured by 40 reference rows." in text
    assert "Weights were kept within bounds, at least 0.5 and at most 4: 3 training examples were changed by it." in text
    assert "priority is one of urgent, high 2 250" in text


def test_without_a_model_lengths_are_characters() -> None:
    page = a_page(data() | {"unit": "characters"}, model="none")

    assert "prepared without a model: lengths are characters" in page.text
    assert "Half of the training examples have at most 97 characters" in page.text
    assert "Maximum length" not in page.text


def test_the_main_facts_stand_above_everything() -> None:
    text = re.sub(r"\s+", " ", a_page(a_full_report()).text)
    facts = text[text.index("Rows read") : text.index("What became of the data")].strip()

    assert facts == (
        "Rows read 1,000 from 2 datasets Examples kept 800 80.0 % Personal items replaced 565 3 kinds"
        " Found left 0 in a second look Language German 80.0 % of 3"
    )


def test_words_that_only_engineers_know_are_explained() -> None:
    text = a_page(a_full_report()).text
    for word in ("Row", "Example", "Group", "Token", "Weight", "Effective examples", "Digest"):
        assert re.search(rf"What the words mean.* {word} ", text), word


def test_hostile_texts_can_do_nothing_but_be_read() -> None:
    page = a_page(SHAPES["hostile"]["data"], model="file://" + HOSTILE)

    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img", "iframe", "object", "form"})
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert page.open == []


def test_a_language_is_named_and_not_abbreviated_wherever_it_stands() -> None:
    page = render_data_page({"job": {"name": "a", "task": "chat"}, "data": data() | {"languages": {"de": 9, "en": 1}}})
    tiles = page[: page.index("What became of the data")]
    assert ">German<" in tiles
    assert ">de<" not in tiles
