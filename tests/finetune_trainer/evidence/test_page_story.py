"""The report page on the run: its curves, samples and data, and what is said to be missing."""

from __future__ import annotations

import re

import pytest
from report_runs import a_run, a_sample, an_evaluation, data, training
from report_shapes import SHAPES, Page

from finetune_trainer.evidence import page_samples
from finetune_trainer.evidence.page import render_page

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

    text = page_samples._text(answer)

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

    assert "rows read 1,000" in page.text
    assert "left out: longer than the maximum length −60 6.0 %" in page.text
    assert "left out: copy of another example −40 4.0 %" in page.text
    assert "examples kept 900 90.0 %" in page.text
    assert "does not name" not in page.text


def test_rows_that_the_report_cannot_account_for_are_not_hidden() -> None:
    report = data()
    report["summary"]["examples"]["kept"] = 870

    assert "left out: a reason that the report does not name −30 3.0 %" in Page(render_page(a_run(data=report))).text


def test_conversations_that_became_several_examples_are_explained() -> None:
    report = data()
    report["summary"]["examples"]["kept"] = 1500

    text = Page(render_page(a_run(data=report))).text
    assert "more examples than rows: a conversation or a long text can become several examples +600" in text


def test_personal_data_that_nobody_looked_for_is_said_twice() -> None:
    page = Page(render_page(a_run()))

    assert "Personal data was not looked for and not changed." in page.text
    assert "Personal data was not looked for. The page does not say whether there is any." in page.text


def test_personal_data_that_was_replaced_is_counted_by_kind() -> None:
    report = data() | {"anonymization": "surrogate: names and e-mail addresses were looked for in German and English"}
    report["summary"]["redactions"] = {"EMAIL": 1204}

    page = Page(render_page(a_run(data=report)))

    assert "e-mail address 1,204" in page.text
    assert "Personal data was not looked for" not in page.text


def test_weights_length_cleaning_digest_and_format_are_on_the_page() -> None:
    text = Page(render_page(a_run())).text

    assert "They count as much as 640 equally weighted examples (of 700)." in text
    assert "256 tokens, the 99th percentile of the training examples; 60 examples were longer and left out." in text
    assert "white space tidied Blanks at the ends of lines and more than one empty line in a row. 62" in text
    assert "sha256:" + "ab" * 32 in text
    assert "the first row has prompt from 'question', completion from 'answer'" in text
    assert "133 tokens (learned)" in text


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
