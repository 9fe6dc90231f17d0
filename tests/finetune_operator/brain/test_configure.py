"""The orders of each stage: whole, readable by the trainer they are for, and by no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builders import a_job, a_node, a_plan, a_workstation, some_facts
from finetune_api.contract.trainer_config import Mounts, TrainerConfig, read_config
from finetune_api.errors import UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.configure import configure
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.stages import Stage
from golden import assert_golden
from known_models import smollm_135m

WHOLE = a_job(
    model={"uri": "hf://org/model", "revision": "v2", "chatTemplate": "{{ messages }}"},
    datasets=[
        {"uri": "s3://corp/tickets.jsonl", "fields": {"prompt": "question", "completion": "answer"}, "weight": 2},
        {"name": "exam", "uri": "configMap://exam/rows.jsonl", "role": "test", "format": "messages"},
        {"uri": "hf://org/chats", "revision": "abc", "role": "validation"},
    ],
    preparation={"weighting": {"rules": [{"field": "priority", "equals": "high", "weight": 2}]}},
    method={"lora": {"dropout": 0.05, "targetModules": ["q_proj", "v_proj"]}},
    training={"checkpointMinutes": 5, "earlyStopping": {"patience": 0}},
    deepspeed={"config": {"fp16": {"enabled": False}}},
    evaluation={
        "suites": [{"name": "general", "uri": "s3://corp/general.jsonl"}],
        "gates": [{"metric": "exact_match", "suite": "general", "maxRegression": 0.01}],
        "samples": 200,
    },
    resources={"nodes": 2, "gpusPerNode": 8},
)


def orders(job: FineTuneJob = WHOLE, stage: Stage = Stage.TRAIN, **more: Any) -> TrainerConfig:
    planned = a_plan(job, some_facts(), a_node())
    return configure(job, planned, stage, 2, workspace="/workspace", mounts=Mounts(claims={"models": "/mnt/models"}), **more)


def as_written(config: TrainerConfig) -> str:
    return config.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n"


@pytest.mark.parametrize("stage", Stage)
def test_the_orders_of_each_stage_read_as_they_were_agreed(stage: Stage) -> None:
    assert_golden(f"trainer_config/{stage}.json", as_written(orders(stage=stage)))


@pytest.mark.parametrize("stage", Stage)
def test_the_trainer_reads_what_was_written(stage: Stage) -> None:
    written = orders(stage=stage)
    assert read_config(as_written(written), source="job.json") == written


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_gets_its_own_block_and_no_other(stage: Stage) -> None:
    given = {block for block in Stage if getattr(orders(stage=stage), block) is not None}
    assert given == {stage}


@pytest.mark.parametrize(
    ("gpus_per_node", "machine", "asked"),
    [
        (8, a_node(), [0, 8, 1, 0]),
        (0, a_node(), [0, 0, 0, 0]),
        (8, a_workstation(gpus=2), [0, 2, 1, 0]),
        (8, a_workstation(), [0, 0, 0, 0]),
    ],
    ids=["a node", "a node without", "a workstation with fewer", "a workstation without"],
)
def test_each_stage_is_told_how_many_gpus_its_machine_was_asked_for(
    gpus_per_node: int, machine: Machine, asked: list[int]
) -> None:
    job = a_job(resources={"nodes": 2, "gpusPerNode": gpus_per_node})
    planned = a_plan(job, some_facts(smollm_135m()), machine)
    assert [configure(job, planned, stage, 1, workspace="/w").gpus for stage in Stage] == asked


def test_training_all_weights_has_no_adapters_and_publishes_a_model() -> None:
    job = a_job(method={"type": "full"}, resources={"gpusPerNode": 0})
    planned = a_plan(job, some_facts(smollm_135m()), a_workstation())
    train, evaluate, publish = (configure(job, planned, stage, 1, workspace="/w") for stage in list(Stage)[1:])
    assert train.train is not None
    assert evaluate.evaluate is not None
    assert publish.publish is not None
    assert train.train.lora is None
    assert (evaluate.evaluate.tuned, publish.publish.tuned, publish.publish.format) == ("merged", "merged", "merged")


def test_reference_rows_are_ordered_beside_the_datasets_and_as_none_of_them() -> None:
    fields = {"prompt": "q", "completion": "a"}
    weighting = {"relevance": {"reference": {"uri": "hf://org/shown", "format": "prompt_completion", "fields": fields}}}
    prepare = orders(a_job(preparation={"weighting": weighting}), Stage.PREPARE).prepare
    assert prepare is not None
    assert prepare.reference is not None
    said = prepare.reference
    assert (said.role, said.uri, said.revision, said.format) == ("reference", "hf://org/shown", "main", "prompt_completion")
    assert (said.field, said.environment_prefix) == ("spec.preparation.weighting.relevance.reference", "REFERENCE_")
    assert said.fields.prompt == "q"
    assert "hf://org/shown" not in [dataset.uri for dataset in prepare.datasets]


def test_samples_are_answered_even_if_there_are_more_of_them_than_examples_asked_for() -> None:
    evaluate = orders(stage=Stage.EVALUATE).evaluate
    assert evaluate is not None
    assert evaluate.generated_examples == 200


def test_no_examples_to_answer_means_no_answers_and_so_no_samples() -> None:
    evaluate = orders(a_job(evaluation={"generation": {"examples": 0}}), Stage.EVALUATE).evaluate
    assert evaluate is not None
    assert (evaluate.generated_examples, evaluate.samples) == (0, 20)
    assert evaluate.metrics == ("loss", "perplexity", "token_accuracy")


def test_every_planned_value_reaches_the_report_with_its_reason() -> None:
    evaluate = orders(stage=Stage.EVALUATE).evaluate
    assert evaluate is not None
    planned = a_plan(WHOLE, some_facts(), a_node())
    assert [(p.field, p.value, p.reason) for p in evaluate.plan] == [(c.field, c.value, c.reason) for c in planned.choices]


@pytest.mark.parametrize("stage", [Stage.TRAIN, Stage.EVALUATE])
def test_what_needs_the_facts_is_never_ordered_without_them(stage: Stage) -> None:
    with pytest.raises(ValueError, match="before prepare has reported its facts"):
        configure(a_job(), a_plan(a_job()), stage, 1, workspace="/workspace")


# ---------------------------------------------------------------- what the trainer refuses


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(as_written(orders())), **changes})


def in_train(**changes: Any) -> str:
    raw = json.loads(as_written(orders()))
    return json.dumps({**raw, "train": {**raw["train"], **changes}})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed(version="v1alpha2"), "version: job.json is of version 'v1alpha2'; this trainer reads v1alpha1. Operator and"),
        ("{}", "version: job.json is of version None; this trainer reads v1alpha1"),
        (changed(stagee="x"), 'job.json: stagee: unknown field. Did you mean "stage"?'),
        (in_train(batchsize=8), 'job.json: train.batchsize: unknown field. Did you mean "batchSize"?'),
        (in_train(zeroStage=4), "job.json: train.zeroStage: must be at most 3, not 4"),
        (changed(stage="publish"), "publish: job.json is for the stage publish but has no block publish"),
        (changed(stage="bake"), "job.json: stage: must be one of prepare, train, evaluate, publish, not"),
        ("[]", "job.json holds no JSON object"),
        ("not", "job.json is not JSON: "),
    ],
)
def test_orders_that_are_only_half_understood_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        read_config(text, source="job.json")
    assert str(refused.value).startswith(sentence)
