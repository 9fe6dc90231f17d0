"""What a dataset is taken for, and what becomes of a row that does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_api.v1alpha1.data import FieldMapping
from finetune_trainer.data.inputs.detect import detect
from finetune_trainer.data.inputs.formats import Example, Message, Shape, UnusableRow, lookup, to_example

CHAT = (Message("user", "Hi"), Message("assistant", "Hello"))


def understood(
    row: dict[str, Any], *, task: Any = "chat", said: Any = "auto", group_by: str | None = None, **fields: str
) -> Example:
    shape = detect([row], task=task, said=said, fields=FieldMapping(**fields))
    assert shape is not None
    return to_example(row, shape, group_by=group_by)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"prompt": "Hi", "completion": "Hello"},
        {"question": "Hi", "answer": "Hello"},
        {"query": "Hi", "response": "Hello"},
        {"instruction": "Hi", "output": "Hello"},
        {"instruction": "Hi", "input": "", "output": "Hello"},
        {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Hello"}]},
        {"prompt": [{"role": "user", "content": "Hi"}], "completion": "Hello"},
    ],
)
def test_the_usual_shapes_are_recognised(row: dict[str, Any]) -> None:
    assert understood(row).messages in (CHAT, (Message("user", "Hi", trained=False), CHAT[1]))


def test_further_input_and_a_system_prompt_go_into_the_conversation() -> None:
    row = {"instruction": "Translate", "input": "Hund", "output": "dog", "system": "Be brief"}
    assert understood(row).messages == (
        Message("system", "Be brief"),
        Message("user", "Translate\n\nHund"),
        Message("assistant", "dog"),
    )


def test_a_text_with_a_label_is_classification_only_where_the_task_is() -> None:
    row = {"text": "It does not print", "label": 3}
    assert understood(row, task="classification") == Example(text="It does not print", label="3")
    assert understood(row) == Example(text="It does not print")


def test_fields_of_other_names_are_mapped() -> None:
    row = {"frage": "Hi", "antwort": "Hello", "wert": "2.5", "kunde": 7}
    example = understood(row, prompt="frage", completion="antwort", weight="wert", group_by="kunde")
    assert (example.messages, example.weight, example.group) == (CHAT, 2.5, "7")


def test_the_report_says_what_it_was_taken_for_and_why() -> None:
    shape = detect([{"question": "Hi", "answer": "Hello"}], task="chat", said="auto", fields=FieldMapping())
    assert shape is not None
    assert shape.format == "prompt_completion"
    assert "prompt from 'question', completion from 'answer'" in shape.because


def test_rows_of_no_known_shape_are_not_guessed() -> None:
    assert detect([{"a": 1, "b": 2}], task="chat", said="auto", fields=FieldMapping()) is None


def test_a_message_of_weight_0_is_not_trained() -> None:
    row = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "weight": 0},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d", "weight": 1},
        ]
    }
    assert [m.trained for m in understood(row).messages if m.role == "assistant"] == [False, True]


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("row", "reason", "drop"),
    [
        ({"prompt": "Hi"}, 'no field "completion"', False),
        ({"prompt": "Hi", "completion": "  "}, "is empty", False),
        ({"prompt": 5, "completion": "x"}, "is not text", False),
        ({"messages": [turn("user", "a")]}, "ends without an answer", True),
        ({"messages": [turn("assistant", "a")]}, "begins with an answer", True),
        ({"messages": [turn("user", "a"), turn("user", "b"), turn("assistant", "c")]}, "two turns of the same role", True),
        ({"messages": [turn("user", "a"), turn("assistant", " ")]}, "the answer is empty", False),
        ({"messages": [turn("wizard", "a"), turn("assistant", "b")]}, "unknown role", False),
        ({"messages": [turn("user", None), turn("assistant", "b")]}, "has no text", False),
        ({"messages": []}, "no list, or an empty one", False),
        ({"messages": [turn("user", "a"), turn("tool", "{}"), turn("assistant", "b")]}, "calls a tool", True),
    ],
)
def test_a_row_that_does_not_fit_is_dropped_with_a_reason_or_must_be_mended(
    row: dict[str, Any], reason: str, drop: bool
) -> None:
    said = "messages" if "messages" in row else "prompt_completion"
    with pytest.raises(UnusableRow) as caught:
        understood(row, said=said)
    assert reason in caught.value.reason
    assert caught.value.drop is drop


@pytest.mark.parametrize("weight", [-1, "much", True, float("inf"), float("nan"), pytest.param(10**400, id="too large")])
def test_a_weight_must_be_a_finite_number_from_0(weight: Any) -> None:
    with pytest.raises(UnusableRow, match="is no weight"):
        understood({"prompt": "Hi", "completion": "x", "w": weight}, weight="w")


def test_numbers_that_are_equal_name_one_group_whatever_type_a_column_got() -> None:
    shape = Shape("text", {"text": "text"}, "a test says so")
    groups = [to_example({"text": "x", "customer": c}, shape, group_by="customer").group for c in (17, 17.0, "17", 1.5)]
    assert groups == ["17", "17", "17", "1.5"]


def test_a_dot_goes_into_objects_unless_the_whole_name_is_a_field() -> None:
    assert lookup({"meta": {"priority": "high"}}, "meta.priority") == "high"
    assert lookup({"meta.priority": "low", "meta": {"priority": "high"}}, "meta.priority") == "low"
    assert lookup({"meta": "text"}, "meta.priority") is None
