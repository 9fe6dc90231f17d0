"""The report page in a real browser: it is readable, and it asks nobody for anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_runs import a_full_report
from report_browser import Browser
from report_runs import a_classification, a_run, a_sample, an_evaluation, training

from finetune_trainer.evidence.data_page import render_data_page
from finetune_trainer.evidence.page import render_page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WITHOUT = "FINETUNE_TEST_WITHOUT_BROWSER"
"""Environment variable: 1 says that a person knows that nobody looks at the page in a real browser."""

LOADING = '<img src="http://127.0.0.1:9/x.png" onerror="console.error(1)"><script>console.error("ran")</script>'


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None and os.environ.get(WITHOUT) == "1":
        pytest.skip(f"none of {', '.join(PROGRAMS)} is on PATH, and {WITHOUT}=1 says to go on without")
    if program is None:
        pytest.fail(f"none of {', '.join(PROGRAMS)} is on PATH: install one, or set {WITHOUT}=1 to leave these tests out")
    with Browser(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "report.html"


def test_a_page_of_hostile_texts_complains_of_nothing_asks_for_nothing_and_shows_them(browser: Browser, file: Path) -> None:
    samples = [a_sample(LOADING, LOADING, LOADING, LOADING) for _ in range(8)]
    run = a_run(
        job={"name": LOADING, "namespace": "", "task": "chat"},
        evaluation=an_evaluation(samples=samples),
        training=training(steps=1000, validate_every=100),
    )
    file.write_text(render_page(run), encoding="utf-8")

    visit = browser.visit(file)

    assert visit.complaints == []
    assert visit.requests == []
    assert browser.evaluate("document.querySelector('h1').innerText") == LOADING
    text = browser.evaluate("document.body.innerText")
    for said in ("Better than its base", "The job set no gates", "Personal data was not looked for", "1.2B parameters, LoRA"):
        assert said in text


def test_the_browser_does_notice_what_a_page_loads_and_runs(browser: Browser, file: Path) -> None:
    html = render_page(a_run())
    file.write_text(html.replace("</main>", f"{LOADING}</main>"), encoding="utf-8")

    forbidden = browser.visit(file)

    assert any("Content Security Policy" in one for one in forbidden.complaints), "the policy stops both"
    file.write_text(f"<!doctype html><title>no policy</title>{LOADING}", encoding="utf-8")
    assert "http://127.0.0.1:9/x.png" in browser.visit(file).requests


@pytest.mark.parametrize("width", [360, 390, 768, 1400])
def test_no_width_of_a_screen_makes_the_page_scroll_sideways(browser: Browser, file: Path, width: int) -> None:
    long = "Donaudampfschifffahrtsgesellschaft" * 8
    table = [[20 if t == c else 1 for c in range(15)] for t in range(15)]
    run = a_classification(table, [f"{long} {i}" for i in range(15)]) | {
        "plan": [{"field": long, "value": long, "reason": long}],
        "provenance": {
            "base": {"uri": f"hf://{long}", "digest": long, "license": long},
            "datasets": [{"name": long, "uri": long, "files": 1, "bytes": 9, "digest": long, "license": long}],
            "software": {long: long},
            "manifest": {"spec": {long: long}},
        },
    }
    file.write_text(render_page(run), encoding="utf-8")
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)

    browser.visit(file)

    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    browser.call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_data_report_alone_fits_a_telephone_and_a_desk_and_asks_for_nothing(
    browser: Browser, file: Path, width: int
) -> None:
    job = {"name": LOADING, "task": "chat"}
    file.write_text(render_data_page({"job": job, "model": {}, "data": a_full_report()}), encoding="utf-8")
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)

    visit = browser.visit(file)

    assert (visit.complaints, visit.requests) == ([], [])
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    pieces = "[...document.querySelectorAll('.river li > svg')].map(one => one.getBoundingClientRect().height)"
    assert min(browser.evaluate(pieces)) >= 30, "the river is drawn behind every line"
    browser.call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(246, 247, 249)"), ("dark", "rgb(17, 20, 23)")])
def test_the_page_follows_the_reader_from_light_to_dark(browser: Browser, file: Path, scheme: str, ground: str) -> None:
    file.write_text(render_page(a_run()), encoding="utf-8")
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    browser.visit(file)

    assert browser.evaluate("getComputedStyle(document.documentElement).backgroundColor") == ground


def test_on_paper_folded_samples_are_printed_too(browser: Browser, file: Path) -> None:
    samples = [a_sample(f"question {i}", "A", "B", "C") for i in range(8)]
    file.write_text(render_page(a_run(evaluation=an_evaluation(samples=samples))), encoding="utf-8")
    seen = "[...document.querySelectorAll('.prompt .text')].at(-1).checkVisibility({contentVisibilityAuto: true})"

    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.visit(file)
    on_paper = browser.evaluate(seen)
    browser.call("Emulation.setEmulatedMedia", media="screen")
    on_screen = browser.evaluate(seen)

    assert (on_paper, on_screen) == (True, False)
