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
    "weight": 1,
    "since": "2026-01-31",
    "until": "2026-01-31",
    "asOf": "2026-01-31",
    "metric": "loss",
    "name": "a",
    "size": "1Gi",
    "cpu": "1",
    "memory": "1Gi",
    "sharedMemory": "1Gi",
    "pattern": "KD",
    "address": "tcp://a:1",
    "preparation.anonymize.patterns[].name": "A",
    "preparation.clean.boilerplatePhrases[]": "abc",
    "preparation.clean.languages[]": "de",
}
"""Valid values by path, or else by the last part of a path, for required neighbours and for strings of a given form."""

BESIDE: dict[str, dict[str, Any]] = {
    "command": {"image": "mine:1"},
    "command[]": {"image": "mine:1"},
    "evaluation.gates[].suite": {"evaluation.suites": "same name"},
    "preparation.nearSimilarity": {"preparation.deduplicate": "near"},
    "preparation.weighting.rules[].halfLifeDays": {"preparation.weighting.rules[].asOf": "2026-01-31"},
    "preparation.weighting.rules[].asOf": {"preparation.weighting.rules[].halfLifeDays": 1},
    "preparation.weighting.relevance.min": {"preparation.weighting.relevance.description": "a"},
    "preparation.weighting.relevance.max": {"preparation.weighting.relevance.description": "a"},
    "preparation.weighting.quality.field": {
        "preparation.weighting.quality.worst": 0,
        "preparation.weighting.quality.best": 1,
    },
    "preparation.split.validation": {"preparation.split.test": 0},
    "preparation.split.test": {"preparation.split.validation": 0},
    "resources.nodes": {"workspace.accessMode": "ReadWriteMany"},
}
"""What another field has to say so that this one may have any value within its bounds."""

BESIDE_ALL_BELOW = {"preparation.anonymize.detectors": {"preparation.anonymize.strategy": "mask"}}
"""The same for all fields of a block."""

MALFORMED = {
    "pattern": "(a+)+",
    "preparation.anonymize.patterns[].name": "a",
    "uri": "ftp://a/b",
    "address": "ftp://a:1",
    "name": "A_",
    "suite": "A_",
    "cpu": "-1",
    "memory": "1 Gi",
    "sharedMemory": "1gb",
    "size": "big",
    "since": "2026-02-30",
    "until": "2026-13-01",
    "asOf": "30.11.2026",
}
"""Values of no valid form, found like the examples."""
_CONDITIONS = ("equals", "oneOf", "oneOf[]", "contains", "since", "until", "halfLifeDays", "asOf")
"""Of a weight rule, in place of the one that the example has."""
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
    if "minLength" in node:
        yield "minLength", str(_known(EXAMPLES, path, "a")), ""
    if "maxLength" in node:
        most = node["maxLength"]
        start = str(_known(EXAMPLES, path, "a"))
        yield "maxLength", start.ljust(most, start[-1]), start.ljust(most + 1, start[-1])
    if "pattern" in node:
        yield "pattern", _known(EXAMPLES, path, "a"), _known(MALFORMED, path, "-a")
    if "minItems" in node:
        yield "minItems", _items(node, path, node["minItems"]), []
    if "maxItems" in node:
        yield "maxItems", _items(node, path, node["maxItems"]), _items(node, path, node["maxItems"] + 1)
    if "maxProperties" in node:
        most = node["maxProperties"]
        value = node["additionalProperties"].get("enum", ["v"])[0]
        yield "maxProperties", {f"k{i}": value for i in range(most)}, {f"k{i}": value for i in range(most + 1)}


def _known(table: dict[str, Any], path: str, otherwise: Any = None) -> Any:
    """What a table has for a path, or for its last part."""
    last = path.rpartition(".")[2].removesuffix("[]")
    return table.get(path, table.get(last, otherwise))


def _items(node: Schema, path: str, count: int) -> list[Any]:
    return [_example(node["items"], f"{path}[]", number) for number in range(count)]


def _example(node: Schema, path: str, number: int = 0) -> Any:
    """A valid value: of an object all that it requires, named apart by number."""
    if "enum" in node:
        return node["enum"][0]
    if node.get("type") != "object":
        return _known(EXAMPLES, path, "a")
    made = _required(node, path)
    if "name" in made:
        made["name"] += str(number)
    if "minImprovement" in node.get("properties", {}):  # a gate has exactly one bound
        made["maxValue"] = 1
    if "halfLifeDays" in node.get("properties", {}):  # a weight rule has exactly one condition
        made["present"] = True
    return made


def _required(node: Schema, path: str) -> dict[str, Any]:
    made = {name: _known(EXAMPLES, f"{path}.{name}") for name in node.get("required", [])}
    unknown = [f"{path}.{name}" for name, value in made.items() if value is None]
    assert not unknown, f"bounds.py has no example for {', '.join(unknown)}"
    return made


def _around(spec: Schema, path: str, value: Any) -> dict[str, Any]:
    """The blocks of a spec in which one field has this value and all else is valid."""
    made: dict[str, Any] = {}
    _put(spec, made, path, value)
    above = [said for block, said in BESIDE_ALL_BELOW.items() if path.startswith(block)]
    for other, said in [pair for table in (BESIDE.get(path, {}), *above) for pair in table.items()]:
        if said == "same name":
            said = [{"name": value, "uri": "s3://a/b"}] if value else []
        _put(spec, made, other, said)
    return made


def _put(node: Schema, made: dict[str, Any], path: str, value: Any, above: str = "") -> None:
    first, _, rest = path.partition(".")
    name = first.removesuffix("[]")
    inner = node["properties"][name]
    here = f"{above}.{first}".lstrip(".")
    if not rest:
        made[name] = [value] if first.endswith("[]") else value
    elif first.endswith("[]"):
        made.setdefault(name, [_example(inner["items"], here)])
        item = made[name][0]
        if rest in ("minImprovement", "maxRegression"):
            item.pop("maxValue")
        if rest in _CONDITIONS:
            item.pop("present", None)
        _put(inner["items"], item, rest, value, here)
    else:
        made.setdefault(name, _required(inner, here))
        _put(inner, made[name], rest, value, here)
