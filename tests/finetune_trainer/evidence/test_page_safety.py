"""What must never be on the report page: nothing runs, nothing is loaded, no secret is shown."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import a_run, data
from report_shapes import SHAPES, Page

from finetune_trainer.evidence.page import render_page
from finetune_trainer.evidence.page_words import printable


@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_holds_no_script_no_handler_and_no_address_but_its_own(shape: str) -> None:
    page = Page(render_page(SHAPES[shape]))

    names = {name for name, _ in page.elements}
    assert not names & {"script", "iframe", "object", "embed", "img", "image", "video", "audio", "form", "input", "base", "use"}
    for name, attributes in page.elements:
        assert not [one for one in attributes if one.startswith("on")], (name, attributes)
        for loading in ("src", "srcset", "href", "xlink:href", "action", "data", "poster", "background", "formaction"):
            value = attributes.get(loading)
            assert value is None or value.startswith("#") or (name, value) == ("link", "data:,"), (name, attributes)
        assert "url(" not in attributes.get("style", "")
    assert "@import" not in page.style
    assert "url(" not in page.style
    policy = next(one["content"] for name, one in page.elements if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "script-src" not in policy


@pytest.mark.parametrize("shape", SHAPES)
def test_every_element_is_closed_and_every_link_leads_somewhere(shape: str) -> None:
    page = Page(render_page(SHAPES[shape]))

    assert page.open == []
    places = {one["id"] for _, one in page.elements if "id" in one}
    assert len(places) == sum("id" in one for _, one in page.elements), "an id stands twice"
    for name, attributes in page.elements:
        if name == "a":
            assert attributes["href"].removeprefix("#") in places
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in places


@pytest.mark.parametrize("shape", SHAPES)
def test_headings_begin_with_one_h1_and_skip_no_level(shape: str) -> None:
    levels = [int(name[1]) for name, _ in Page(render_page(SHAPES[shape])).elements if re.fullmatch("h[1-6]", name)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("shape", ["chat", "classes", "hostile"])
def test_every_table_has_a_caption_and_every_chart_its_words(shape: str) -> None:
    page = Page(render_page(SHAPES[shape]))

    names = [name for name, _ in page.elements]
    assert names.count("table") == names.count("caption") > 3
    assert all("scope" in attributes for name, attributes in page.elements if name == "th")
    for name, attributes in page.elements:
        if name == "svg":
            assert attributes.get("aria-hidden") == "true" or len(attributes["aria-label"]) > 20


def test_hostile_texts_are_read_and_not_obeyed() -> None:
    html = render_page(SHAPES["hostile"])

    assert "<script" not in html
    assert "<img" not in html
    assert "{{ 7*7 }}" in html, "a template in a text is a text"
    text = Page(html).text
    assert text.count("<script>alert(1)</script>") > 20
    assert text.count("[U+202E]evil") > 20


@pytest.mark.parametrize("shape", ["hostile", "hostile classes"])
def test_no_control_character_no_turning_mark_and_no_half_character_reaches_the_file(shape: str) -> None:
    html = render_page(SHAPES[shape])

    assert not re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", html)
    assert "\u2400" in html, "a zero byte is shown as its picture"
    html.encode("utf-8")


@given(
    st.recursive(
        st.text() | st.floats() | st.none() | st.integers(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)
    )
)
def test_whatever_is_in_a_report_can_be_written_as_utf8_and_shown(value: Any) -> None:
    def texts(one: Any) -> list[str]:
        if isinstance(one, dict):
            return [text for pair in one.items() for part in pair for text in texts(part)]
        return (
            [text for part in one for text in texts(part)] if isinstance(one, list) else [one] if isinstance(one, str) else []
        )

    for text in texts(printable(value)):
        text.encode("utf-8")
        assert all(character >= " " or character in "\n\t" for character in text)


def test_line_ends_and_letters_of_every_language_stay_as_they_are() -> None:
    assert printable("Grüße\r\nשלום\tمرحبا 你好 👩‍👧\r!") == "Grüße\nשלום\tمرحبا 你好 👩‍👧\n!"


def test_credentials_in_an_address_do_not_reach_the_page() -> None:
    report = data()
    report["datasets"][0]["uri"] = "https://alice:s3cret@corp.example/tickets.jsonl?token=s3cret"

    html = render_page(a_run(data=report, model={"uri": "https://bob:s3cret@corp.example/model.gguf?sig=s3cret"}))

    assert "s3cret" not in html
    assert "https://corp.example/tickets.jsonl" in html
