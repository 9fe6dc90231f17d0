"""The manual of the resource as Markdown, from the definition that the API server gets: it can claim nothing else.

`make docs` writes it to docs/manifest.md; a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_HEAD = """# The manifest

Generated from the models by `make docs`. Do not edit. `kubectl explain finetunejob.spec` says the same in a terminal.

A field in **bold** must be given. All others have a default, or the plan chooses; `finetune plan` shows what it chose and
why.
"""


def manifest_reference(definition: Schema) -> str:
    """Every field of `spec`, a table for each block.

    Args:
        definition: the CustomResourceDefinition.
    """
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return "\n".join([_HEAD, *_block("spec", spec)])


def _block(path: str, schema: Schema) -> Iterator[str]:
    yield f"## `{path}`\n\n{schema.get('description', '')}\n"
    yield "| field | type | default | meaning |\n| --- | --- | --- | --- |"
    required, inner = schema.get("required", ()), []
    for name, field in schema["properties"].items():
        shown = f"**{name}**" if name in required else name
        yield f"| {shown} | {_type(field)} | {_default(field)} | {_cell(field.get('description', ''))} |"
        below, suffix = (field["items"], "[]") if "items" in field else (field, "")
        if "properties" in below:
            inner.append((f"{path}.{name}{suffix}", below))
    rules = [rule["message"] for rule in schema.get("x-kubernetes-validations", ()) if "oldSelf" not in rule["rule"]]
    if rules:
        yield "\nRefused, with these words, where several fields do not go together:\n\n" + "\n".join(
            f"- {rule}" for rule in rules
        )
    yield ""
    for below_path, below in inner:
        yield from _block(below_path, below)


def _type(field: Schema) -> str:
    if "enum" in field:
        return " ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "number or text"
    if "items" in field:
        return f"list of {_type(field['items'])}"
    bounds = [
        f"{sign} {_number(field[key])}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in field and not isinstance(field[key], bool)
    ]
    kind = str(field.get("type", "any"))
    kind = {"object": "mapping", "string": "text", "boolean": "true or false"}.get(kind, kind)
    return ", ".join([kind, *bounds])


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(field: Schema) -> str:
    value = None if "properties" in field else field.get("default")  # a block's default is that of its fields
    return "" if value in (None, {}, []) else f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
