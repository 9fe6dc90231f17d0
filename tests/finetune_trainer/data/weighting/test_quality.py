"""Signs of a well made example, each by a text that shows it, and the way from signs to a factor."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_api.v1alpha1.weighting import Quality
from finetune_trainer.data.inputs.formats import Example, Message, UnusableRow
from finetune_trainer.data.weighting.quality import (
    QualityFactor,
    answered,
    finished,
    original,
    quality,
    readable,
    unrepeated,
)

QUESTION = "How long may I return the lamp that I bought in your shop last week, and who pays for the parcel?"
ANSWER = "You may return it within thirty days. Use the label in the parcel; we pay for it. The money comes back within a week."


def chat(question: str, *answers: str) -> Example:
    turns = [Message("user", question)]
    for answer in answers:
        turns += [Message("assistant", answer), Message("user", "And then?")]
    return Example(messages=tuple(turns[:-1]))


def test_a_plain_answer_has_no_fault() -> None:
    assert quality(chat(QUESTION, ANSWER)) == 1.0


@pytest.mark.parametrize("answer", ["42", "Ja.", "Berlin", "¿Cuándo?", "是的。", "2026-11-30"])
def test_a_short_answer_to_a_short_question_has_no_fault(answer: str) -> None:
    assert quality(chat("Which one?", answer)) == 1.0


def test_repetition_is_counted_in_runs_of_three_words() -> None:
    assert unrepeated(ANSWER) == 1.0
    assert unrepeated("we are sorry " * 20) == 0.0
    # 24 words in 22 runs, of which 12 are different: 10/22 are repeats, half of the way from 0.2 to 0.7.
    once = "one two three four five six seven eight nine ten eleven twelve "
    assert unrepeated(once * 2) == pytest.approx((0.7 - 10 / 22) / 0.5)


def test_symbols_are_what_is_neither_letter_nor_digit_nor_common_punctuation() -> None:
    assert readable("Größe: 20 %, Preis 3,50 €! नमस्ते 你好，世界。") == 1.0
    assert readable("a" * 75 + "|" * 25) == pytest.approx(0.5)
    assert readable("▓" * 10) == 0.0
    assert readable("Run this:\n```\n{[<>]}=^~|\\{}{}{}\n```\nDone.") == 1.0
    assert readable("") == 1.0


def test_an_answer_that_breaks_off_is_noticed() -> None:
    words = "we have looked at your invoice and found that the meter was read twice"
    assert finished(f"{words}.") == 1.0
    assert finished(f"{words},") == finished(f"{words} -") == 0.5
    assert finished(words) == 0.75
    assert finished(f"Hello, {words}.\n\nKind regards\nMax Service") == 1.0
    assert finished(f"{words}:\n```\nprint(1)") == 0.5


def test_an_echo_of_the_question_is_noticed() -> None:
    assert original(QUESTION, QUESTION) == 0.0
    assert original(ANSWER, QUESTION) == 1.0


def test_a_curt_answer_to_a_long_question_counts_half_to_one() -> None:
    asked = "word " * 100
    assert answered("Yes sure ok yes sure", asked) == pytest.approx(0.75)
    assert answered("ten words " * 5, asked) == 1.0
    assert answered("twelve words " * 6, "word " * 1000) == 1.0


def test_the_worst_learned_answer_counts() -> None:
    assert quality(chat(QUESTION, ANSWER, "we are sorry " * 20)) == 0.0
    unlearned = Example(
        messages=(Message("user", QUESTION), Message("assistant", "no " * 40, trained=False), Message("assistant", ANSWER))
    )
    assert quality(unlearned) == 1.0


def test_running_text_is_judged_by_repetition_and_symbols_alone() -> None:
    assert quality(Example(text="the terms of the contract hold for all of the branches of the company and")) == 1.0
    assert quality(Example(text="page 1 of 9 " * 50)) == 0.0


@pytest.mark.parametrize(("score", "expected"), [(1, 0.5), (0, 0.5), (5, 2.0), ("7", 2.0), (3, 1.25), (None, 1.0), ("", 1.0)])
def test_a_score_of_the_row_goes_from_worst_to_best_on_a_line(score: Any, expected: float) -> None:
    factor = QualityFactor(Quality.model_validate({"field": "csat", "worst": 1, "best": 5, "min": 0.5, "max": 2}))
    assert factor({"csat": score}, chat("a", "b")) == expected


def test_a_score_that_is_no_number_must_be_mended() -> None:
    factor = QualityFactor(Quality(field="csat", worst=1, best=5))
    with pytest.raises(UnusableRow, match=r'field "csat" is no number, as preparation\.weighting\.quality needs it'):
        factor({"csat": "good"}, chat("a", "b"))


def test_signs_become_a_factor_between_min_and_max() -> None:
    factor = QualityFactor(Quality(min=0.2, max=1.2))
    assert factor({}, chat(QUESTION, ANSWER)) == pytest.approx(1.2)
    assert factor({}, chat(QUESTION, "we are sorry " * 20)) == pytest.approx(0.2)
    assert factor({}, Example(text="a" * 75 + "|" * 25)) == pytest.approx(0.7)


@pytest.mark.parametrize("text", ["```" * 30_000, "a " * 40_000, "\u0301" * 60_000, "\n" * 60_000])
def test_hostile_text_costs_linear_time(text: str) -> None:
    # A quadratic sign would take minutes here; the suite's timeout would say so.
    assert 0 <= quality(chat(text, text)) <= 1
