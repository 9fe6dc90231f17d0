"""`finetune validate` takes what the API server takes, and refuses what it refuses: types, bounds, patterns, nulls."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import a_manifest
from finetune_api.errors import InvalidSpec
from finetune_api.parse import parse_job

if TYPE_CHECKING:
    from conftest import ApiServer


FULL: dict[str, Any] = {
    "task": "chat",
    "model": {"uri": "hf://a/b", "revision": "main", "secretName": "s", "trustRemoteCode": False, "chatTemplate": "{{ x }}"},
    "datasets": [
        {
            "name": "a",
            "uri": "configMap://a/b",
            "role": "train",
            "format": "messages",
            "weight": 1.5,
            "fields": {"prompt": "q"},
            "secretName": "s",
        }
    ],
    "preparation": {
        "clean": {"html": True, "minCharacters": 1, "maxCharacters": 10},
        "deduplicate": "exact",
        "weighting": {
            "rules": [
                {"field": "priority", "equals": "high", "weight": 2.0},
                {"field": "day", "halfLifeDays": 9.5, "asOf": "2026-11-30", "weight": 1},
            ],
            "relevance": {"reference": {"uri": "s3://a/b", "fields": {"prompt": "q"}}, "min": 0.5, "max": 2},
            "quality": {"field": "csat", "worst": 1, "best": 5},
            "bounds": {"min": 0.1, "max": 10},
            "normalize": True,
        },
        "split": {"validation": 0.1, "test": 0.1, "groupBy": "customer", "seed": 1},
        "maxLength": 512,
        "overlong": "drop",
    },
    "method": {"type": "lora", "lora": {"rank": 8, "alpha": 16, "dropout": 0.1, "targetModules": ["q_proj"]}},
    "training": {
        "maxSteps": 10,
        "learningRate": 2e-4,
        "batchSize": 8,
        "warmupRatio": 0.1,
        "scheduler": "linear",
        "precision": "fp32",
        "earlyStopping": {"patience": 1},
        "checkpointMinutes": 0.5,
    },
    "deepspeed": {"zeroStage": 2, "offload": "optimizer", "config": {"wall_clock_breakdown": None}},
    "evaluation": {
        "metrics": ["loss"],
        "samples": 5,
        "generation": {"examples": 3, "maxNewTokens": 9},
        "suites": [{"name": "exam", "uri": "s3://a/b"}],
        "gates": [{"metric": "loss", "suite": "exam", "maxRegression": 0.1}],
    },
    "resources": {"nodes": 2, "gpusPerNode": 8, "gpuResource": "nvidia.com/gpu", "cpu": 4, "memory": "64Gi"},
    "scheduling": {
        "queueName": "q",
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "x"}],
        "affinity": {"podAffinity": {}},
    },
    "podTemplate": {"labels": {"a": "b"}, "env": [{"name": "A", "value": None}], "imagePullSecrets": ["p"]},
    "workspace": {"size": "50Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"},
    "network": {"egress": "deny", "allow": [{"to": []}]},
    "output": {"uri": "pvc://a/b", "format": "adapter"},
    "runPolicy": {"suspend": False, "maxRestarts": 3, "activeDeadlineSeconds": 60},
}
JUNK = [
    None,
    0,
    -1,
    1.5,
    2**40,
    True,
    "",
    "x",
    "auto",
    "5",
    "5\n",
    "hf://a b",
    "é",
    "a" * 3000,
    [],
    ["a"],
    {},
    {"a": 1},
    [None],
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def with_value(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The full spec with another value at one place."""
    spec = copy.deepcopy(FULL)
    node: Any = spec
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return spec


def is_taken_here(spec: dict[str, Any]) -> bool:
    """Whether parse_job takes it; unknown fields aside, of which the server tells in another way."""
    try:
        parse_job(a_manifest() | {"spec": spec})
    except InvalidSpec as error:
        return all(problem.message.startswith("unknown field") for problem in error.problems)
    return True


def test_the_full_spec_is_taken_by_both(server: ApiServer) -> None:
    assert is_taken_here(FULL)
    assert server.takes(a_manifest() | {"spec": FULL})


@pytest.mark.parametrize(("cpu", "taken"), [("16", True), ("1.5", True), ("500m", True), ("16Gi", False), ("4k", False)])
def test_both_take_cores_and_refuse_what_is_an_amount_of_memory(server: ApiServer, cpu: str, taken: bool) -> None:
    spec = with_value(("resources", "cpu"), cpu)
    assert (is_taken_here(spec), server.takes(a_manifest() | {"spec": spec})) == (taken, taken)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(places(FULL))), st.sampled_from(JUNK))
def test_both_take_or_refuse_a_strange_value_alike(server: ApiServer, path: tuple[Any, ...], value: Any) -> None:
    spec = with_value(path, value)
    assert is_taken_here(spec) == server.takes(a_manifest() | {"spec": spec})
