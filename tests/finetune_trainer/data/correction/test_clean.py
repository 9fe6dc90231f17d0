"""Correction of texts: the rules on any text by itself, and how rules are counted and switched off."""

from __future__ import annotations

import pytest

from finetune_api.v1alpha1.preparation import Clean
from finetune_trainer.data.correction.clean import Cleaner
from finetune_trainer.data.correction.texts import normal_unicode, tidy_whitespace, without_control_characters, without_html
from finetune_trainer.data.inputs.formats import Example, Message, UnusableRow


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


def chat(question: str, answer: str) -> Example:
    return Example(messages=(Message("user", question), Message("assistant", answer)))


def test_each_rule_counts_the_examples_it_changed() -> None:
    cleaner = Cleaner(Clean(html=True))
    assert cleaner(chat("a <b>b</b>", "c\r\nd")) == chat("a b", "c\nd")
    assert cleaner(chat("a", "b")) == chat("a", "b")
    assert cleaner.tally.changed == {"html": 1, "whitespace": 1}


def test_rules_can_be_switched_off() -> None:
    same = chat(" a\x00 ", "e\u0301")
    assert Cleaner(Clean(unicode=False, control_characters=False, whitespace=False))(same) is same


@pytest.mark.parametrize(("answer", "reason"), [("ab", "minCharacters"), ("a" * 50, "maxCharacters")])
def test_answers_that_are_too_short_or_too_long_are_dropped(answer: str, reason: str) -> None:
    with pytest.raises(UnusableRow, match=reason) as caught:
        Cleaner(Clean(min_characters=3, max_characters=40))(chat("q", answer))
    assert caught.value.drop
