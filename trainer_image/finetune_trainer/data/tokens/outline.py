"""What a chat template writes around the texts of a conversation, worked out once per order of roles.

Rendering a template for each row is a fifth of preparing it, though nearly every template writes the same around any text.
Whether one does cannot be seen from samples: some look for a thought in an answer, or shorten what is long. So the template is
run on texts that notice what is done to them. Writing one out, joining it to others and trimming it are allowed; whatever else
is done (a comparison, a search, a filter) shows that the outcome may depend on the text, and such a template is rendered for
each row as before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Part = str | tuple[int, bool]
"""Constant text, or the text of a message by its number and whether it is trimmed."""

Outline = tuple[Part, ...]

_OPEN, _AS_IT_IS, _TRIMMED = "\ue000", "\ue001", "\ue002"  # private use: in no template, checked all the same
_MARK = re.compile(f"{_OPEN}([0-9]+)([{_AS_IT_IS}{_TRIMMED}])")
_HARMLESS_FILTERS = frozenset({"trim"})
_HARMLESS_TESTS = frozenset({"defined", "undefined", "none", "string", "mapping", "boolean"})


class _LookedAt(Exception):
    """The template did something to a text that could depend on what it says."""


class _Noticing(str):
    """A text that stands for any text: may be joined and, alone, trimmed, and refuses everything else."""

    number: int | None
    """Of its message; None for what was joined."""

    @classmethod
    def of(cls, number: int) -> _Noticing:
        text = cls(f"{_OPEN}{number}{_AS_IT_IS}")
        text.number = number
        return text

    @classmethod
    def joined(cls, text: str) -> _Noticing:
        made = cls(text)
        made.number = None
        return made

    def __add__(self, other: Any) -> _Noticing:
        return _Noticing.joined(str.__add__(self, other))

    def __radd__(self, other: str) -> _Noticing:
        return _Noticing.joined(str.__add__(other, self))

    def strip(self, chars: Any = None, /) -> _Noticing:
        if self.number is None or chars is not None:
            raise _LookedAt("strip")
        trimmed = _Noticing(f"{_OPEN}{self.number}{_TRIMMED}")
        trimmed.number = self.number
        return trimmed

    def __str__(self) -> str:
        return str.__str__(self)


def _refuse(name: str) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise _LookedAt(name)

    return refuse


_NEEDED = frozenset(
    [
        "__add__",
        "__str__",
        "strip",
        "__new__",
        "__init__",
        "__class__",
        "__getattribute__",
        "__setattr__",
        "__delattr__",
        "__doc__",
        "__init_subclass__",
        "__subclasshook__",
        "__reduce__",
        "__reduce_ex__",
        "__dir__",
        "__sizeof__",
    ]
)
for _name in {*dir(str), "__rmod__", "__rmul__", "__bool__"} - _NEEDED:
    setattr(_Noticing, _name, _refuse(_name))


class Outlines:
    """The outlines that a template gives, or none if it looks at texts.

    Args:
        compiled: the template, as Jinja compiled it.
        source: the same as text.
        names: what it is given beside the messages.
    """

    def __init__(self, compiled: Any, source: str, names: Mapping[str, Any]) -> None:
        self._names = dict(names)
        self._template = None if any(mark in source for mark in (_OPEN, _AS_IT_IS, _TRIMMED)) else _watched(compiled, source)

    def render(self, roles: Sequence[str], *, generation: bool) -> str | None:
        """What is written for messages of these roles, with marks in place of texts; None if that depends on the texts."""
        if self._template is None or not roles:
            return None
        messages = [{"role": role, "content": _Noticing.of(number)} for number, role in enumerate(roles)]
        try:
            return str(self._template.render(messages=messages, add_generation_prompt=generation, **self._names))
        except Exception:  # it looked, or refuses such conversations: then it says so itself where it is rendered for a row
            return None


def parts(marked: str) -> Outline | None:
    """The outline of a text with marks; None if a mark was torn apart."""
    found: list[Part] = []
    position = 0
    for mark in _MARK.finditer(marked):
        found += [marked[position : mark.start()], (int(mark[1]), mark[2] == _TRIMMED)]
        position = mark.end()
    found.append(marked[position:])
    if any(isinstance(part, str) and set(part) & {_OPEN, _AS_IT_IS, _TRIMMED} for part in found):
        return None
    return tuple(part for part in found if part != "")


def fill(outline: Outline, texts: Sequence[str]) -> str:
    """The outline with the texts of a conversation in it."""
    return "".join(
        [part if isinstance(part, str) else texts[part[0]].strip() if part[1] else texts[part[0]] for part in outline]
    )


def _watched(compiled: Any, source: str) -> Any:
    """The template in an environment that hands no text to filters, tests and functions; None where it joins out of sight."""
    from jinja2 import nodes

    class Watching(type(compiled.environment)):  # type: ignore[misc]
        def call(self, context: Any, callable_: Any, /, *arguments: Any, **named: Any) -> Any:
            _refuse_texts((*arguments, *named.values()))
            return super().call(context, callable_, *arguments, **named)

    original = compiled.environment
    tree = original.parse(source)
    # These join texts out of sight: what is done to the result would not be noticed.
    hidden = (nodes.Concat, nodes.AssignBlock, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.Include, nodes.Import)
    if next(tree.find_all((*hidden, nodes.FromImport)), None) is not None:
        return None
    environment = original.overlay()
    environment.__class__ = Watching
    environment.filters = {
        name: made if name in _HARMLESS_FILTERS else _watching(made) for name, made in original.filters.items()
    }
    environment.tests = {name: made if name in _HARMLESS_TESTS else _watching(made) for name, made in original.tests.items()}
    try:
        return environment.from_string(source)
    except Exception:  # it needs something that this environment has not; the template itself is used then
        return None


def _watching(function: Any) -> Any:
    from functools import wraps

    @wraps(function)  # keeps Jinja's marks of functions that want the context
    def watching(*arguments: Any, **named: Any) -> Any:
        _refuse_texts((*arguments, *named.values()))
        return function(*arguments, **named)

    return watching


def _refuse_texts(values: Any) -> None:
    for value in values:
        if isinstance(value, _Noticing):
            raise _LookedAt("an argument")
        if isinstance(value, Mapping):
            _refuse_texts(value.values())
        elif isinstance(value, list | tuple | set):
            _refuse_texts(value)
