"""From rows to examples: what a dataset was taken for (detect.py) says what the fields of its rows mean.

Nothing is repaired in silence: a row is used, dropped with a named reason, or a problem with its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from finetune_trainer.data.inputs.tickets import ticket_turns

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "function": "tool",
}
"""Role names in the wild, and ours."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a dataset was taken for."""

    format: str
    fields: Mapping[str, str]
    """Meaning to field name, such as prompt -> question."""
    because: str
    unused: tuple[str, ...] = ()
    """Fields of the manifest that say nothing here, each as a sentence."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: str
    content: str
    trained: bool = True
    """Whether an assistant turn has loss."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row, understood. Either `messages` or `text` is set."""

    messages: tuple[Message, ...] = ()
    text: str | None = None
    label: str | None = None
    weight: float = 1.0
    group: str | None = None


class UnusableRow(Exception):
    """A row that does not fit: `reason` is counted, `drop` says whether it may be left out or must be mended."""

    def __init__(self, reason: str, *, drop: bool, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.drop = drop
        self.field = field


def to_example(row: Mapping[str, Any], shape: Shape, *, group_by: str | None) -> Example:
    """Understand one row.

    Raises: UnusableRow with the reason, never with the content.
    """
    fields = shape.fields
    weight = _weight(row, fields.get("weight"))
    group = _group(row, group_by)
    match shape.format:
        case "messages":
            return Example(messages=_messages(_required(row, fields["messages"])), weight=weight, group=group)
        case "tickets":
            turns = tuple(Message(role, text) for role, text in ticket_turns(row))
            if not turns:
                raise UnusableRow("the ticket has no public answer", drop=True)
            return Example(messages=turns, weight=weight, group=group)
        case "instruction" | "prompt_completion":
            return Example(messages=_turns(row, fields), weight=weight, group=group)
        case "classification":
            label = _required(row, fields["label"])
            if isinstance(label, bool) or not isinstance(label, str | int):
                raise UnusableRow("the label is neither text nor a whole number", drop=False, field=fields["label"])
            return Example(text=_string(row, fields["text"]), label=str(label), weight=weight, group=group)
        case _:
            return Example(text=_string(row, fields["text"]), weight=weight, group=group)


def lookup(row: Mapping[str, Any], path: str) -> Any:
    """A field of a row; a dot goes into objects unless the whole path is a field. None if it is not there."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def group_of(row: Mapping[str, Any], name: str) -> str | None:
    """The group that a row names; None if it names none. Numbers that are equal are one group: a column of whole numbers that
    had a gap when somebody wrote it holds 17.0 where another file has 17."""
    value = lookup(row, name)
    if value is None or isinstance(value, Mapping | list):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _required(row: Mapping[str, Any], name: str) -> Any:
    value = lookup(row, name)
    if value is None:
        raise UnusableRow(f'has no field "{name}"', drop=False, field=name)
    return value


def _string(row: Mapping[str, Any], name: str) -> str:
    value = _required(row, name)
    if not isinstance(value, str):
        raise UnusableRow(f'field "{name}" is not text', drop=False, field=name)
    if not value.strip():
        raise UnusableRow(f'field "{name}" is empty', drop=False, field=name)
    return value


def _weight(row: Mapping[str, Any], name: str | None) -> float:
    value = lookup(row, name) if name else None
    if value is None:
        return 1.0
    try:
        weight = float(value)
    except (TypeError, ValueError, OverflowError):
        weight = -1.0
    if not 0 <= weight < float("inf") or isinstance(value, bool):
        raise UnusableRow(
            f'field "{name}" is no weight: a number >= 0, with a decimal point, is needed', drop=False, field=name
        )
    return weight


def _group(row: Mapping[str, Any], name: str | None) -> str | None:
    if name is None:
        return None
    found = group_of(row, name)
    if found is None:
        raise UnusableRow(f'has no field "{name}", which preparation.split.groupBy names', drop=False)
    return found


def _turns(row: Mapping[str, Any], fields: Mapping[str, str]) -> tuple[Message, ...]:
    """Prompt and completion, each a text or a list of messages."""
    prompt, completion = _required(row, fields["prompt"]), _required(row, fields["completion"])
    if isinstance(prompt, list) or isinstance(completion, list):
        before = _raw_messages(prompt) if isinstance(prompt, list) else [Message("user", _string(row, fields["prompt"]))]
        before = [Message(m.role, m.content, trained=False) for m in before]
        after = (
            _raw_messages(completion)
            if isinstance(completion, list)
            else [Message("assistant", _string(row, fields["completion"]))]
        )
        return _checked((*before, *after))
    question = _string(row, fields["prompt"])
    if "input" in fields and isinstance(more := lookup(row, fields["input"]), str) and more.strip():
        question = f"{question}\n\n{more}"
    system = lookup(row, fields["system"]) if "system" in fields else None
    opening = (Message("system", system),) if isinstance(system, str) and system.strip() else ()
    return (*opening, Message("user", question), Message("assistant", _string(row, fields["completion"])))


def _messages(value: Any) -> tuple[Message, ...]:
    return _checked(tuple(_raw_messages(value)))


def _raw_messages(value: Any) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise UnusableRow("the messages are no list, or an empty one", drop=False)
    found = []
    for item in value:
        if not isinstance(item, Mapping):
            raise UnusableRow("a message is not an object", drop=False)
        role = ROLES.get(str(item.get("role", item.get("from", ""))).lower())
        content = item.get("content", item.get("value"))
        if role is None:
            raise UnusableRow("a message has an unknown role", drop=False)
        if role == "tool" or item.get("tool_calls"):
            raise UnusableRow("calls a tool, which is not supported", drop=True)
        if not isinstance(content, str):
            raise UnusableRow("a message has no text", drop=False)
        weight = item.get("weight", 1)
        if weight not in (0, 1):
            raise UnusableRow("the weight of a message must be 0 or 1", drop=False)
        found.append(Message(role, content, trained=bool(weight)))
    return found


def _checked(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Turns in an order that a template can render, ending with an answer that is not empty."""
    turns = [message for message in messages if message.role != "system"]
    if not turns or turns[0].role == "assistant":
        raise UnusableRow("begins with an answer", drop=True)
    if any(one.role == two.role for one, two in pairwise(turns)):
        raise UnusableRow("has two turns of the same role in a row", drop=True)
    if turns[-1].role != "assistant":
        raise UnusableRow("ends without an answer", drop=True)
    if not turns[-1].content.strip():
        raise UnusableRow("the answer is empty", drop=False)
    if not any(message.trained for message in turns if message.role == "assistant"):
        raise UnusableRow("has no answer with weight 1", drop=True)
    return messages
