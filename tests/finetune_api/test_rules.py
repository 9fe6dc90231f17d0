"""Every rule is said twice, in CEL for the API server and in Python for `finetune validate`: here both answer alike.

The CEL text is taken from the generated definition and evaluated on what the server would store, defaults filled in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel

from builders import a_manifest
from finetune_api.errors import InvalidSpec
from finetune_api.model import Model, Rule
from finetune_api.parse import parse_job
from finetune_api.v1alpha1.job import FineTuneJob

if TYPE_CHECKING:
    from conftest import ApiServer
from strategies import manifests

DATA = {"uri": "s3://a/b"}
LOSS = {"metric": "loss", "minValue": 0}


def with_name(name: str) -> dict[str, Any]:
    return a_manifest(name)


def spec(**blocks: Any) -> dict[str, Any]:
    return a_manifest(**blocks)


# What is accepted, what is refused, and how: the field and the beginning of the message.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a name of 40 characters": (with_name("a" * 40), with_name("a" * 41), "metadata.name: at most 40"),
    "a name without dots": (with_name("qwen2-5"), with_name("qwen2.5"), "metadata.name: at most 40"),
    "a name that begins with a letter": (with_name("q8"), with_name("8q"), "metadata.name: at most 40"),
    "tasks of this version": (spec(task="chat"), spec(task="preference"), "spec.task: extraction, preference: not available"),
    "something to train on": (
        spec(datasets=[DATA, DATA | {"role": "test"}]),
        spec(datasets=[DATA | {"role": "test"}]),
        "spec.datasets: no dataset has the role train",
    ),
    "datasets with names of their own": (
        spec(datasets=[DATA | {"name": "a"}, DATA, DATA]),
        spec(datasets=[DATA | {"name": "a"}, DATA, DATA | {"name": "a"}]),
        "spec.datasets: two datasets have the same name",
    ),
    "data of the task's format": (
        spec(task="classification", datasets=[DATA | {"format": "classification"}, DATA | {"format": "auto"}, DATA]),
        spec(datasets=[DATA | {"format": "classification"}]),
        "spec.datasets: the task classification takes data of the format classification",
    ),
    "metrics of the task": (
        spec(task="classification", evaluation={"metrics": ["accuracy", "loss"]}),
        spec(task="classification", evaluation={"metrics": ["accuracy", "chrf"]}),
        "spec.evaluation.metrics: a metric does not exist for this task",
    ),
    "gates on metrics of the task": (
        spec(evaluation={"gates": [LOSS]}),
        spec(evaluation={"gates": [LOSS, LOSS | {"metric": "macro_f1"}]}),
        "spec.evaluation.gates: a gate's metric does not exist for this task",
    ),
    "no adapter of all weights": (
        spec(method={"type": "full"}, output={"uri": "s3://a/b", "format": "merged"}),
        spec(method={"type": "full"}, output={"uri": "s3://a/b", "format": "adapter"}),
        "spec.output.format: training all weights makes no adapter",
    ),
    "a workspace for several nodes": (
        spec(resources={"nodes": 2}, workspace={"accessMode": "ReadWriteMany"}),
        spec(resources={"nodes": 2}, workspace={"accessMode": "ReadWriteOnce"}),
        "spec.workspace.accessMode: more than one node needs a workspace",
    ),
    "a program with its image": (
        spec(image="mine:1", command=["python", "train.py"]),
        spec(command=["python", "train.py"]),
        "spec.command: a program of your own needs an image of your own",
    ),
    "formats of this version": (
        spec(datasets=[DATA | {"format": "messages"}]),
        spec(datasets=[DATA | {"format": "preference"}]),
        "spec.datasets[0].format: tokens, preference: not available in this version",
    ),
    "length bounds in order": (
        spec(preparation={"clean": {"minCharacters": 5, "maxCharacters": 5}}),
        spec(preparation={"clean": {"minCharacters": 5, "maxCharacters": 4}}),
        "spec.preparation.clean.minCharacters: must not be larger than maxCharacters",
    ),
    "anonymisation of this version": (
        spec(preparation={"anonymize": {"strategy": "none"}}),
        spec(preparation={"anonymize": {"strategy": "surrogate"}}),
        "spec.preparation.anonymize.strategy: surrogate, mask, redact, hash: not available",
    ),
    "something left to train on": (
        spec(preparation={"split": {"validation": 0.5, "test": 0.4}}),
        spec(preparation={"split": {"validation": 0.9}}),
        "spec.preparation.split.validation: validation and test together must leave something",
    ),
    "deduplication of this version": (
        spec(preparation={"deduplicate": "none"}),
        spec(preparation={"deduplicate": "near"}),
        "spec.preparation.deduplicate: near: not available in this version; use exact or none",
    ),
    "methods of this version": (
        spec(method={"type": "full"}),
        spec(method={"type": "qlora"}),
        "spec.method.type: qlora, dora: not available in this version; use lora or full",
    ),
    "epochs or steps": (
        spec(training={"epochs": "auto", "maxSteps": 10}),
        spec(training={"epochs": 2, "maxSteps": 10}),
        "spec.training.maxSteps: say either epochs or maxSteps",
    ),
    "an optimizer that is partitioned before it is offloaded": (
        spec(deepspeed={"zeroStage": 1, "offload": "optimizer"}),
        spec(deepspeed={"zeroStage": 0, "offload": "optimizer"}),
        "spec.deepspeed.offload: optimizer states are offloaded from ZeRO stage 1 on",
    ),
    "parameters that are partitioned before they are offloaded": (
        spec(deepspeed={"offload": "parameters"}),
        spec(deepspeed={"zeroStage": 2, "offload": "parameters"}),
        "spec.deepspeed.offload: parameters are offloaded in ZeRO stage 3 alone",
    ),
    "one bound per gate": (
        spec(evaluation={"gates": [{"metric": "loss", "maxRegression": 0}]}),
        spec(evaluation={"gates": [{"metric": "loss", "maxRegression": 0, "minValue": 0}]}),
        "spec.evaluation.gates[0]: say exactly one of",
    ),
    "at least one bound per gate": (
        spec(evaluation={"gates": [{"metric": "loss", "maxValue": 2.5}]}),
        spec(evaluation={"gates": [{"metric": "loss"}]}),
        "spec.evaluation.gates[0]: say exactly one of",
    ),
    "gates on suites that exist": (
        spec(evaluation={"suites": [DATA | {"name": "exam"}], "gates": [LOSS | {"suite": "exam"}]}),
        spec(evaluation={"suites": [DATA | {"name": "exam"}], "gates": [LOSS | {"suite": "exams"}]}),
        "spec.evaluation.gates: a gate names a suite that is not in evaluation.suites",
    ),
    "comparisons with a baseline": (
        spec(evaluation={"baseline": False, "gates": [LOSS]}),
        spec(evaluation={"baseline": False, "gates": [{"metric": "loss", "minImprovement": 0.1}]}),
        "spec.evaluation.gates: minImprovement and maxRegression compare with the base model",
    ),
    "suites with names of their own": (
        spec(evaluation={"suites": [DATA | {"name": "a"}, DATA | {"name": "b"}]}),
        spec(evaluation={"suites": [DATA | {"name": "a"}, DATA | {"name": "a"}]}),
        "spec.evaluation.suites: two suites have the same name",
    ),
    "an old claim or a new one": (
        spec(workspace={"claimName": "w"}),
        spec(workspace={"claimName": "w", "size": "50Gi"}),
        "spec.workspace.claimName: claimName names an existing claim",
    ),
    "a number or auto": (
        spec(training={"epochs": 1000, "batchSize": "auto"}, deepspeed={"zeroStage": 0}),
        spec(training={"epochs": 1001}),
        "spec.training.epochs: must be a whole number from 1 to 1000, or auto",
    ),
    "no other word than auto": (
        spec(method={"lora": {"rank": "auto"}}),
        spec(method={"lora": {"rank": "many"}}),
        "spec.method.lora.rank: must be a whole number from 1 to 1024, or auto",
    ),
    "quantities that are not negative": (
        spec(resources={"cpu": 4, "memory": "1.5Gi"}),
        spec(resources={"cpu": -4}),
        "spec.resources.cpu: must be a quantity such as 4, 500m or 16Gi",
    ),
}


def here(manifest: dict[str, Any]) -> list[str]:
    try:
        parse_job(manifest)
    except InvalidSpec as error:
        return [str(problem) for problem in error.problems]
    return []


# ---------------------------------------------------------------- the twins


@pytest.mark.parametrize("case", CASES)
def test_both_accept_it(server: ApiServer, case: str) -> None:
    accepted, _, _ = CASES[case]
    assert (here(accepted), server.broken(accepted)) == ([], [])


@pytest.mark.parametrize("case", CASES)
def test_both_refuse_it_with_the_same_words_at_the_same_place(server: ApiServer, case: str) -> None:
    _, refused, message = CASES[case]
    problems = here(refused)
    assert len(problems) == 1
    assert problems[0].startswith(message)
    said = {words for _, words in server.broken(refused)}
    assert len(said) == 1
    assert problems[0].startswith(said.pop())


def rules_of(model: type[BaseModel]) -> Iterator[Rule]:
    """Every rule of a model and of everything below it."""
    if issubclass(model, Model):
        yield from model.constraints
    for field in model.model_fields.values():
        yield from (rule for part in models_in(field.annotation) for rule in rules_of(part))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from models_in(inner)


def test_no_rule_is_without_a_case(server: ApiServer) -> None:
    tried = {rule for _, refused, _ in CASES.values() for rule, _ in server.broken(refused)}
    untried = {rule.cel for rule in rules_of(FineTuneJob)} - tried
    assert untried == set(), "add a case to CASES"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(manifests())
def test_both_agree_on_every_manifest_of_the_right_shape(server: ApiServer, manifest: dict[str, Any]) -> None:
    assert sorted(here(manifest)) == sorted(words for _, words in server.broken(manifest))


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ({"task": "chat"}, {"task": "classification"}, "spec.task"),
        ({}, {"image": "mine:1"}, "spec.image"),
        ({"image": "mine:1"}, {}, "spec.image"),
        ({"podTemplate": {"env": [{"name": "A"}]}}, {"podTemplate": {"env": [{"name": "B"}]}}, "spec.podTemplate"),
        ({}, {"training": {"seed": 18}}, "spec.training"),
        ({}, {"runPolicy": {"maxRestarts": 4}}, "spec.runPolicy.maxRestarts"),
        ({}, {"runPolicy": {"activeDeadlineSeconds": 60}}, "spec.runPolicy.activeDeadlineSeconds"),
    ],
)
def test_a_changed_field_is_refused_by_name(server: ApiServer, old: dict[str, Any], new: dict[str, Any], field: str) -> None:
    told = server.changes(a_manifest(**old), a_manifest(**new))
    assert told == [f"{field}: {field} cannot change after creation; a changed job is a new job"]


@pytest.mark.parametrize("policy", [{"suspend": True}, {"ttlSecondsAfterFinished": 60}, {}])
def test_suspending_and_the_time_to_live_may_change_at_any_time(server: ApiServer, policy: dict[str, Any]) -> None:
    assert server.changes(a_manifest(), a_manifest(runPolicy=policy)) == []
    assert server.changes(a_manifest(runPolicy=policy), a_manifest()) == []
