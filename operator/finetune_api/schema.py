"""From pydantic models to the structural schema that Kubernetes demands, or a refusal.

Pydantic writes JSON Schema; Kubernetes takes a subset of OpenAPI 3.0 with extensions, and drops, rejects or misreads the
rest. What cannot be said exactly is refused here, at build time, rather than by somebody's API server. Each rule was
tried on Kubernetes 1.36.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_KEPT = {
    "type", "properties", "items", "additionalProperties", "required", "description", "default", "enum", "format",
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "minItems", "maxItems", "minProperties", "maxProperties",
}  # fmt: skip
_DROPPED = {"title", "examples", "deprecated"}
_FORMATS = {"date-time"}
_NOT_RE2 = re.compile(r"\(\?(?!:)|\\[1-9Z]")
_READING_ORDER = ("description", "type", "default", "enum")


class SchemaError(ValueError):
    """The model says something that a structural schema cannot say."""


def structural_schema(model: type[BaseModel], path: str, *, defaults: bool = True) -> Schema:
    """The structural schema of a model.

    Args:
        model: a model with aliases as Kubernetes will see them.
        path: where it stands, for messages.
        defaults: whether defaults go into the schema; a status has none, because the operator writes it whole.
    Raises: SchemaError with the path of what cannot be expressed.
    """
    raw = model.model_json_schema(by_alias=True)
    definitions = raw.pop("$defs", {})
    return _convert(raw, definitions, path, (), defaults)


def _convert(node: Schema, definitions: Schema, path: str, seen: tuple[str, ...], defaults: bool) -> Schema:
    node = copy.deepcopy(node)
    if reference := node.pop("$ref", None):
        name = reference.removeprefix("#/$defs/")
        if name in seen:
            raise SchemaError(f"{path}: {name} contains itself")
        # The words of the field say more than those of its type.
        return _convert({**definitions[name], **node}, definitions, path, (*seen, name), defaults)
    if branches := node.pop("anyOf", None):
        return _convert(_optional(node, branches, path), definitions, path, seen, defaults)
    if "oneOf" in node or "allOf" in node or "discriminator" in node:
        raise SchemaError(f"{path}: a union is not structural; use an enum, optional siblings and a rule")
    if node.pop("uniqueItems", False) or "prefixItems" in node:
        raise SchemaError(f"{path}: sets and fixed tuples are not structural; use a list")
    if "const" in node:
        node["enum"] = [node.pop("const")]
    for bound, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in node:  # JSON Schema has a number here, OpenAPI 3.0 a Boolean beside the bound
            node[plain], node[bound] = node[bound], True
    _additional(node, definitions, path, seen, defaults)
    if not defaults or node.get("default", 0) is None:
        node.pop("default", None)
    if "properties" in node:
        node["properties"] = {
            key: _convert(value, definitions, f"{path}.{key}", seen, defaults) for key, value in node["properties"].items()
        }
        if node.get("default"):
            node["default"] = _default(node)
        if not defaults:  # what the operator has not written yet is simply not there
            node.pop("required", None)
    if "items" in node:
        _items(node, definitions, path, seen, defaults)
    return _checked(node, path)


def _default(node: Schema) -> Schema:
    """Nothing, since the properties' own defaults fill it in; where there are rules in full, because the server tries them on
    the default as it stands and refuses a definition whose default lacks what a rule reads."""
    if "x-kubernetes-validations" not in node:
        return {}
    return {key: copy.deepcopy(value["default"]) for key, value in node["properties"].items() if "default" in value}


def _optional(node: Schema, branches: list[Schema], path: str) -> Schema:
    """`X | None` becomes an optional X: Kubernetes drops an explicit null on write."""
    real = [branch for branch in branches if branch != {"type": "null"}]
    if len(real) != 1:
        raise SchemaError(f"{path}: a union is not structural; use an enum, optional siblings and a rule")
    return {**real[0], **node}


def _additional(node: Schema, definitions: Schema, path: str, seen: tuple[str, ...], defaults: bool) -> None:
    extra = node.pop("additionalProperties", None)
    if extra is False:
        raise SchemaError(f"{path}: extra='forbid' cannot be said in a CRD: the server prunes; use extra='ignore'")
    if isinstance(extra, dict) and extra:
        node["additionalProperties"] = _convert(extra, definitions, f"{path}.*", seen, defaults)
    elif extra is not None:
        node["x-kubernetes-preserve-unknown-fields"] = True


def _items(node: Schema, definitions: Schema, path: str, seen: tuple[str, ...], defaults: bool) -> None:
    if "maxItems" not in node:
        raise SchemaError(f"{path}: a list needs max_length, or any rule above it exceeds the server's cost budget")
    node["items"] = _convert(node["items"], definitions, f"{path}[]", seen, defaults)
    node.setdefault("x-kubernetes-list-type", "atomic")
    if _has_default(node["items"]):
        raise SchemaError(f"{path}: defaults inside list items make GitOps tools report drift for ever; let plan resolve them")
    if node["x-kubernetes-list-type"] == "map":
        # A key of a list map must be required, whatever the rest of a status says.
        node["items"]["required"] = sorted({*node["items"].get("required", []), *node["x-kubernetes-list-map-keys"]})


def _has_default(node: Schema) -> bool:
    below = [*node.get("properties", {}).values(), *([node["additionalProperties"]] if "additionalProperties" in node else [])]
    return any("default" in inner or _has_default(inner) for inner in below)


def _checked(node: Schema, path: str) -> Schema:
    unsupported = {key for key in node if key not in _KEPT | _DROPPED and not key.startswith("x-kubernetes-")}
    if unsupported:
        raise SchemaError(f"{path}: unsupported {', '.join(sorted(unsupported))}")
    if node.get("format") not in {None, *_FORMATS}:
        raise SchemaError(f"{path}: format {node['format']!r} means something else to Kubernetes")
    if _NOT_RE2.search(node.get("pattern", "")):
        raise SchemaError(f"{path}: a pattern must be RE2: no lookahead, no named groups, no backward references, no \\Z")
    if "type" not in node and "x-kubernetes-int-or-string" not in node:
        raise SchemaError(f"{path}: without a type a rule could not read it; use dict[str, Any] for raw parts")
    if "description" in node:
        node["description"] = " ".join(node["description"].split())  # line ends of the source mean nothing to a reader
    first = [key for key in _READING_ORDER if key in node]
    return {key: node[key] for key in first + [key for key in node if key not in (*first, *_DROPPED)]}
