"""Every rule of the resource as cases: what is accepted, what is refused, and with which words.

One table for all who say the rules: the models (tests/finetune_api) and a real API server (tests/cluster).
"""

from __future__ import annotations

from typing import Any

from builders import a_manifest

DATA = {"uri": "s3://a/b"}
DETECTOR = {"uri": "presidio+http://presidio:3000"}
LOSS = {"metric": "loss", "minValue": 0}


def with_name(name: str) -> dict[str, Any]:
    return a_manifest(name)


def spec(**blocks: Any) -> dict[str, Any]:
    return a_manifest(**blocks)


def weighing(**weighting: Any) -> dict[str, Any]:
    return spec(preparation={"weighting": weighting})


def weighted(condition: dict[str, Any]) -> dict[str, Any]:
    return weighing(rules=[{"field": "a", "weight": 2} | condition])


# What is accepted, what is refused, and how: the field and the beginning of the message.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a name of 40 characters": (with_name("a" * 40), with_name("a" * 41), "metadata.name: at most 40"),
    "a name without dots": (with_name("qwen2-5"), with_name("qwen2.5"), "metadata.name: at most 40"),
    "a name that begins with a letter": (with_name("q8"), with_name("8q"), "metadata.name: at most 40"),
    "tasks of this version": (spec(task="chat"), spec(task="preference"), "spec.task: extraction, preference: not available"),
    "a claim by its name": (
        spec(datasets=[{"uri": "pvc://in.puts-1/a//b/.c/*.jsonl"}, {"uri": "pvc://inputs"}]),
        spec(datasets=[{"uri": "pvc://In_puts/a.jsonl"}]),
        "spec.datasets[0].uri: must be a claim or ConfigMap by its name",
    ),
    "a model within its claim": (
        spec(model={"uri": "pvc://models/..qwen"}),
        spec(model={"uri": "pvc://models/a/../../b"}),
        "spec.model.uri: must be a claim or ConfigMap by its name",
    ),
    "a ConfigMap by its name": (
        spec(evaluation={"suites": [{"name": "exam", "uri": "configMap://exams/one.jsonl"}]}),
        spec(evaluation={"suites": [{"name": "exam", "uri": "configMap:///one.jsonl"}]}),
        "spec.evaluation.suites[0].uri: must be a claim or ConfigMap by its name",
    ),
    "a detector of a claim by its name": (
        spec(preparation={"anonymize": {"strategy": "mask", "detectors": [{"uri": "pvc://models/ner"}]}}),
        spec(preparation={"anonymize": {"strategy": "mask", "detectors": [{"uri": "pvc://-/ner"}]}}),
        "spec.preparation.anonymize.detectors[0].uri: must be a claim or ConfigMap by its name",
    ),
    "a reference of a claim by its name": (
        weighing(relevance={"reference": {"uri": "pvc://inputs/good.jsonl"}}),
        weighing(relevance={"reference": {"uri": "pvc://inputs./good.jsonl"}}),
        "spec.preparation.weighting.relevance.reference.uri: must be a claim or ConfigMap by its name",
    ),
    "an output within its claim": (
        spec(output={"uri": "pvc://models/support/v1.2"}),
        spec(output={"uri": "pvc://models/"}),
        "spec.output.uri: must be a place of its own",
    ),
    "an output within its bucket": (
        spec(output={"uri": "s3://models/support"}),
        spec(output={"uri": "s3://models"}),
        "spec.output.uri: must be a place of its own",
    ),
    "an output that is a repository": (
        spec(output={"uri": "hf://acme/support@review/1"}),
        spec(output={"uri": "hf://support"}),
        "spec.output.uri: must be a place of its own",
    ),
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
    "metrics of answers that are written": (
        spec(evaluation={"metrics": ["loss"], "generation": {"examples": 0}}),
        spec(evaluation={"metrics": ["loss", "chrf"], "generation": {"examples": 0}}),
        "spec.evaluation.metrics: exact_match, chrf, ends_by_itself are measured on written answers",
    ),
    "gates on answers that are written": (
        spec(evaluation={"gates": [LOSS], "generation": {"examples": 0}}),
        spec(evaluation={"gates": [LOSS, LOSS | {"metric": "exact_match"}], "generation": {"examples": 0}}),
        "spec.evaluation.gates: a gate on exact_match, chrf, ends_by_itself needs written answers",
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
    "declared patterns of few choices": (
        spec(preparation={"anonymize": {"patterns": [{"name": "A", "pattern": "a?b?c?d{1,2}"}]}}),
        spec(preparation={"anonymize": {"patterns": [{"name": "A", "pattern": "a?b?c?d?e?"}]}}),
        "spec.preparation.anonymize.patterns[0].pattern: may have at most four of ? and {n,m}",
    ),
    "detectors for texts that are looked at": (
        spec(preparation={"anonymize": {"strategy": "mask", "detectors": [DETECTOR]}}),
        spec(preparation={"anonymize": {"strategy": "none", "detectors": [DETECTOR]}}),
        "spec.preparation.anonymize.detectors: strategy none asks no detector",
    ),
    "an engine with a host and a port": (
        spec(preparation={"engine": {"dask": {"address": "tcp://scheduler.dask.svc:8786"}}}),
        spec(preparation={"engine": {"dask": {"address": "tcp://scheduler.dask.svc"}}}),
        "spec.preparation.engine.dask.address: must be a host and a port",
    ),
    "certificates for an encrypted engine": (
        spec(preparation={"engine": {"dask": {"address": "tls://scheduler:8786", "secretName": "dask"}}}),
        spec(preparation={"engine": {"dask": {"address": "tls://scheduler:8786"}}}),
        "spec.preparation.engine.dask.secretName: is needed for tls://",
    ),
    "something left to train on": (
        spec(preparation={"split": {"validation": 0.5, "test": 0.4}}),
        spec(preparation={"split": {"validation": 0.9}}),
        "spec.preparation.split.validation: validation and test together must leave something",
    ),
    "likeness where near-duplicates are looked for": (
        spec(preparation={"deduplicate": "near", "nearSimilarity": 0.9}),
        spec(preparation={"nearSimilarity": 0.9}),
        "spec.preparation.nearSimilarity: is for deduplicate: near alone",
    ),
    "short answers are labels where there are no labels": (
        spec(preparation={"contradictions": {"answerWords": 3}}),
        spec(task="classification", preparation={"contradictions": {"answerWords": 3}}),
        "spec.preparation.contradictions.answerWords: the task classification has labels",
    ),
    "one condition per weight rule": (
        weighted({"equals": "high"}),
        weighted({"equals": "high", "oneOf": ["low"]}),
        "spec.preparation.weighting.rules[0]: say exactly one of equals, oneOf, contains, present, atLeast/atMost",
    ),
    "at least one condition per weight rule": (
        weighted({"present": False}),
        weighted({}),
        "spec.preparation.weighting.rules[0]: say exactly one of",
    ),
    "a range of numbers is one condition": (
        weighted({"atLeast": 3, "atMost": 3.0}),
        weighted({"atLeast": 3, "atMost": 2.5}),
        "spec.preparation.weighting.rules[0].atLeast: must not be larger than atMost",
    ),
    "a range of days is one condition": (
        weighted({"since": "2025-12-31", "until": "2026-01-01"}),
        weighted({"since": "2026-01-02", "until": "2026-01-01"}),
        "spec.preparation.weighting.rules[0].since: must not be later than until",
    ),
    "an age is counted from a day": (
        weighted({"halfLifeDays": 365, "asOf": "2026-11-30"}),
        weighted({"halfLifeDays": 365}),
        "spec.preparation.weighting.rules[0].asOf: halfLifeDays and asOf are said together",
    ),
    "a day from which an age is counted": (
        weighted({"halfLifeDays": 0.5, "asOf": "2024-02-29"}),
        weighted({"equals": "high", "asOf": "2026-11-30"}),
        "spec.preparation.weighting.rules[0].asOf: halfLifeDays and asOf are said together",
    ),
    "relevance by one thing": (
        weighing(relevance={"description": "invoices"}),
        weighing(relevance={"description": "invoices", "reference": DATA}),
        "spec.preparation.weighting.relevance: say either description or reference",
    ),
    "relevance by something": (
        weighing(relevance={"reference": DATA | {"format": "messages"}, "min": 1}),
        weighing(relevance={"min": 0.1}),
        "spec.preparation.weighting.relevance: say either description or reference",
    ),
    "reference rows of formats of this version": (
        weighing(relevance={"reference": DATA | {"format": "text"}}),
        weighing(relevance={"reference": DATA | {"format": "tokens"}}),
        "spec.preparation.weighting.relevance.reference.format: tokens, preference: not available in this version",
    ),
    "a score of quality with both ends": (
        weighing(quality={"field": "csat", "worst": 1, "best": 5}),
        weighing(quality={"field": "csat", "worst": 1}),
        "spec.preparation.weighting.quality.field: field, worst and best are said together",
    ),
    "ends of a score of quality": (
        weighing(quality={"field": "csat", "worst": -1, "best": 0}),
        weighing(quality={"field": "csat", "worst": 1, "best": 1}),
        "spec.preparation.weighting.quality.worst: must be smaller than best",
    ),
    "bounds of weights in order": (
        weighing(bounds={"min": 1, "max": 1}),
        weighing(bounds={"min": 1.5, "max": 1}),
        "spec.preparation.weighting.bounds.min: must not be larger than max",
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
        "spec.resources.cpu: must be a number of cores such as 4, 1.5 or 500m",
    ),
}

# Spec before, spec after, and the field whose change is refused.
CHANGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"task": "chat"}, {"task": "classification"}, "spec.task"),
    ({}, {"image": "mine:1"}, "spec.image"),
    ({"image": "mine:1"}, {}, "spec.image"),
    ({"podTemplate": {"env": [{"name": "A"}]}}, {"podTemplate": {"env": [{"name": "B"}]}}, "spec.podTemplate"),
    ({}, {"training": {"seed": 18}}, "spec.training"),
    ({}, {"runPolicy": {"maxRestarts": 4}}, "spec.runPolicy.maxRestarts"),
    ({}, {"runPolicy": {"activeDeadlineSeconds": 60}}, "spec.runPolicy.activeDeadlineSeconds"),
]
MAY_CHANGE: list[dict[str, Any]] = [{"suspend": True}, {"ttlSecondsAfterFinished": 60}, {}]
"""Run policies that may be put on and taken off at any time."""
