"""From rows to examples: which of the common shapes a dataset has, and what its fields mean.

Public datasets call the same thing by many names. The first rows decide what a dataset is taken for, and the report says
so and why; afterwards every row must fit. Nothing is repaired in silence: a row is used, dropped with a named reason, or
a problem with its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from finetune_api.v1alpha1.data import DataFormat, FieldMapping
from finetune_api.v1alpha1.evaluation import Task

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

_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "messages": {"messages": ("messages", "conversations", "conversation", "dialogue")},
    "instruction": {
        "prompt": ("instruction",),
        "completion": ("output", "response", "completion", "answer"),
        "input": ("input", "context"),
        "system": ("system", "system_prompt"),
    },
    "prompt_completion": {
        "prompt": ("prompt", "question", "query", "input", "source"),
        "completion": ("completion", "answer", "response", "output", "target", "reply"),
        "system": ("system", "system_prompt"),
    },
    "classification": {
        "text": ("text", "sentence", "content", "document", "input"),
        "label": ("label", "labels", "category", "class", "intent", "target"),
    },
    "text": {"text": ("text", "content", "document", "body")},
}
"""Formats in the order in which they are tried, with the usual names of their fields."""

_REQUIRED = {
    "messages": ("messages",),
    "instruction": ("prompt", "completion"),
    "prompt_completion": ("prompt", "completion"),
    "classification": ("text", "label"),
    "text": ("text",),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a dataset was taken for."""

    format: str
    fields: Mapping[str, str]
    """Meaning to field name, such as prompt -> question."""
    because: str


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


def detect(rows: Sequence[Mapping[str, Any]], *, task: Task, said: DataFormat, fields: FieldMapping) -> Shape | None:
    """Say what a dataset is, from its first rows.

    Args:
        rows: the first rows, at least one.
        task: what the model learns; text with a label is classification only there.
        said: the format in the manifest; `auto` decides here.
        fields: field names in the manifest, which win over the usual ones.
    Returns: the shape, or None if no format fits the first row; the caller knows the place.
    """
    renamed = fields.model_dump(exclude_none=True)
    candidates = [said] if said != "auto" else [f for f in _NAMES if (f == "classification") == (task == "classification")]
    first = rows[0]
    for candidate in candidates:
        known = {meaning: (renamed[meaning],) if meaning in renamed else names for meaning, names in _NAMES[candidate].items()}
        found = {
            meaning: next((name for name in names if name in first), names[0])
            for meaning, names in known.items()
            if meaning in renamed or meaning in _REQUIRED[candidate] or any(name in first for name in names)
        }
        if all(found[meaning] in first for meaning in _REQUIRED[candidate]) or said != "auto":
            if candidate == "instruction" and found["prompt"] == found.get("input"):
                del found["input"]
            if renamed.get("weight"):
                found["weight"] = renamed["weight"]
            return Shape(candidate, found, _because(candidate, found, said))
    return None


def _because(candidate: str, found: Mapping[str, str], said: DataFormat) -> str:
    used = ", ".join(f"{meaning} from {name!r}" for meaning, name in found.items())
    return f"the manifest says {candidate}; {used}" if said != "auto" else f"the first row has {used}"


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
    except (TypeError, ValueError):
        weight = -1.0
    if not 0 <= weight < float("inf") or isinstance(value, bool):
        raise UnusableRow(f'field "{name}" is no weight: a number >= 0 is needed', drop=False, field=name)
    return weight


def _group(row: Mapping[str, Any], name: str | None) -> str | None:
    if name is None:
        return None
    value = lookup(row, name)
    if value is None or isinstance(value, Mapping | list):
        raise UnusableRow(f'has no field "{name}" to group by', drop=False, field=name)
    return str(value)


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
