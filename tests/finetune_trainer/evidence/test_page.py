"""The report page: what its three readers find on it, and what must never be on it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import (
    a_classification,
    a_run,
    a_sample,
    a_set,
    an_evaluation,
    data,
    training,
)

from finetune_api.v1alpha1.evaluation import Metric
from finetune_trainer.evidence import page as page_module
from finetune_trainer.evidence.page import render_page
from finetune_trainer.evidence.page_scores import EXPLAINED, Outcome, class_tables, outcome, score_tables
from finetune_trainer.evidence.page_words import (
    common_decimals,
    duration,
    fixed,
    model_name,
    number,
    printable,
    share,
    signed,
    source,
)

HOSTILE = (
    "<script>alert(1)</script></textarea></style></title>--><img src=http://evil.example/x onerror=alert(2)>"
    "\"' onmouseover='alert(3)' style=background:url(http://evil.example) {{ 7*7 }} \x00\x1b[31m \u202eevil \ud800"
)


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.parts: list[str] = []
        self.open: list[str] = []
        self.style = ""
        self.feed(html)
        self.close()
        self.text = re.sub(r"\s+", " ", " ".join(self.parts).replace("\u202f", " "))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "link", "br", "img", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag == "path":  # with a title inside
            return
        assert self.open, f"</{tag}> closes nothing"
        opened = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.parts.append(data)

    def row(self, name: str) -> str:
        """What stands beside a metric, a gate or a reason: the text from its name on."""
        assert name in self.text, name
        return self.text[self.text.index(name) :][:400]


def pages() -> dict[str, dict[str, Any]]:
    """Runs of every shape that a page must take."""
    without_base = an_evaluation(verdict=None, samples=[a_sample("Q", "A", None, "B")])
    for one in (without_base["summary"], without_base["sets"][0]):
        one |= {"base": {}, "delta": {}}
    hostile_sets = [
        a_set({"loss": (2.0, 2.0, -0.1, 0.1), HOSTILE: (1.0, 2.0, 0.5, 1.5)}),
        a_set({"loss": (1, 2, 3, 4)}, name=HOSTILE),
    ]
    hostile_data = data() | {
        "anonymization": HOSTILE,
        "warnings": [HOSTILE],
        "cleaned": {HOSTILE: 1},
        "labels": {HOSTILE: {"train": 1}},
    }
    hostile_data["datasets"] = [
        {"name": HOSTILE, "uri": HOSTILE, "revision": HOSTILE, "files": 1, "rows": 1, "format": HOSTILE, "because": HOSTILE}
        | {"dropped": {HOSTILE: 1}}
    ]
    hostile_data["shape_of_an_example"] = [{"token": HOSTILE, "id": 1, "supervised": True}]
    hostile_data["template"] = {"digest": HOSTILE}
    return {
        "chat": a_run(),
        "nothing": {},
        "no reports": a_run(evaluation={}, data={}, training={"journal": [], "validations": []}, plan=[]),
        "no data report": a_run(data={}),
        "no training report": a_run(training={"journal": [], "validations": []}),
        "no base": a_run(evaluation=without_base),
        "no validation": a_run(training=training(steps=30)),
        "no samples": a_run(evaluation=an_evaluation(samples=[])),
        "one step": a_run(training=training(steps=1, validate_every=1)),
        "summary alone": a_run(evaluation=an_evaluation() | {"sets": []}),
        "classes": a_classification([[8, 2], [1, 9]], ["refund", "invoice"]),
        "hostile": a_run(
            job={"name": HOSTILE, "namespace": HOSTILE, "task": HOSTILE},
            model={"uri": "hf://" + HOSTILE, "revision": HOSTILE},
            created=HOSTILE,
            evaluation=an_evaluation(
                sets=hostile_sets,
                gates=[{"metric": HOSTILE, "suite": HOSTILE, "passed": False, "reason": HOSTILE}],
                samples=[a_sample(HOSTILE, HOSTILE, HOSTILE, HOSTILE * 50)],
            )
            | {"precision": HOSTILE, "interval": HOSTILE},
            data=hostile_data,
            plan=[{"field": HOSTILE, "value": HOSTILE, "reason": HOSTILE}],
        ),
        "hostile classes": a_classification([[8, 2], [1, 9]], [HOSTILE, "invoice"]),
    }


SHAPES = pages()


# ---------------------------------------------------------------- nothing runs, nothing is loaded


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


# ---------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("verdict", "title"),
    [
        ("Improved", "Better than its base"),
        ("Inconclusive", "No clear difference from its base"),
        ("Regressed", "Worse than its base"),
        (None, "Not compared with its base"),
    ],
)
def test_the_verdict_stands_first_in_words(verdict: str | None, title: str) -> None:
    page = Page(render_page(a_run(evaluation=an_evaluation(verdict=verdict))))

    assert title in page.text
    assert page.text.index(title) < page.text.index("Gates")


def test_the_headline_names_both_scores_and_the_interval() -> None:
    page = Page(render_page(a_run()))

    assert (
        "On 200 held-out examples, loss fell from 3.700 to 3.100 (lower is better). The 95 % interval of the difference,"
        " −0.650 to −0.520, lies wholly on the better side of zero." in page.text
    )
    assert "Of 2 metrics: 1 better, 1 without a clear difference." in page.text


def test_a_missed_gate_is_the_headline_even_if_the_model_improved() -> None:
    gates: list[dict[str, Any]] = [
        {"metric": "loss", "suite": None, "passed": True, "reason": "loss is 3.1; at most 3.5 is allowed."},
        {
            "metric": "chrf",
            "suite": "general",
            "passed": False,
            "reason": 'chrf on "general" is 0.1; at least 0.3 is required.',
        },
    ]

    page = Page(render_page(a_run(evaluation=an_evaluation(gates=gates))))

    assert "Rejected: 1 of 2 gates not kept" in page.text
    assert "Nothing is published. The model is better than its base." in page.text
    assert page.row("loss is 3.1; at most").startswith("loss is 3.1; at most 3.5 is allowed. not kept")
    assert re.search(r"\bkept +loss is 3.1", page.text)


def test_without_gates_the_page_says_that_nothing_had_to_be_reached() -> None:
    assert "The job set no gates: no score had to be reached before publishing." in Page(render_page(a_run())).text


def test_without_a_base_nothing_is_called_better() -> None:
    page = Page(render_page(SHAPES["no base"]))

    assert "It was not compared with its base, so nobody can say whether training helped." in page.text
    assert "the base was not scored" in page.text
    assert "not compared" in page.row("Held-out test examples")
    assert not [one for name, one in page.elements if name == "svg" and one.get("class", "").startswith("interval")]
    assert "better side" not in page.text


# ---------------------------------------------------------------- metrics


@pytest.mark.parametrize(
    ("low", "high", "lower_is_better", "said"),
    [
        (-0.6, -0.4, True, Outcome.BETTER),
        (0.4, 0.6, True, Outcome.WORSE),
        (-0.1, 0.1, True, Outcome.UNCLEAR),
        (0.4, 0.6, False, Outcome.BETTER),
        (-0.6, -0.4, False, Outcome.WORSE),
        (-0.1, 0.1, False, Outcome.UNCLEAR),
        (0.0, 0.2, False, Outcome.UNCLEAR),
        (0.0, 0.0, False, Outcome.UNCLEAR),
    ],
)
def test_better_and_worse_need_the_whole_interval_on_one_side(
    low: float, high: float, lower_is_better: bool, said: Outcome
) -> None:
    assert outcome(low, high, lower_is_better=lower_is_better) == said


def test_a_loss_that_rises_is_worse_and_an_accuracy_that_rises_is_better() -> None:
    sets = [a_set({"loss": (3.0, 3.5, 0.4, 0.6), "token_accuracy": (0.3, 0.4, 0.05, 0.15)})]

    rows = {row.name: row for row in score_tables(an_evaluation(sets=sets, verdict="Regressed"))[0].rows}

    assert (rows["loss"].outcome, rows["loss"].tone, rows["loss"].direction) == ("worse", "bad", "lower is better")
    assert (rows["token_accuracy"].outcome, rows["token_accuracy"].tone) == ("better", "good")


def test_a_row_tells_base_tuned_difference_and_interval_with_the_same_decimals() -> None:
    sets = [a_set({"perplexity": (39.835264, 22.243692, -21.193969, -14.452053)})]

    row = score_tables(an_evaluation(sets=sets, main="perplexity"))[0].rows[0]

    assert (row.base, row.tuned, row.difference, row.interval) == ("39.84", "22.24", "−17.59", "−21.19 to −14.45")


def test_every_metric_of_the_contract_is_explained_and_has_a_direction() -> None:
    assert set(EXPLAINED) == set(Metric)
    sets = [a_set({str(metric): (1.0, 2.0, 0.5, 1.5) for metric in Metric})]
    rows = score_tables(an_evaluation(sets=sets))[0].rows
    assert all(row.explained and row.direction and row.outcome for row in rows)


def test_metrics_of_answers_say_on_how_many_answers_they_rest() -> None:
    page = Page(render_page(a_run()))

    assert "on 12 answers" in page.row("chrf")
    assert "on 12 answers" not in page.row("loss lower is better")[:100]


def test_each_suite_has_its_own_table_and_a_line_in_the_headline() -> None:
    sets = [
        a_set({"loss": (3.7, 3.1, -0.65, -0.52)}),
        a_set({"loss": (2.0, 2.5, 0.4, 0.6), "exact_match": (0.7, 0.6, -0.15, -0.05)}, name="general", examples=1319),
    ]

    page = Page(render_page(a_run(evaluation=an_evaluation(sets=sets))))

    assert "On the suite “general”: 2 worse." in page.text
    assert "1,319 examples in 659 groups" in page.row("Suite “general”")
    assert "the job had no suite" not in page.text


def test_a_metric_the_page_does_not_know_is_shown_without_a_judgement() -> None:
    row = score_tables(an_evaluation(sets=[a_set({"loss": (2, 1, -2, -0.5), "novel": (1.0, 2.0, 0.5, 1.5)})]))[0].rows[1]

    assert (row.name, row.difference, row.outcome) == ("novel", "+1.000", None)


def test_a_difference_that_is_no_number_is_shown_as_none() -> None:
    sets = [a_set({"loss": (3.0, 2.0, float("nan"), float("nan"))})]

    page = Page(render_page(a_run(evaluation=an_evaluation(sets=sets))))

    assert "nan" not in page.row("Metrics").lower()


# ---------------------------------------------------------------- curves


def test_the_curve_is_told_in_words_and_its_kept_step_is_marked() -> None:
    run = training(steps=40, validate_every=10) | {"bestStep": 30}

    page = Page(render_page(a_run(training=run)))

    assert "The weights of step 30 were kept." in page.text
    assert "Validation loss is 2.1 at step 10 and 1.5 at step 40." in page.text
    assert any(one.get("class") == "best" and one["d"].startswith("M743.6") for name, one in page.elements if name == "path")


def test_a_run_of_a_hundred_thousand_steps_stays_a_light_page() -> None:
    html = render_page(a_run(training=training(steps=100_000, validate_every=500)))

    assert len(html.encode()) < 600_000
    assert "lowest and highest of up to 252 steps" in Page(html).text


def test_a_run_of_one_step_says_so() -> None:
    assert "One step was trained; its loss is" in Page(render_page(SHAPES["one step"])).text


def test_a_run_without_validation_says_which_weights_were_kept() -> None:
    assert (
        "There was no validation, so the weights of the last step were kept." in Page(render_page(SHAPES["no validation"])).text
    )


def test_an_early_stop_is_told_with_both_numbers_of_steps() -> None:
    page = Page(render_page(a_run(training=training(steps=40, validate_every=10, total=90))))

    assert "40 of 90 planned: it stopped early, as validation loss no longer improved" in page.text


def test_several_attempts_are_told_with_their_steps() -> None:
    run = training(steps=40)
    for line in run["journal"][24:]:
        line["attempt"] = 3

    assert "1: steps 1 to 24; 3: steps 25 to 40" in Page(render_page(a_run(training=run))).text


def test_steps_without_a_finite_loss_do_not_break_the_curve() -> None:
    run = training(steps=40)
    run["journal"][10]["loss"] = float("nan")
    run["journal"][11]["gradientNorm"] = None

    html = render_page(a_run(training=run))

    assert "nan" not in html.lower()


# ---------------------------------------------------------------- classes


def test_the_numbers_of_a_confusion_matrix_add_up() -> None:
    table = [[8, 2, 0], [1, 9, 0], [3, 0, 0]]

    one = class_tables(a_classification(table, ["refund", "invoice", "other"])["evaluation"])[0]

    tuned = one.matrices[0]
    assert [sum(cell.count for cell in cells) for _, cells, _ in tuned.rows] == [of for _, _, of in tuned.rows] == [10, 10, 3]
    assert tuned.chosen == [12, 11, 0]
    assert tuned.examples == one.examples == sum(tuned.chosen) == 23
    assert tuned.right == one.right == 17
    assert [(pair.truth, pair.taken_for, pair.count, pair.of) for pair in one.pairs] == [
        ("other", "refund", 3, 3),
        ("refund", "invoice", 2, 10),
        ("invoice", "refund", 1, 10),
    ]


def test_precision_recall_and_f1_of_a_class_are_those_of_its_row_and_column() -> None:
    one = class_tables(a_classification([[8, 2, 0], [1, 9, 0], [3, 0, 0]], ["refund", "invoice", "other"])["evaluation"])[0]

    refund, _, other = one.rows
    assert (refund.precision, refund.recall, refund.f1) == ("0.667", "0.800", "0.727")  # 8/12, 8/10, 16/22
    assert (other.precision, other.recall, other.f1) == ("–", "0.000", "0.000")


def test_a_class_that_the_matrix_lacks_gets_an_empty_row() -> None:
    one = class_tables(a_classification([[8, 2], [1, 9]], ["refund", "invoice", "never seen"])["evaluation"])[0]

    assert [of for _, _, of in one.matrices[0].rows] == [10, 10, 0]
    assert (one.rows[2].name, one.rows[2].f1) == ("never seen", "–")


def test_two_hundred_classes_become_a_list_of_confusions_and_the_least_well_told_first() -> None:
    table = [[20 if t == c else 0 for c in range(200)] for t in range(200)]
    table[7] = [0] * 199 + [20]

    html = render_page(a_classification(table, [f"class-{i}" for i in range(200)]))

    page = Page(html)
    assert "class-7 taken for class-199 : 20 of 20 examples (100 %)" in page.text
    assert not any(one.get("class") == "matrix" for _, one in page.elements)
    assert page.text.index("class-7 20 0") < page.text.index("class-0 20 20")
    assert len(html.encode()) < 300_000


def test_every_class_right_leaves_nothing_confused() -> None:
    assert "No example was put into a wrong class." in Page(render_page(a_classification([[5, 0], [0, 5]], ["a", "b"]))).text


def test_accuracy_stands_beside_what_guessing_would_reach() -> None:
    page = Page(render_page(SHAPES["classes"]))

    assert "17 of 20 test examples are in the right class of 2." in page.text
    assert "Always choosing the most frequent class would reach an accuracy of 0.5." in page.text


# ---------------------------------------------------------------- samples


def test_prompt_reference_base_and_tuned_stand_side_by_side_with_how_the_answer_ended() -> None:
    sample = a_sample("Show handles", "Specifies whether", "I am ready", "Handles Handles", ended=False)

    page = Page(render_page(a_run(evaluation=an_evaluation(samples=[sample]))))

    said = "Show handles Reference Specifies whether Base I am ready Tuned +cut off at 130 tokens +Handles Handles"
    assert re.search(f"Sample 1 Prompt {said}", page.text)
    assert "keep this page as confidential as the data itself" in page.text


def test_a_class_that_was_chosen_wrongly_is_called_wrong() -> None:
    page = Page(render_page(SHAPES["classes"]))

    assert re.search("True class refund Base chose +wrong +invoice Tuned chose +right +refund", page.text)


def test_a_long_answer_folds_and_an_endless_one_is_cut_with_a_note() -> None:
    answer = "word " * 3_000  # 15,000 characters

    html = render_page(a_run(evaluation=an_evaluation(samples=[a_sample("Q", "A", "B", answer)])))

    page = Page(html)
    assert html.count("word ") < 1_250
    assert "5,300 further characters" in page.text
    assert "9,000 more characters stand in evaluation.json." in page.text


def test_no_character_of_a_folded_answer_is_lost() -> None:
    answer = "".join(f"{i} " for i in range(800))

    text = page_module._text(answer)

    assert text.begins + text.goes_on == answer
    assert 400 < len(text.begins) < 800
    assert text.further == 0


def test_samples_too_long_for_one_page_are_counted_and_left_in_the_report() -> None:
    samples = [a_sample("Q", "A", "b" * 6_000, "t" * 6_000) for _ in range(200)]

    html = render_page(a_run(evaluation=an_evaluation(samples=samples)))

    assert len(html.encode()) < 2_000_000
    assert "76 further samples stand in evaluation.json" in Page(html).text  # 124 samples of 12,002 characters fit


def test_without_samples_the_page_says_why() -> None:
    text = Page(render_page(SHAPES["no samples"])).text
    assert "No samples were kept: the job asked for none, or no example could be answered." in text


# ---------------------------------------------------------------- data


def test_every_row_read_is_accounted_for() -> None:
    page = Page(render_page(a_run()))

    assert "kept 900 90.0 %" in page.text
    assert "left out: longer than the maximum length 60 6.0 %" in page.text
    assert "left out: copy of another example 40 4.0 %" in page.text
    assert "does not name" not in page.text


def test_rows_that_the_report_cannot_account_for_are_not_hidden() -> None:
    report = data()
    report["summary"]["examples"]["kept"] = 870

    assert "left out for a reason that the report does not name 30 3.0 %" in Page(render_page(a_run(data=report))).text


def test_conversations_that_became_several_examples_are_explained() -> None:
    report = data()
    report["summary"]["examples"]["kept"] = 1500

    text = Page(render_page(a_run(data=report))).text
    assert "more examples than rows: a conversation can become several examples 600" in text


def test_personal_data_that_nobody_looked_for_is_said_twice() -> None:
    page = Page(render_page(a_run()))

    assert "Personal data was not looked for and not changed." in page.text
    assert "Personal data was not looked for. The page does not say whether there is any." in page.text


def test_personal_data_that_was_replaced_is_counted_by_kind() -> None:
    report = data() | {"anonymization": "surrogate: names and e-mail addresses were looked for in German and English"}
    report["summary"]["redactions"] = {"EMAIL": 1204}

    page = Page(render_page(a_run(data=report)))

    assert "EMAIL: 1,204 replaced" in page.text
    assert "Personal data was not looked for" not in page.text


def test_weights_length_cleaning_digest_and_format_are_on_the_page() -> None:
    text = Page(render_page(a_run())).text

    assert "They count as much as 640 equally weighted examples (of 700)." in text
    assert "256 tokens, the 99th percentile of the training examples; 60 examples were longer and left out." in text
    assert "White space tidied in 62 examples." in text
    assert "sha256:" + "ab" * 32 in text
    assert "the first row has prompt from 'question', completion from 'answer'" in text
    assert "133 tokens (with loss)" in text


def test_every_planned_value_has_its_reason() -> None:
    page = Page(render_page(a_run()))

    assert "training.learningRate 0.0002 1.2B parameters, LoRA" in page.text
    assert "training.gradientCheckpointing no fits without" in page.text


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("no reports", "This run has no evaluation report."),
        ("no reports", "There is no data report for this run."),
        ("no reports", "There is no training report for this run."),
        ("no reports", "The job left no value open, or its plan was not recorded."),
        ("nothing", "unnamed job"),
        ("no base", "The tuned model was not compared with its base."),
        ("chat", "The tuned model may repeat its training data. No test for that was made."),
    ],
)
def test_what_is_missing_is_said(shape: str, said: str) -> None:
    assert said in Page(render_page(SHAPES[shape])).text


def test_the_same_reports_make_the_same_page() -> None:
    assert render_page(a_run()) == render_page(a_run())


# ---------------------------------------------------------------- numbers and colours


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (3624, "3,624"),
        (2e-4, "0.0002"),
        (3e-5, "3e−5"),
        (0.123456, "0.1235"),
        (-0.5, "−0.5"),
        (1234.5, "1,234"),
        (5.0, "5"),
        (None, "–"),
        (float("inf"), "–"),
    ],
)
def test_numbers_have_four_digits_and_their_thousands_apart(value: float | None, said: str) -> None:
    assert number(value) == said


def test_a_small_difference_of_large_numbers_keeps_two_digits() -> None:
    decimals = common_decimals([39.835264, 39.835014], -0.00025)

    assert (fixed(39.835264, decimals), signed(-0.00025, decimals)) == ("39.83526", "−0.00025")


def test_zero_has_no_sign() -> None:
    assert [signed(value, 3) for value in (0.0, -0.0001, 0.25, -0.25)] == ["0.000", "0.000", "+0.250", "−0.250"]


def test_a_few_of_many_are_never_none_and_almost_all_are_never_all() -> None:
    found = [share(part, 100_000).replace("\u202f", " ") for part in (0, 1, 50_000, 99_999, 100_000)]

    assert found == ["0 %", "< 0.1 %", "50.0 %", "> 99.9 %", "100 %"]


@pytest.mark.parametrize(("seconds", "said"), [(5.7, "5.7 s"), (154, "3 min"), (3599, "60 min"), (7260, "2 h 1 min")])
def test_times_are_told_in_units_of_people(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_model_on_a_disk_is_known_by_its_last_part_alone() -> None:
    assert model_name("file:///home/alice/models/small.gguf") == "small.gguf"
    assert model_name("hf://corp/small-1b?x=1") == "corp/small-1b"
    assert source("s3://key:secret@corp/data?x=1") == "s3://corp/data"


@pytest.mark.parametrize("scheme", ["light", "dark", "paper"])
def test_every_text_has_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    css = Path(page_module.__file__).with_name("page_style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    colours = {**_colours(blocks[0]), **_colours(blocks[["light", "dark", "paper"].index(scheme)])}
    pairs = [(text, ground) for text in ("ink", "soft", "tuned", "base", "good", "bad") for ground in ("ground", "card")]
    pairs += [(tone, f"{tone}-ground") for tone in ("good", "bad", "neutral", "attention")] + [("ink", "attention-ground")]

    low = {pair: ratio for pair in pairs if (ratio := _contrast(colours[pair[0]], colours[pair[1]])) < 4.5}

    assert not low
    heat = tuple(0.6 * of + 0.4 * behind for of, behind in zip(colours["heat"], colours["ground"], strict=True))
    assert _contrast(colours["ink"], heat) >= 4.5, "a number on the strongest colour of the matrix"


def _colours(block: str) -> dict[str, tuple[float, ...]]:
    found: dict[str, tuple[float, ...]] = {}
    for name, digits in re.findall(r"--([a-z-]+): #([0-9a-f]{3,6});", block):
        digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        found[name] = tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))
    heat = re.search(r"--heat: (\d+), (\d+), (\d+)", block)
    assert heat is not None
    return found | {"heat": tuple(map(float, heat.groups()))}


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Source: WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [part / 255 for part in colour]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
