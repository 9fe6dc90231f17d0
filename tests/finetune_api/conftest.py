"""A small API server: it fills in defaults, checks shapes and evaluates the CEL text of the generated definition."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import cel
import jsonschema
import pytest

from builders import as_json_schema
from finetune_api.crd import custom_resource_definition

Schema = dict[str, Any]


class ApiServer:
    """What the real one does with a manifest, as far as the definition says it."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._shape = jsonschema.Draft202012Validator(as_json_schema(schema))

    def takes(self, manifest: Any) -> bool:
        """Whether `kubectl create` succeeds; unknown fields aside."""
        pruned = _without_nulls(self.schema, manifest)
        return self._shape.is_valid(pruned) and not self.broken(pruned)

    def broken(self, manifest: Any) -> list[tuple[str, str]]:
        """Every rule that does not hold: its CEL text, and what the user reads."""
        return list(_broken(self.schema, _stored(self.schema, manifest)))

    def changes(self, old: Any, new: Any) -> list[str]:
        """What it says when one manifest replaces another."""
        spec = self.schema["properties"]["spec"]
        before, now = (_stored(self.schema, manifest)["spec"] for manifest in (old, new))
        return [words for _, words in _broken(spec, now, "spec", before)]


@pytest.fixture(scope="session")
def server() -> ApiServer:
    return ApiServer(custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def _without_nulls(node: Schema, value: Any) -> Any:
    """Known fields lose an explicit null, because nothing is `nullable`; unknown content keeps it."""
    if isinstance(value, dict) and "properties" in node:
        known = node["properties"]
        return {key: _without_nulls(known.get(key, {}), v) for key, v in value.items() if v is not None or key not in known}
    if isinstance(value, list) and "items" in node:
        return [_without_nulls(node["items"], item) for item in value]
    return value


def _stored(node: Schema, value: Any) -> Any:
    """A value as rules see it: with the defaults of the schema, and every `number` as a fraction."""
    if isinstance(value, dict):
        properties = node.get("properties", {})
        defaults = {key: copy.deepcopy(p["default"]) for key, p in properties.items() if "default" in p and key not in value}
        return {key: _stored(properties.get(key, {}), inner) for key, inner in {**value, **defaults}.items()}
    if isinstance(value, list):
        return [_stored(node.get("items", {}), item) for item in value]
    return float(value) if node.get("type") == "number" and isinstance(value, int) else value


def _broken(node: Schema, value: Any, path: str = "", old: Any = None) -> Iterator[tuple[str, str]]:
    """Rules about changes are looked at where there is an old value."""
    for rule in node.get("x-kubernetes-validations", []):
        if ("oldSelf" in rule["rule"]) != (old is not None):
            continue
        if not cel.evaluate(rule["rule"], {"self": value, **({"oldSelf": old} if old is not None else {})}):
            place = f"{path}{rule.get('fieldPath', '')}".removeprefix(".")
            yield rule["rule"], f"{place}: {rule['message']}" if place else rule["message"]
    if isinstance(value, dict):
        for key, inner in node.get("properties", {}).items():
            if key in value:
                yield from _broken(inner, value[key], f"{path}.{key}", old.get(key) if isinstance(old, dict) else None)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _broken(node["items"], item, f"{path}[{index}]")
