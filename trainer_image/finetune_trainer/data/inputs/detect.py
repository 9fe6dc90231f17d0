"""Which of the common shapes a dataset has, and what its fields mean.

Public datasets call the same thing by many names. The first rows decide what a dataset is taken for, and the report says
so and why; afterwards every row must fit (formats.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any

from finetune_api.contract.trainer_config import DatasetInput
from finetune_api.errors import DataError
from finetune_api.v1alpha1.data import DataFormat, FieldMapping
from finetune_api.v1alpha1.evaluation import Task
from finetune_trainer.data.inputs.formats import Shape, lookup
from finetune_trainer.data.inputs.read import BrokenRow, Row, read_rows
from finetune_trainer.data.inputs.shown import fields_shown, is_like_a_value
from finetune_trainer.data.inputs.tickets import help_desk
from finetune_trainer.data.problems import how_to_mend
from finetune_trainer.sources import DataFile, printable

log = logging.getLogger(__name__)

DETECTED_FROM = 20
"""Rows that decide."""

_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "messages": {"messages": ("messages", "conversations", "conversation", "dialogue")},
    "instruction": {
        "prompt": ("instruction",),
        "completion": ("output", "response", "completion", "answer"),
        "input": ("input", "context"),
        "system": ("system", "system_prompt"),
    },
    "prompt_completion": {
        "prompt": ("prompt", "question", "query", "input", "source"),
        "completion": ("completion", "answer", "response", "output", "target", "reply"),
        "system": ("system", "system_prompt"),
    },
    "classification": {
        "text": ("text", "sentence", "content", "document", "input"),
        "label": ("label", "labels", "category", "class", "intent", "target"),
    },
    "text": {"text": ("text", "content", "document", "body")},
}
"""Formats in the order in which they are tried, with the usual names of their fields."""

_REQUIRED = {
    "messages": ("messages",),
    "instruction": ("prompt", "completion"),
    "prompt_completion": ("prompt", "completion"),
    "classification": ("text", "label"),
    "text": ("text",),
}


def shape_of(dataset: DatasetInput, files: Sequence[DataFile], task: Task) -> Shape:
    """What the dataset is, from its first rows.

    Raises: DataError if there are none, or if they fit no format.
    """
    first: list[Row] = []
    name = files[0].name
    unusable: str | None = None
    for file in files:
        name = file.name
        first = [row for row in islice(read_rows(file), DETECTED_FROM) if isinstance(row, Row)]
        if first:
            break
        broken = next(iter(read_rows(file)), None)
        if isinstance(broken, BrokenRow) and broken.drop:
            unusable = unusable or f"{file.name}: {broken.reason}"
        elif isinstance(broken, BrokenRow):
            where = f"{file.name} line {broken.line}" if broken.line else file.name
            raise DataError(
                f'dataset "{dataset.name}": {where} {broken.reason}',
                field=f"{dataset.field}.uri",
                hint=how_to_mend(broken.reason),
            )
    if not first and unusable is not None:
        raise DataError(
            f'dataset "{dataset.name}": of {len(files)} files none could be used; the first is {unusable}',
            field=f"{dataset.field}.uri",
        )
    if not first:
        raise DataError(f'dataset "{dataset.name}": {name} is empty', field=f"{dataset.field}.uri")
    shape = detect([row.value for row in first], task=task, said=dataset.format, fields=dataset.fields)
    if shape is None:
        raise _fits_nothing(dataset, name, first[0], task)
    log.info("dataset %s is taken for %s: %s", dataset.name, shape.format, shape.because)
    return shape


def _fits_nothing(dataset: DatasetInput, name: str, row: Row, task: Task) -> DataError:
    """What is wrong with a row that has no format's fields: those that the manifest names come first."""
    there = list(map(str, row.value))
    found, where = fields_shown(there), f'dataset "{dataset.name}": {name} line {row.line}'
    for meaning, wanted in _missing(row.value, dataset.fields).items():
        near = get_close_matches(wanted, there, 1)
        return DataError(
            f'{where} has no field "{wanted}"; it has {found}',
            field=f"{dataset.field}.fields.{meaning}",
            hint=f'Did you mean "{printable(near[0])}"?' if near and not any(map(is_like_a_value, there)) else None,
        )
    return DataError(
        f"{where} has {found}, which fit no format of the task {task}",
        field=f"{dataset.field}.format",
        hint=f"Say what they mean with {dataset.field}.fields.",
    )


