"""A template that is blind to what texts say is rendered once per order of roles, and gives what rendering each row gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_trainer.data.inputs.formats import Message
from finetune_trainer.data.tokens.outline import Outlines
from finetune_trainer.data.tokens.template import ChatTemplate
from tiny import CHATML

TRIMMING = (
    "{% for message in messages %}{% set content = '<|im_start|>' + message['role'] + '\n' + message['content'] | trim"
    " + '<|im_end|>\n' %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WITH_A_SYSTEM_PROMPT = "{% if messages[0].role != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}" + CHATML

BLIND = {"as it comes": CHATML, "trimming": TRIMMING, "with a system prompt": WITH_A_SYSTEM_PROMPT}

CONTENT = "message['content']"
LOOKING = {
    "searches": CHATML.replace(CONTENT, f"({CONTENT} if 'x' not in {CONTENT} else 'found')"),
    "compares": CHATML.replace(CONTENT, f"({CONTENT} if {CONTENT} != 'a' else 'b')"),
    "asks whether there is any": CHATML.replace(CONTENT, f"({CONTENT} if {CONTENT} else 'nothing')"),
    "counts": CHATML.replace(CONTENT, f"({CONTENT} if {CONTENT} | length < 5 else 'long')"),
    "replaces": CHATML.replace(CONTENT, f"{CONTENT} | replace('x', 'y')"),
    "splits": CHATML.replace(CONTENT, f"{CONTENT}.split('x')[-1]"),
    "cuts": CHATML.replace(CONTENT, f"{CONTENT}[:3]"),
    "writes as JSON": CHATML.replace(CONTENT, "message | tojson"),
    "joins out of sight": CHATML.replace(CONTENT, f"('x' ~ {CONTENT}) | replace('x', 'y')"),
    "trims what is joined": CHATML.replace(CONTENT, f"(' ' + {CONTENT}) | trim"),
    "keeps in a block": CHATML.replace(CONTENT, "seen | replace('x', 'y')").replace(
        "{{ '<|im_start|>' + message", "{% set seen %}{{ message['content'] }}{% endset %}{{ '<|im_start|>' + message"
    ),
    "formats": CHATML.replace(CONTENT, f"('%s' % {CONTENT})"),
}


@pytest.fixture(scope="module")
def tokenizer(causal_lm: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(causal_lm)


def outlines(tokenizer: Any, source: str) -> Outlines:
    from transformers.utils.chat_template_utils import _compile_jinja_template

    return Outlines(_compile_jinja_template(source), source, tokenizer.special_tokens_map)


@pytest.mark.parametrize("source", BLIND.values(), ids=BLIND.keys())
def test_a_template_that_only_writes_and_trims_texts_has_an_outline(tokenizer: Any, source: str) -> None:
    assert outlines(tokenizer, source).render(("user", "assistant"), generation=False) is not None


@pytest.mark.parametrize("source", LOOKING.values(), ids=LOOKING.keys())
def test_a_template_whose_outcome_may_depend_on_a_text_has_none(tokenizer: Any, source: str) -> None:
    assert source != CHATML
    assert outlines(tokenizer, source).render(("user", "assistant"), generation=False) is None


@pytest.mark.parametrize("source", (BLIND | LOOKING).values(), ids=(BLIND | LOOKING).keys())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(alphabet="ab x\n{}%\ue0000\ue001ß", max_size=6), min_size=2, max_size=4), system=st.booleans())
def test_documents_are_those_that_rendering_each_row_gives(tokenizer: Any, source: str, texts: list[str], system: bool) -> None:
    turns = texts[: len(texts) // 2 * 2]
    messages = [Message("user" if i % 2 == 0 else "assistant", text or "a", trained=i != 1) for i, text in enumerate(turns)]
    if system:
        messages.insert(0, Message("system", "Be kind."))
    with_outlines = ChatTemplate(tokenizer, template=source, stop_ids=[])
    # Another filter than trim, on a constant: it changes nothing but that every row is rendered.
    rendered = ChatTemplate(tokenizer, template="{% if 'a' ~ '' == 'b' %}never{% endif %}" + source, stop_ids=[])
    assert rendered._outlines is not None
    assert rendered._outlines.render(("user", "assistant"), generation=False) is None
    assert with_outlines.documents(messages) == rendered.documents(messages)
