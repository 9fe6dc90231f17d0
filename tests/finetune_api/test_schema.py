"""The generator refuses at build time what Kubernetes would reject, drop or misread, and says where."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Union

import pytest
from pydantic import BaseModel, ConfigDict, Field

from finetune_api.model import Model
from finetune_api.schema import SchemaError, structural_schema


class Leaf(Model):
    text: str = "a"


class Plain(Model):
    text: str


class Tree(Model):
    children: Annotated[tuple[Tree, ...], Field(max_length=4)] = ()


class Cat(Model):
    kind: Literal["cat"]


class Dog(Model):
    kind: Literal["dog"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = ""


REFUSED: list[tuple[Any, str]] = [
    (Tree, "spec.field.children[]: Tree contains itself"),
    (int | str, "spec.field: a union is not structural"),
    (Union[Cat, Dog], "spec.field: a union is not structural"),  # noqa: UP007  # as written in older code
    (Annotated[Cat | Dog, Field(discriminator="kind")], "spec.field: a union is not structural"),
    (Strict, "spec.field: extra='forbid' cannot be said in a CRD"),
    (Annotated[set[str], Field(max_length=3)], "spec.field: sets and fixed tuples are not structural"),
    (tuple[int, str], "spec.field: sets and fixed tuples are not structural"),
    (list[str], "spec.field: a list needs max_length"),
    (tuple[str, ...], "spec.field: a list needs max_length"),
    (dict[str, list[str]], "spec.field.*: a list needs max_length"),
    (Annotated[list[Leaf], Field(max_length=3)], "spec.field: defaults inside list items"),
    (Annotated[list[dict[str, Leaf]], Field(max_length=3)], "spec.field: defaults inside list items"),
    (timedelta, "spec.field: format 'duration' means something else"),
    (bytes, "spec.field: format 'binary' means something else"),
    (Annotated[str, Field(json_schema_extra={"pattern": "^(?!x).*$"})], "spec.field: a pattern must be RE2"),
    (Annotated[str, Field(json_schema_extra={"pattern": r"^(?P<a>x)$"})], "spec.field: a pattern must be RE2"),
    (Annotated[str, Field(json_schema_extra={"pattern": r"^(x)\1$"})], "spec.field: a pattern must be RE2"),
    (Annotated[str, Field(json_schema_extra={"pattern": r"^x\Z"})], "spec.field: a pattern must be RE2"),
    (Any, "spec.field: without a type a rule could not read it"),
    (Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})], "spec.field: unsupported contentEncoding"),
    (Annotated[dict[str, str], Field(json_schema_extra={"propertyNames": {}})], "spec.field: unsupported propertyNames"),
]


def schema_of(annotation: Any) -> dict[str, Any]:
    """The schema of one field of this type."""
    model = type("Block", (BaseModel,), {"__annotations__": {"field": annotation}})
    return structural_schema(model, "spec")["properties"]["field"]


@pytest.mark.parametrize(("annotation", "message"), REFUSED, ids=[message.split(": ", 1)[1][:30] for _, message in REFUSED])
def test_what_kubernetes_cannot_say_is_refused_with_its_path(annotation: Any, message: str) -> None:
    with pytest.raises(SchemaError) as refused:
        schema_of(annotation)
    assert str(refused.value).startswith(message)


EXPRESSED: list[tuple[Any, dict[str, Any]]] = [
    (str | None, {"type": "string"}),
    (Literal["one"], {"type": "string", "enum": ["one"]}),
    (Annotated[float, Field(gt=0, le=1)], {"type": "number", "minimum": 0, "maximum": 1, "exclusiveMinimum": True}),
    (Annotated[int, Field(lt=5)], {"type": "integer", "maximum": 5, "exclusiveMaximum": True}),
    (datetime, {"type": "string", "format": "date-time"}),
    (dict[str, str], {"type": "object", "additionalProperties": {"type": "string"}}),
    (dict[str, Any], {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    (Annotated[str, Field(json_schema_extra={"pattern": "^(?:a|b)$"})], {"type": "string", "pattern": "^(?:a|b)$"}),
    (
        Annotated[tuple[Plain, ...], Field(max_length=3)],
        {
            "type": "array",
            "items": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            "maxItems": 3,
            "x-kubernetes-list-type": "atomic",
        },
    ),
]


@pytest.mark.parametrize(("annotation", "schema"), EXPRESSED, ids=[str(schema)[:40] for _, schema in EXPRESSED])
def test_what_can_be_said_is_said_in_kubernetes_words(annotation: Any, schema: dict[str, Any]) -> None:
    assert schema_of(annotation) == schema


def test_the_words_of_a_field_win_over_those_of_its_type() -> None:
    class Block(Model):
        """A block."""

        leaf: Leaf = Leaf()
        """The leaf
        of this block."""

    leaf = structural_schema(Block, "spec")["properties"]["leaf"]
    assert leaf["description"] == "The leaf of this block."
    assert leaf["default"] == {}
    assert leaf["properties"]["text"]["default"] == "a"


def test_a_status_has_neither_defaults_nor_required_fields_except_the_keys_of_list_maps() -> None:
    class Item(Model):
        key: str
        value: str

    class Status(Model):
        count: int = 3
        items: Annotated[
            tuple[Item, ...],
            Field(max_length=4, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"]}),
        ] = ()

    schema = structural_schema(Status, "status", defaults=False)
    assert "default" not in schema["properties"]["count"]
    assert "required" not in schema
    assert schema["properties"]["items"]["items"]["required"] == ["key"]
