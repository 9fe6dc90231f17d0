"""The committed CustomResourceDefinition: what an API server makes of it, and what people see of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cel
import pytest
from pydantic import BaseModel

from finetune_api.crd import custom_resource_definition
from finetune_api.v1alpha1.job import FineTuneJobSpec
from finetune_cli.commands.crd import as_yaml

CRD = custom_resource_definition()
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
COMMITTED = Path(__file__).parents[2] / "crds" / "finetunejobs.yaml"
MAY_CHANGE = {"suspend", "ttlSecondsAfterFinished"}


def everything(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema below one, with its path."""
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from everything(inner, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(key), dict):
            yield from everything(node[key], f"{path}{mark}")


ALL = list(everything(SCHEMA, ""))


def test_the_committed_file_is_what_the_models_say() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == as_yaml(CRD), "run: finetune crd > crds/finetunejobs.yaml"


def test_the_file_is_small_enough_for_the_annotation_of_kubectl_apply() -> None:
    # kubectl apply keeps the last applied manifest in an annotation, of which there may be 256 KiB; half of that is plenty.
    assert COMMITTED.stat().st_size < 128 * 1024


def test_every_list_is_bounded_so_that_rules_stay_within_the_server_s_cost() -> None:
    unbounded = [path for path, node in ALL if node.get("type") == "array" and "maxItems" not in node]
    assert unbounded == []


def test_nothing_below_a_list_has_a_default_because_gitops_tools_would_report_drift_for_ever() -> None:
    assert [path for path, node in ALL if "[]" in path and "default" in node] == []


def test_the_status_has_no_defaults_but_the_one_by_which_a_job_that_nobody_has_seen_counts_as_in_progress() -> None:
    with_default = [path for path, node in ALL if path.startswith(".status") and "default" in node]
    assert with_default == [".status"]
    assert SCHEMA["properties"]["status"]["default"] == {"observedGeneration": 0}


def test_every_field_explains_itself_in_kubectl_explain() -> None:
    ours = [(path, node) for path, node in ALL if path.startswith((".spec", ".status")) and not path.endswith(("[]", "{}"))]
    assert [path for path, node in ours if not node.get("description") and path not in (".status",)] == []


def test_every_default_keeps_its_own_rules_as_it_stands() -> None:
    # The server refuses a definition whose rules read what a default lacks, though the properties' defaults would fill it in.
    ruled = [(path, node) for path, node in ALL if "default" in node and "x-kubernetes-validations" in node]
    assert len(ruled) > 5
    for path, node in ruled:
        rules = [rule["rule"] for rule in node["x-kubernetes-validations"] if "oldSelf" not in rule["rule"]]
        assert [rule for rule in rules if not cel.evaluate(rule, {"self": node["default"]})] == [], path


def test_every_string_that_a_rule_reads_is_bounded() -> None:
    # Rules over datasets, suites and gates compare these; without a bound the server refuses the whole definition.
    for path in ("datasets[].name", "evaluation.suites[].name", "evaluation.gates[].suite"):
        node = dict(ALL)[f".spec.{path}"]
        assert node["maxLength"] <= 40


@pytest.mark.parametrize("column", VERSION["additionalPrinterColumns"], ids=lambda column: column["name"])
def test_a_column_shows_a_field_that_exists_and_has_its_type(column: dict[str, str]) -> None:
    if column["jsonPath"].startswith(".metadata"):
        return
    node = dict(ALL)[column["jsonPath"]]
    assert (node["type"], "maxItems" in node) == (column["type"], False)


def test_kubectl_get_shows_these_columns_first_and_the_others_with_wide() -> None:
    columns = VERSION["additionalPrinterColumns"]
    first = [c["name"].upper() for c in columns if not c.get("priority")]
    assert first == ["PHASE", "PROGRESS", "ETA", "BASE", "TUNED", "VERDICT", "RESTARTS", "AGE"]
    assert [c["name"].upper() for c in columns if c.get("priority")] == ["MODEL", "STEP", "LOSS", "GPUS"]


def test_the_status_is_a_resource_of_its_own_and_the_phase_can_be_selected() -> None:
    assert VERSION["subresources"] == {"status": {}}
    assert VERSION["selectableFields"] == [{"jsonPath": ".status.phase"}]
    assert CRD["spec"]["names"]["shortNames"] == ["ftj"]


# ---------------------------------------------------------------- immutability


def frozen(node: dict[str, Any]) -> set[str]:
    """Fields below a node that a rule of it keeps from changing."""
    rules = [rule for rule in node.get("x-kubernetes-validations", []) if "oldSelf" in rule["rule"]]
    assert all(rule["reason"] == "FieldValueForbidden" for rule in rules)
    return {rule["fieldPath"].removeprefix(".") for rule in rules}


def test_every_block_of_the_spec_is_frozen_except_the_run_policy() -> None:
    assert frozen(SPEC) == set(SPEC["properties"]) - {"runPolicy"}


def test_the_run_policy_is_frozen_except_suspend_and_the_time_to_live() -> None:
    policy = SPEC["properties"]["runPolicy"]
    assert frozen(policy) == set(policy["properties"]) - MAY_CHANGE
    assert set(policy["properties"]) >= MAY_CHANGE


def test_a_frozen_field_can_neither_appear_nor_disappear() -> None:
    rule = next(r for r in SPEC["x-kubernetes-validations"] if r.get("fieldPath") == ".image" and "oldSelf" in r["rule"])
    assert rule["rule"] == "has(self.image) == has(oldSelf.image) && (!has(self.image) || self.image == oldSelf.image)"
    assert rule["message"] == "spec.image cannot change after creation; a changed job is a new job"


# ---------------------------------------------------------------- defaults


def defaults_in_schema(node: dict[str, Any], path: str = "spec") -> dict[str, Any]:
    """What the API server fills in, by path."""
    found = {}
    for name, inner in node.get("properties", {}).items():
        here = f"{path}.{name}"
        if "default" in inner:
            found |= defaults_in_schema(inner, here) if "properties" in inner else {here: inner["default"]}
    return found


def defaults_in_model(model: BaseModel, path: str = "spec") -> dict[str, Any]:
    """What the models fill in, by path."""
    found: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        here = f"{path}.{field.alias or name}"
        if field.is_required():
            continue
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found |= defaults_in_model(value, here)
        elif value is not None:
            found[here] = list(value) if isinstance(value, tuple) else value
    return found


def test_the_server_and_the_models_fill_in_the_same_values() -> None:
    smallest = {"model": {"uri": "hf://a/b"}, "datasets": [{"uri": "s3://a/b"}], "output": {"uri": "s3://a/c"}}
    spec = FineTuneJobSpec.model_validate(smallest)
    in_model = {k: v for k, v in defaults_in_model(spec).items() if not k.startswith(("spec.model.", "spec.output."))}
    assert defaults_in_schema(SPEC) == in_model
    assert in_model["spec.training.warmupRatio"] == 0.05
    assert len(in_model) > 40


def test_defaults_inside_required_blocks_are_filled_in_too() -> None:
    model = SPEC["properties"]["model"]["properties"]
    assert (model["revision"]["default"], model["trustRemoteCode"]["default"]) == ("main", False)
    assert [path for path in ("model", "datasets", "output") if "default" in SPEC["properties"][path]] == []