def detect(rows: Sequence[Mapping[str, Any]], *, task: Task, said: DataFormat, fields: FieldMapping) -> Shape | None:
    """Say what a dataset is, from its first rows.

    Args:
        rows: the first rows, at least one.
        task: what the model learns; text with a label is classification only there.
        said: the format in the manifest; `auto` decides here.
        fields: field names in the manifest, which win over the usual ones.
    Returns: the shape, or None if no format fits the first row; the caller knows the place.
    """
    renamed = fields.model_dump(exclude_none=True)
    own_names = bool(renamed.keys() - {"weight"})  # whoever says what each field means wants no conversation made of them
    if said == "tickets" or (said == "auto" and task != "classification" and not own_names):
        desk = next(filter(None, map(help_desk, rows)), None)
        if desk is not None:
            weighed = {"weight": renamed["weight"]} if renamed.get("weight") else {}
            return Shape("tickets", weighed, f"the first rows have the fields of an export of {desk}")
        if said == "tickets":
            return None
    candidates = [said] if said != "auto" else [f for f in _NAMES if (f == "classification") == (task == "classification")]
    if said == "auto" and "prompt" in renamed and "input" not in renamed:
        # Whoever says what the prompt is means no further column that happens to be called context.
        candidates = [candidate for candidate in candidates if candidate != "instruction"]
    first = rows[0]
    for candidate in candidates:
        known = {meaning: (renamed[meaning],) if meaning in renamed else names for meaning, names in _NAMES[candidate].items()}
        found = {
            meaning: next((name for name in names if name in first), names[0])
            for meaning, names in known.items()
            if meaning in renamed or meaning in _REQUIRED[candidate] or any(name in first for name in names)
        }
        if all(found[meaning] in first for meaning in _REQUIRED[candidate]) or said != "auto":
            if candidate == "instruction" and found["prompt"] == found.get("input"):
                del found["input"]
            if renamed.get("weight"):
                found["weight"] = renamed["weight"]
            unused = _unused(renamed, found, rows, candidate)
            if candidate == "text" and said == "auto":
                unused += _label_left(first)
            return Shape(candidate, found, _because(candidate, found, said), unused)
    return None


def _missing(row: Mapping[str, Any], fields: FieldMapping) -> dict[str, str]:
    """Fields that the manifest names and a row has not: meaning to name."""
    return {m: name for m, name in fields.model_dump(exclude_none=True).items() if lookup(row, name) is None}


def _label_left(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A text with a label beside it is more often meant to be classified than to be continued."""
    label = next((name for name in ("label", "labels", "class", "intent") if name in row), None)
    if label is None:
        return ()
    return (f'the rows have the field "{label}", which running text does not use: is the task classification meant?',)


def _unused(
    renamed: Mapping[str, str], found: Mapping[str, str], rows: Sequence[Mapping[str, Any]], candidate: str
) -> tuple[str, ...]:
    """Mapped fields that nothing comes of: a misspelt weight would weigh every row 1, and nobody would know."""
    said = []
    for meaning, name in renamed.items():
        if meaning not in found:
            said.append(f'fields.{meaning} names "{name}", but {candidate.replace("_", " ")} has no {meaning}.')
        elif meaning not in _REQUIRED[candidate] and all(lookup(row, name) is None for row in rows):
            said.append(f'fields.{meaning} names "{name}", which none of the first rows has.')
    return tuple(said)


def _because(candidate: str, found: Mapping[str, str], said: DataFormat) -> str:
    used = ", ".join(f"{meaning} from {name!r}" for meaning, name in found.items())
    return f"the manifest says {candidate}; {used}" if said != "auto" else f"the first row has {used}"
