"""Every bound of a structural schema as a case: a value on the bound, which is taken, and one just beyond, which is refused.

The schema tells the bounds, so none is forgotten; what the schema cannot tell, a valid neighbour or the word that another field
has to say, stands in the tables below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

EXAMPLES: dict[str, Any] = {
    "uri": "s3://a/b",
    "field": "priority",
    "equals": "high",
    "weight": 1,
    "metric": "loss",
    "name": "a",
    "size": "1Gi",
    "cpu": "1",
    "memory": "1Gi",
    "sharedMemory": "1Gi",
}
"""Valid values by the last part of a path, for required neighbours and for strings of a given form."""

BESIDE: dict[str, dict[str, Any]] = {
    "command": {"image": "mine:1"},
    "command[]": {"image": "mine:1"},
    "evaluation.gates[].suite": {"evaluation.suites": "same name"},
    "preparation.split.validation": {"preparation.split.test": 0},
    "preparation.split.test": {"preparation.split.validation": 0},
    "resources.nodes": {"workspace.accessMode": "ReadWriteMany"},
}
"""What another field has to say so that this one may have any value within its bounds."""

MALFORMED = {
    "uri": "ftp://a/b",
    "name": "A_",
    "suite": "A_",
    "cpu": "-1",
    "memory": "1 Gi",
    "sharedMemory": "1gb",
    "size": "big",
}
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound of one field: specs of a manifest, without what every manifest needs."""

    path: str
    what: str
    within: dict[str, Any]
    beyond: dict[str, Any]


def bounds(spec: Schema) -> Iterator[Bound]:
    """Every bound below `spec`."""
    for path, node in _places(spec, ""):
        for what, within, beyond in _cases(path, node):
            yield Bound(path, what, _around(spec, path, within), _around(spec, path, beyond))


def _places(node: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    if path:
        yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from _places(inner, f"{path}.{name}".lstrip("."))
    if isinstance(node.get("items"), dict):
        yield from _places(node["items"], f"{path}[]")


def _cases(path: str, node: Schema) -> Iterator[tuple[str, Any, Any]]:
    """Name of the bound, a value on it, a value beyond it."""
    step: float = 1 if node.get("type") == "integer" else _TINY
    if "minimum" in node:
        low = node["minimum"]
        exclusive = node.get("exclusiveMinimum", False)
        yield ("minimum", low + step, low) if exclusive else ("minimum", low, low - step)
    if "maximum" in node:
        high = node["maximum"]
        exclusive = node.get("exclusiveMaximum", False)
        yield ("maximum", high - step, high) if exclusive else ("maximum", high, high + step)
    if "enum" in node:
        yield "enum", node["enum"][0], "something-else"
    last = path.rpartition(".")[2].removesuffix("[]")
    if "minLength" in node:
        yield "minLength", str(EXAMPLES.get(last, "a")), ""
    if "maxLength" in node:
        most = node["maxLength"]
        start = EXAMPLES.get(last, "a") if last == "uri" else "a"
        yield "maxLength", start.ljust(most, "b"), start.ljust(most + 1, "b")
    if "pattern" in node:
        yield "pattern", EXAMPLES.get(last, "a"), MALFORMED.get(last, "-a")
    if "minItems" in node:
        yield "minItems", _items(node, node["minItems"]), []
    if "maxItems" in node:
        yield "maxItems", _items(node, node["maxItems"]), _items(node, node["maxItems"] + 1)
    if "maxProperties" in node:
        most = node["maxProperties"]
        yield "maxProperties", {f"k{i}": "v" for i in range(most)}, {f"k{i}": "v" for i in range(most + 1)}


def _items(node: Schema, count: int) -> list[Any]:
    return [_example(node["items"], number) for number in range(count)]


def _example(node: Schema, number: int = 0) -> Any:
    """A valid value: of an object all that it requires, named apart by number."""
    if "enum" in node:
        return node["enum"][0]
    if node.get("type") != "object":
        return "a"
    made = {name: EXAMPLES[name] for name in node.get("required", [])}
    if "name" in made:
        made["name"] = f"a{number}"
    if "minImprovement" in node.get("properties", {}):  # a gate has exactly one bound
        made["maxValue"] = 1
    return made


def _around(spec: Schema, path: str, value: Any) -> dict[str, Any]:
    """The blocks of a spec in which one field has this value and all else is valid."""
    made: dict[str, Any] = {}
    _put(spec, made, path, value)
    for other, said in BESIDE.get(path, {}).items():
        if said == "same name":
            said = [{"name": value, "uri": "s3://a/b"}] if value else []
        _put(spec, made, other, said)
    return made


def _put(node: Schema, made: dict[str, Any], path: str, value: Any) -> None:
    first, _, rest = path.partition(".")
    name = first.removesuffix("[]")
    inner = node["properties"][name]
    if not rest:
        made[name] = [value] if first.endswith("[]") else value
    elif first.endswith("[]"):
        made.setdefault(name, [_example(inner["items"])])
        item = made[name][0]
        if rest in ("minImprovement", "maxRegression"):
            item.pop("maxValue")
        _put(inner["items"], item, rest, value)
    else:
        made.setdefault(name, {key: EXAMPLES[key] for key in inner.get("required", [])})
        _put(inner, made[name], rest, value)
