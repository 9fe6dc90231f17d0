"""From what a person wrote to a FineTuneJob, with every mistake named at once.

A validator that stops at the first mistake costs a round trip per mistake. So structure, unknown fields and rules are
all looked at, each part for itself: a mistake in one block hides none in another.
"""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from finetune_api.errors import InvalidSpec, Problem
from finetune_api.model import JOB_NAME_SAYS, Model
from finetune_api.nesting import TOO_DEEP, too_deep
from finetune_api.problems import problems_of

if typing.TYPE_CHECKING:
    from finetune_api.v1alpha1.job import FineTuneJob

SYNONYMS = {
    "r": "rank",
    "lora_r": "rank",
    "loraAlpha": "alpha",
    "lora_alpha": "alpha",
    "loraDropout": "dropout",
    "lora_dropout": "dropout",
    "lr": "learningRate",
    "numTrainEpochs": "epochs",
    "num_train_epochs": "epochs",
    "nEpochs": "epochs",
    "n_epochs": "epochs",
    "perDeviceTrainBatchSize": "batchSize",
    "per_device_train_batch_size": "batchSize",
    "gradientAccumulationSteps": "batchSize",
    "gradient_accumulation_steps": "batchSize",
    "lrSchedulerType": "scheduler",
    "lr_scheduler_type": "scheduler",
    "maxSeqLength": "maxLength",
    "max_seq_length": "maxLength",
    "gpus": "gpusPerNode",
}
"""Names from PEFT, TrainingArguments and hosted services, and what they are called here."""


def parse_job(raw: Any) -> FineTuneJob:
    """Read a manifest as a person wrote it: strictly, reporting every problem.

    Args:
        raw: the manifest as plain JSON types.
    Raises: InvalidSpec with all problems: unknown fields with the likely name, wrong types and values with what is
        allowed, and broken rules.
    """
    from finetune_api.v1alpha1.job import FineTuneJob

    if not isinstance(raw, dict):
        raise InvalidSpec([Problem("", f"a manifest is a mapping, not {_kind(raw)}")])
    if (deep := too_deep(raw)) is not None:
        raise InvalidSpec([Problem(deep, TOO_DEEP)])
    raw = without_nulls(FineTuneJob, raw)
    problems = unknown_fields(FineTuneJob, raw, "")
    job: FineTuneJob | None = None
    try:
        # JSON mode, strictly: a number in quotes is text, as for the API server, while enums and times are read from text.
        job = FineTuneJob.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        unknown = {problem.field for problem in problems}
        problems += [problem for problem in problems_of(error, raw, "") if problem.field not in unknown]
    problems += broken_rules(FineTuneJob, raw, "")
    metadata = raw.get("metadata")
    if isinstance(metadata, dict) and any(problem.field == "metadata.name" for problem in problems):
        # A job's name may be less than that of other objects, and whoever keeps their rule alone is told of this one next.
        told = JOB_NAME_SAYS if "name" in metadata else "is required"
        problems = [p for p in problems if p.field != "metadata.name"] + [Problem("metadata.name", told)]
    if problems or job is None:
        raise InvalidSpec(sorted(problems, key=lambda problem: _order(problem.field, raw)))
    return job


def without_nulls(model: type[BaseModel], raw: Any) -> Any:
    """`raw` as the API server takes it: a known field with an explicit null counts as left out.

    So a block whose lines are all commented out gets its defaults. Raw parts keep their nulls.
    """
    if not isinstance(raw, dict):
        return raw
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    kept = {key: value for key, value in raw.items() if value is not None or key not in known}
    for key in kept.keys() & known.keys():
        for part, is_list in _models_in(known[key]):
            if is_list and isinstance(kept[key], list):
                kept[key] = [without_nulls(part, item) for item in kept[key]]
            elif not is_list:
                kept[key] = without_nulls(part, kept[key])
    return kept


