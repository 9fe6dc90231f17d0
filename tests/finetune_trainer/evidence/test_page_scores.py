"""The report page on scores: the verdict, the metrics with their intervals, the classes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from report_runs import a_classification, a_run, a_set, an_evaluation
from report_shapes import SHAPES, Page

from finetune_api.v1alpha1.evaluation import Metric
from finetune_trainer.evidence.page import render_page
from finetune_trainer.evidence.page_scores import EXPLAINED, Outcome, class_tables, outcome, score_tables

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
