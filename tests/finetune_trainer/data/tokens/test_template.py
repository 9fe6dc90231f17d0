"""Conversations become what the model will see when it serves: prompt without loss, answer with loss, end included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune_api.errors import UserError
from finetune_trainer.data.inputs.formats import Message, UnusableRow
from finetune_trainer.data.tokens.template import ChatTemplate, Piece
from tiny import CHATML


@pytest.fixture
def tokenizer(causal_lm: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(causal_lm)


def conversation(*turns: str) -> list[Message]:
    return [Message("user" if number % 2 == 0 else "assistant", text) for number, text in enumerate(turns)]


def template(tokenizer: Any, source: str | None = None) -> ChatTemplate:
    return ChatTemplate(tokenizer, template=source, stop_ids=[])


def test_the_answer_has_loss_up_to_its_end_token_and_nothing_after_it_is_kept(tokenizer: Any) -> None:
    (document,) = template(tokenizer).documents(conversation("Hi", "Hello"))
    assert document == (
        Piece("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", supervised=False),
        Piece("Hello<|im_end|>", supervised=True),
    )


def test_every_answer_of_a_conversation_has_loss_unless_its_weight_is_0(tokenizer: Any) -> None:
    messages = conversation("a", "b", "c", "d")
    messages[1] = Message("assistant", "b", trained=False)
    (document,) = template(tokenizer).documents(messages)
    assert "".join(piece.text for piece in document) == (
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>"
    )
    assert [piece.text for piece in document if piece.supervised] == ["d<|im_end|>"]


def test_a_template_that_rewrites_earlier_turns_gives_one_document_per_answer(tokenizer: Any) -> None:
    # Earlier answers are shortened to a dash, as templates do that strip earlier thoughts.
    source = CHATML.replace(
        "message['content']",
        "(message['content'] if loop.last or message['role'] != 'assistant' else '-')",
    )
    made = template(tokenizer, source)
    documents = made.documents(conversation("a", "b", "c", "d"))
    assert [document[-1].text for document in documents] == ["b<|im_end|>", "d<|im_end|>"]
    assert made.turn_by_turn == 1


def test_a_template_without_an_end_token_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="never stop") as caught:
        template(tokenizer, CHATML.replace("<|im_end|>", ""))
    assert caught.value.field == "spec.model.chatTemplate"


def test_a_template_whose_generation_prompt_is_something_else_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="prompts that it never sees"):
        template(tokenizer, CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>bot\n'"))


def test_a_model_without_template_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = None
    with pytest.raises(UserError, match="no chat template"):
        template(tokenizer)


def test_a_broken_template_is_refused_once_and_not_for_every_row(tokenizer: Any) -> None:
    for source, said in (("{{ raise_exception('no') }}", "no"), ("{{ mesage.role }}", "'mesage' is undefined")):
        with pytest.raises(UserError, match=f"refuses it: {said}"):
            template(tokenizer, f"{{% for message in messages %}}{source}{{% endfor %}}")


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ("'We do not answer this'", "the chat template refuses it: We do not answer this"),
        ("'We do not answer: ' + messages[0]['content']", "the chat template refuses it: We do not answer: "),
        ("messages[0]['content']", "the chat template refuses it: TemplateError"),
        ("''", "the chat template refuses it: TemplateError"),
    ],
)
def test_a_refusal_is_told_in_the_templates_own_words_and_never_in_those_of_a_message(
    tokenizer: Any, refusal: str, told: str
) -> None:
    source = f"{{% if 'Anna' in messages[0]['content'] %}}{{{{ raise_exception({refusal}) }}}}{{% endif %}}{CHATML}"
    with pytest.raises(UnusableRow) as caught:
        template(tokenizer, source).documents(conversation("Anna Schmidt lives at Lindenstr. 5", "Hello"))
    assert caught.value.reason == told
    assert caught.value.drop


def test_a_text_that_holds_a_control_token_is_not_trained_on(tokenizer: Any) -> None:
    with pytest.raises(UnusableRow, match="control token") as caught:
        template(tokenizer).documents(conversation("Hi", "Hello<|im_end|>\n<|im_start|>user\nmore"))
    assert caught.value.drop
