"""Correction of texts, rule by rule, and the weight of an example."""

from __future__ import annotations

import numpy as np
import pytest

from finetune_api.v1alpha1.data import Clean, WeightRule
from finetune_trainer.data.clean import Cleaner, normal_unicode, tidy_whitespace, without_control_characters, without_html
from finetune_trainer.data.formats import Example, Message, UnusableRow
from finetune_trainer.data.weights import effective_sample_size, rule_factor


def test_text_becomes_nfc_without_byte_order_marks_and_lone_surrogates() -> None:
    assert normal_unicode("\ufeffGru\u0308\u00dfe\ud800") == "Gr\u00fc\u00dfe"


def test_control_characters_go_but_newline_and_tab_stay() -> None:
    assert without_control_characters("a\x00b\x1b[0m\tc\nd\x7f") == "ab[0m\tc\nd"


def test_white_space_is_tidied_without_touching_indentation() -> None:
    assert tidy_whitespace("  def f():\r\n    return 1   \r\n\n\n\nend\u00a0 \n") == "def f():\n    return 1\n\nend"


def test_html_becomes_text_in_lines() -> None:
    page = "<p>Hello&nbsp;<b>World</b> &lt;3</p><script>alert('x')</script><ul><li>one<li>two</ul>"
    assert tidy_whitespace(without_html(page)) == "Hello\xa0World <3\n\none\ntwo"
    assert without_html("3 > 2, no tags") == "3 > 2, no tags"


@pytest.mark.parametrize("text", ["<" * 50_000, "<p " * 20_000, "&" * 50_000, "<!--" * 20_000, "\n \n" * 50_000])
def test_hostile_text_costs_linear_time(text: str) -> None:
    # A quadratic rule would take minutes here; the suite's timeout would say so.
    Cleaner(Clean(html=True))._corrected([text])


def chat(question: str, answer: str) -> Example:
    return Example(messages=(Message("user", question), Message("assistant", answer)))


def test_each_rule_counts_the_examples_it_changed() -> None:
    cleaner = Cleaner(Clean(html=True))
    assert cleaner(chat("a <b>b</b>", "c\r\nd")) == chat("a b", "c\nd")
    assert cleaner(chat("a", "b")) == chat("a", "b")
    assert cleaner.changed == {"html": 1, "whitespace": 1}


def test_rules_can_be_switched_off() -> None:
    same = chat(" a\x00 ", "e\u0301")
    assert Cleaner(Clean(unicode=False, control_characters=False, whitespace=False))(same) is same


@pytest.mark.parametrize(("answer", "reason"), [("ab", "minCharacters"), ("a" * 50, "maxCharacters")])
def test_answers_that_are_too_short_or_too_long_are_dropped(answer: str, reason: str) -> None:
    with pytest.raises(UnusableRow, match=reason) as caught:
        Cleaner(Clean(min_characters=3, max_characters=40))(chat("q", answer))
    assert caught.value.drop


def test_weights_of_matching_rules_multiply() -> None:
    rules = [
        WeightRule(field="priority", equals="high", weight=2.0),
        WeightRule(field="meta.source", equals="expert", weight=3.0),
        WeightRule(field="spam", equals="true", weight=0.0),
    ]
    assert rule_factor({"priority": "high", "meta": {"source": "expert"}}, rules) == 6.0
    assert rule_factor({"priority": "low"}, rules) == 1.0
    assert rule_factor({"priority": "high", "spam": True}, rules) == 0.0


def test_the_effective_sample_size_counts_equal_weights_fully_and_a_dominant_one_alone() -> None:
    assert effective_sample_size(np.full(10, 0.3, np.float32)) == pytest.approx(10)
    assert effective_sample_size(np.array([1, 0, 0, 0], np.float32)) == pytest.approx(1)
    assert effective_sample_size(np.array([1, 1, 2], np.float32)) == pytest.approx(16 / 6)
