"""How deep a manifest may be. Readers of JSON give up at one or two hundred levels, each with an error of its own."""

from __future__ import annotations

from typing import Any

MOST_LEVELS = 100
TOO_DEEP = f"is nested more than {MOST_LEVELS} levels deep"
_SHOWN_PARTS = 3


def too_deep(raw: Any) -> str | None:
    """The beginning of the path to what lies more than MOST_LEVELS mappings and lists deep; None if nothing does."""
    waiting: list[tuple[Any, int, str]] = [(raw, 0, "")]
    while waiting:
        value, level, path = waiting.pop()
        if level > MOST_LEVELS:
            return path
        shown = level < _SHOWN_PARTS
        if isinstance(value, dict):
            waiting += [(v, level + 1, f"{path}.{key}".lstrip(".") if shown else path) for key, v in value.items()]
        elif isinstance(value, list):
            waiting += [(v, level + 1, f"{path}[{i}]" if shown else path) for i, v in enumerate(value)]
    return None