def unknown_fields(model: type[BaseModel], raw: Any, path: str) -> list[Problem]:
    """Every key of `raw` that the model does not know, with the likely name.

    Metadata and parts of pods are passed over: they are Kubernetes' own and not ours to judge.
    """
    if not isinstance(raw, dict) or model.__name__ == "ObjectMeta":
        return []
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    problems = []
    for key, value in raw.items():
        here = f"{path}.{key}" if path else str(key)
        if key not in known:
            problems.append(Problem(here, f"unknown field.{_likely(str(key), list(known))}"))
            continue
        for part, inner, place in _submodels(known[key], value, here):
            problems += unknown_fields(part, inner, place)
    return problems


def broken_rules(model: type[BaseModel], raw: Any, path: str) -> list[Problem]:
    """Every rule over several fields that does not hold, in each part that is valid for itself."""
    if not isinstance(raw, dict):
        return []
    problems: list[Problem] = []
    if issubclass(model, Model) and model.constraints:
        instance, dropped = _what_is_valid(model, raw)
        for rule in model.constraints:
            # A rule that reads a broken value says nothing new: the value is reported with its own place.
            if not any(f"self.{key}" in rule.cel for key in dropped) and not rule.holds(instance):
                place, message = ".".join(part for part in (path, rule.field) if part), rule.message
                if not place and ": " in message:  # the server can point at no field of metadata, so the words do
                    place, _, message = message.partition(": ")
                problems.append(Problem(place, message))
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in raw:
            for part, inner, place in _submodels(field, raw[key], f"{path}.{key}" if path else key):
                problems += broken_rules(part, inner, place)
    return problems


def _what_is_valid(model: type[Model], raw: dict[str, Any]) -> tuple[Model, set[str]]:
    """The model without its broken and its missing fields, and their names."""
    try:
        return model.model_validate_json(json.dumps(raw), strict=True), set()
    except ValidationError as error:
        broken = {str(detail["loc"][0]) for detail in error.errors(include_url=False) if detail["loc"]}
    values = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in raw and key not in broken:
            adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
            values[name] = adapter.validate_json(json.dumps(raw[key]), strict=True)
    return model.model_construct(**values), broken


def _submodels(field: FieldInfo, value: Any, path: str) -> Iterator[tuple[type[BaseModel], Any, str]]:
    """The models inside one field with what stands there: itself, or the items of a list."""
    for part, is_list in _models_in(field):
        if not is_list:
            yield part, value, path
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield part, item, f"{path}[{index}]"


def _models_in(field: FieldInfo) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models of which a field is made, and whether it is a list of them."""
    for annotation in _alternatives(field.annotation):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation, False
        elif get_origin(annotation) in (tuple, list):
            for inner in _alternatives(get_args(annotation)[0]):
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    yield inner, True


def _alternatives(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for inner in get_args(annotation):
            yield from _alternatives(inner)
    elif get_origin(annotation) is typing.Annotated:
        yield from _alternatives(get_args(annotation)[0])
    else:
        yield annotation


def _likely(key: str, known: list[str]) -> str:
    synonym = SYNONYMS.get(key)
    lowered = {name.lower().replace("_", ""): name for name in known}
    near = difflib.get_close_matches(key.lower().replace("_", ""), list(lowered), 1, 0.6)
    guess = synonym if synonym in known else lowered[near[0]] if near else None
    return f' Did you mean "{guess}"?' if guess else f" Known here: {', '.join(known)}"


def _order(field: str, raw: dict[str, Any]) -> tuple[int, ...]:
    """Order of the manifest, so that a person can go down the file. What is missing comes at the end of its block."""
    order: list[int] = []
    value: Any = raw
    for part in field.replace("[", ".[").split("."):
        if part.startswith("[") and isinstance(value, list):
            index = int(part[1:-1])
            order.append(index)
            value = value[index] if index < len(value) else None
        elif isinstance(value, dict):
            keys = list(value)
            order.append(keys.index(part) if part in value else len(keys))
            value = value.get(part)
    return tuple(order)


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", type(None): "empty"}.get(type(value), type(value).__name__)
