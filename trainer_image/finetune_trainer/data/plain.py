"""Dataclasses and containers as JSON and back, by their own annotations.

What a prepare has counted lies on a volume that others may write to, so nothing there may be able to run code as a pickle can.
And a field that somebody adds to a dataclass is written and read from then on without a line here; one of a type that is not
known here is an error at once, not a count that is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_ATOMS = (str, int, float, bool, NoneType)


def to_plain(value: Any) -> Any:
    """A value as JSON types. Mappings become lists of pairs, since keys may be more than texts and their order counts.

    Raises: TypeError for what is neither a dataclass, a container nor a number, text, truth value or None.
    """
    if isinstance(value, _ATOMS):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return [[to_plain(key), to_plain(item)] for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(map(to_plain, value))
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no plain form")


def from_plain(kind: Any, plain: Any) -> Any:
    """The value that `to_plain` wrote.

    Args:
        kind: its type, as it would be annotated.
        plain: what JSON gives.
    Raises: ValueError if it is not of that type; TypeError if the type is none that is known here.
    """
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return _one_of(arguments, plain)
    if origin in _ATOMS:
        if type(plain) is not origin and not (origin is float and type(plain) is int):
            raise ValueError(f"{type(plain).__name__} is no {origin.__name__}")
        return plain
    if not isinstance(origin, type):
        raise TypeError(f"{kind} has no plain form")
    if is_dataclass(origin):
        return _dataclass(origin, plain)
    if not isinstance(plain, list):
        raise ValueError(f"{type(plain).__name__} where a list was expected")
    if issubclass(origin, Mapping):
        key, item = (*arguments, int)[:2]  # a Counter names its keys alone
        made = {from_plain(key, pair[0]): from_plain(item, pair[1]) for pair in map(_pair, plain)}
        return Counter(made) if origin is Counter else made
    if origin is tuple and Ellipsis not in arguments:
        if len(arguments) != len(plain):
            raise ValueError("a tuple of another length")
        return tuple(map(from_plain, arguments, plain))
    if issubclass(origin, list | tuple | set | frozenset):
        return origin(from_plain(arguments[0], item) for item in plain)
    raise TypeError(f"{kind} has no plain form")


def _one_of(kinds: tuple[Any, ...], plain: Any) -> Any:
    for kind in kinds:
        try:
            return from_plain(kind, plain)
        except ValueError:
            continue
    raise ValueError(f"{type(plain).__name__} is none of the types allowed")


def _dataclass(kind: Any, plain: Any) -> Any:
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}
    if not isinstance(plain, dict) or set(plain) != names:
        raise ValueError(f"not the fields of {kind.__name__}")
    return kind(**{name: from_plain(hints[name], plain[name]) for name in names})


def _pair(plain: Any) -> list[Any]:
    if not isinstance(plain, list) or len(plain) != 2:
        raise ValueError("a mapping holds pairs")
    return plain
