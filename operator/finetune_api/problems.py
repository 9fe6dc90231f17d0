"""What pydantic found wrong, in our words: the place as a person writes it, the value that stands there, what is allowed.

Its own sentences speak of types and inputs, name the parts of a union as if they were keys, and say the same of a list and of
each of its items.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from finetune_api.errors import Problem

_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", re.IGNORECASE)
_TRUTH = re.compile(r"true|false|yes|no|on|off", re.IGNORECASE)


def problems_of(error: ValidationError, raw: Any, path: str) -> list[Problem]:
    """What pydantic found, each place once, in the order of the model.

    Args:
        error: of a model that was read from `raw`.
        raw: plain JSON types.
        path: where `raw` stands in the manifest; empty: it is all of it.
    """
    seen: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        place, value = _place(detail["loc"], raw, path)
        if detail["type"] == "too_short" and value:
            continue  # only because each of its items is broken, which is said already
        seen.setdefault(place, Problem(place, _sentence(detail, value)))
    return list(seen.values())


def _sentence(detail: ErrorDetails, value: Any) -> str:
    context = detail.get("ctx", {})
    got = f", not {_show(value)}"
    match detail["type"]:
        case "missing":
            return "is required"
        case "literal_error" | "enum":
            allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
            near = difflib.get_close_matches(str(value), allowed.split(", "), 1)
            if "," not in allowed:
                return f"must be {allowed}{got}"
            return f"must be one of {allowed}{got}.{f' Did you mean {near[0]}?' if near else ''}".rstrip(".")
        case "greater_than_equal":
            return f"must be at least {_bound(context['ge'])}{got}"
        case "greater_than":
            return f"must be greater than {_bound(context['gt'])}{got}"
        case "less_than_equal":
            return f"must be at most {_bound(context['le'])}{got}"
        case "less_than":
            return f"must be less than {_bound(context['lt'])}{got}"
        case "string_too_short" | "too_short":
            return "must not be empty" if context["min_length"] == 1 else f"is too short{got}"
        case "string_too_long" | "too_long":
            return f"is too long: at most {context['max_length']}"
        case "string_type":
            return f"must be text{got}{'; put it in quotes' if isinstance(value, int | float | bool) else ''}"
        case "int_type" | "int_from_float" | "int_parsing":
            return f"must be a whole number{got}{_quoted(value, _NUMBER)}"
        case "float_type" | "float_parsing":
            chosen = "; leave it out to have it chosen" if value == "auto" else ""
            return f"must be a number{got}{chosen}{_quoted(value, _NUMBER)}"
        case "bool_type" | "bool_parsing":
            return f"must be true or false{got}{_quoted(value, _TRUTH)}"
        case "tuple_type" | "list_type":
            return f"must be a list{got}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"must be a mapping{got}"
        case "not_auto":
            return f"{detail['msg']}{got}{_quoted(value, _NUMBER)}"
        case "not_matching" | "not_quantity":
            return f"{detail['msg']}{got}"
        case _:
            return f"{detail['msg'][0].lower()}{detail['msg'][1:]}{got}"


def _place(loc: tuple[int | str, ...], raw: Any, path: str) -> tuple[str, Any]:
    """The path as a person writes it, and the value that stands there. Ends where the manifest ends."""
    value = raw
    for part in loc:
        if isinstance(part, int):
            path = f"{path}[{part}]"
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif isinstance(value, Mapping):
            path = f"{path}.{part}" if path else part
            value = value.get(part)
        else:
            break  # a branch of a union, not a key
    return path, value


def _quoted(value: Any, meant: re.Pattern[str]) -> str:
    """What to do where quotes made a text of it; a number too large to be one is a text for kubectl too."""
    if not isinstance(value, str) or not meant.fullmatch(value):
        return ""
    return "; remove the quotes" if meant is not _NUMBER or math.isfinite(float(value)) else "; no number is so large"


def _bound(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else str(value)


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
