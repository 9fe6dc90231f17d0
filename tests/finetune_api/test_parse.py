"""What `finetune validate` says: every mistake at once, each with its place, what is wrong and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from builders import a_manifest
from finetune_api.errors import InvalidSpec
from finetune_api.parse import SYNONYMS, parse_job
from finetune_api.v1alpha1.job import FineTuneJob

DATA = {"uri": "s3://a/b"}


def problems(manifest: Any) -> list[str]:
    """What is said about a manifest that is not valid."""
    with pytest.raises(InvalidSpec) as refused:
        parse_job(manifest)
    return [str(problem) for problem in refused.value.problems]


def test_the_smallest_job_is_three_fields_and_everything_else_is_filled_in() -> None:
    job = parse_job(a_manifest())
    assert (job.name, job.spec.task, job.spec.method.type, job.spec.training.epochs) == ("support", "chat", "lora", "auto")
    assert job.spec.resources.gpus_per_node == 1


def test_twelve_mistakes_are_named_at_once_in_the_order_of_the_file() -> None:
    manifest = {
        "apiVersion": "finetune.dev/v1",
        "kind": "FineTuneJob",
        "metadata": {"name": "Support"},
        "spec": {
            "model": {"uri": "Qwen/Qwen3-8B"},
            "training": {"lr": 2e-4, "epochs": 0, "scheduler": "cosin", "seed": "17"},
            "resources": {"nodes": 1.5, "gpus": 2},
            "datasets": [{"uri": "s3://a/b", "role": "test"}, {"weight": 0}],
            "output": {"uri": "s3://a/c", "format": "gguf"},
        },
    }
    assert problems(manifest) == [
        'apiVersion: must be finetune.dev/v1alpha1, not "finetune.dev/v1"',
        "metadata.name: at most 40 characters of a-z, 0-9 and -, beginning with a letter (no dots)",
        "spec.model.uri: must be a URI without blanks (%20) that begins with one of hf://, s3://, pvc://, https://, file://,"
        ' not "Qwen/Qwen3-8B"',
        'spec.training.lr: unknown field. Did you mean "learningRate"?',
        "spec.training.epochs: must be a whole number from 1 to 1000, or auto, not 0",
        'spec.training.scheduler: must be one of cosine, linear, constant, not "cosin". Did you mean cosine?',
        'spec.training.seed: must be a whole number, not "17"; remove the quotes',
        "spec.resources.nodes: must be a whole number, not 1.5",
        'spec.resources.gpus: unknown field. Did you mean "gpusPerNode"?',
        "spec.datasets[1].weight: must be greater than 0, not 0",
        "spec.datasets[1].uri: is required",
        'spec.output.format: must be one of adapter, merged, not "gguf"',
    ]


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"traning": {}}, 'spec.traning: unknown field. Did you mean "training"?'),
    ({"training": {"learning_rate": 1e-4}}, 'spec.training.learning_rate: unknown field. Did you mean "learningRate"?'),
    ({"training": {"num_train_epochs": 3}}, 'spec.training.num_train_epochs: unknown field. Did you mean "epochs"?'),
    (
        {"training": {"per_device_train_batch_size": 4}},
        'spec.training.per_device_train_batch_size: unknown field. Did you mean "batchSize"?',
    ),
    ({"method": {"lora": {"r": 16}}}, 'spec.method.lora.r: unknown field. Did you mean "rank"?'),
    ({"method": {"lora": {"lora_alpha": 32}}}, 'spec.method.lora.lora_alpha: unknown field. Did you mean "alpha"?'),
    ({"preparation": {"max_seq_length": 512}}, 'spec.preparation.max_seq_length: unknown field. Did you mean "maxLength"?'),
    ({"network": {"zzz": 1}}, "spec.network.zzz: unknown field. Known here: egress, allow"),
    ({"datasets": [DATA | {"urii": 1}]}, 'spec.datasets[0].urii: unknown field. Did you mean "uri"?'),
    ({"image": 5}, "spec.image: must be text, not 5; put it in quotes"),
    ({"image": ""}, "spec.image: must not be empty"),
    ({"image": "x" * 1025}, "spec.image: is too long: at most 1024"),
    ({"datasets": []}, "spec.datasets: must not be empty"),
    ({"datasets": "s3://a/b"}, 'spec.datasets: must be a list, not "s3://a/b"'),
    ({"datasets": ["s3://a/b"]}, 'spec.datasets[0]: must be a mapping, not "s3://a/b"'),
    ({"training": "fast"}, 'spec.training: must be a mapping, not "fast"'),
    (
        {"training": {"learningRate": "auto"}},
        'spec.training.learningRate: must be a number, not "auto"; leave it out to have it',
    ),
    ({"training": {"learningRate": "2e-4"}}, 'spec.training.learningRate: must be a number, not "2e-4"; remove the quotes'),
    ({"training": {"learningRate": 2}}, "spec.training.learningRate: must be at most 1, not 2"),
    ({"training": {"weightDecay": -0.1}}, "spec.training.weightDecay: must be at least 0, not -0.1"),
    ({"method": {"lora": {"dropout": 1}}}, "spec.method.lora.dropout: must be less than 1, not 1"),
    (
        {"method": {"lora": {"rank": "16"}}},
        'spec.method.lora.rank: must be a whole number from 1 to 1024, or auto, not "16"; rem',
    ),
    (
        {"training": {"learningRate": "1e309"}},
        'spec.training.learningRate: must be a number, not "1e309"; no number is so large',
    ),
    ({"training": {"learningRate": "1.2.3"}}, 'spec.training.learningRate: must be a number, not "1.2.3"'),
    (
        {"preparation": {"anonymize": {"strategy": "mask", "patterns": [{"name": "kd", "pattern": "KD"}]}}},
        "spec.preparation.anonymize.patterns[0].name: must be capitals, digits and _, beginning with a letter, as in",
    ),
    (
        {"preparation": {"anonymize": {"strategy": "mask", "patterns": [{"name": "KD", "pattern": "(a+)+"}]}}},
        "spec.preparation.anonymize.patterns[0].pattern: must be made of letters, digits, \\d, \\w, [A-Z], {n}, {n,m} and ?",
    ),
    ({"resources": {"nodes": "2"}}, 'spec.resources.nodes: must be a whole number, not "2"; remove the quotes'),
    (
        {"resources": {"cpu": "16Gi"}},
        'spec.resources.cpu: must be a number of cores such as 4, 1.5 or 500m, not "16Gi"',
    ),
    ({"resources": {"memory": "lots"}}, 'spec.resources.memory: must be a quantity such as 4, 500m or 16Gi, not "lots"'),
    ({"runPolicy": {"suspend": "yes"}}, 'spec.runPolicy.suspend: must be true or false, not "yes"; remove the quotes'),
    ({"runPolicy": {"suspend": 1}}, "spec.runPolicy.suspend: must be true or false, not 1"),
    (
        {"task": "classify"},
        'spec.task: must be one of chat, classification, extraction, preference, not "classify". Did you me',
    ),
    ({"datasets": [DATA | {"name": "Big_One"}]}, "spec.datasets[0].name: must be lower-case letters, digits and -, beginning"),
    ({"runPolicy": {"activeDeadlineSeconds": 10**12}}, "spec.runPolicy.activeDeadlineSeconds: must be at most 2147483647, not"),
]


@pytest.mark.parametrize(("blocks", "sentence"), SENTENCES, ids=[sentence[:50] for _, sentence in SENTENCES])
def test_a_mistake_is_told_in_one_sentence(blocks: dict[str, Any], sentence: str) -> None:
    told = problems(a_manifest(**blocks))
    assert len(told) == 1
    assert told[0].startswith(sentence)


@pytest.mark.parametrize("name", SYNONYMS)
def test_each_foreign_name_is_translated_to_a_field_that_exists_where_it_would_stand(name: str) -> None:
    blocks = {block: {"lora": {name: 1}} if block == "method" else {name: 1} for block in ("method", "training", "resources")}
    blocks["preparation"] = {name: 1}
    told = problems(a_manifest(**blocks))
    assert [text for text in told if text.endswith(f'{name}: unknown field. Did you mean "{SYNONYMS[name]}"?')]


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ([], "a manifest is a mapping, not a list"),
        (None, "a manifest is a mapping, not empty"),
        ("job", "a manifest is a mapping, not text"),
        ({}, "apiVersion: is required"),
    ],
)
def test_what_is_no_manifest_at_all_is_told_too(manifest: Any, sentence: str) -> None:
    assert problems(manifest)[0] == sentence


def test_what_no_reader_of_json_follows_is_told_with_its_place() -> None:
    affinity: Any = "x"
    for _ in range(2000):
        affinity = [{"a": affinity}]
    assert problems(a_manifest(scheduling={"affinity": affinity})) == [
        "spec.scheduling.affinity: is nested more than 100 levels deep"
    ]


def test_a_name_that_is_missing_is_required_and_not_too_long() -> None:
    assert problems(a_manifest() | {"metadata": {"generateName": "support-"}}) == ["metadata.name: is required"]


def test_a_block_whose_lines_are_all_commented_out_counts_as_left_out_as_it_does_on_the_server() -> None:
    job = parse_job(a_manifest(training=None, evaluation={"gates": None, "samples": None}))
    assert job.spec.training.seed == 17
    assert (job.spec.evaluation.gates, job.spec.evaluation.samples) == ((), 20)
    assert problems(a_manifest(model=None)) == ["spec.model: is required"]


def test_a_rule_is_checked_although_another_block_is_broken() -> None:
    told = problems(a_manifest(training={"epochs": 2, "maxSteps": 5, "seed": -1}, command=["python"]))
    assert told == [
        "spec.training.maxSteps: say either epochs or maxSteps",
        "spec.training.seed: must be at least 0, not -1",
        "spec.command: a program of your own needs an image of your own: say spec.image too",
    ]


def test_a_rule_that_reads_a_broken_value_says_nothing_new() -> None:
    assert len(problems(a_manifest(training={"epochs": "many", "maxSteps": 5}))) == 1


def test_parts_of_pods_are_passed_through_unread_with_fields_that_nobody_here_knows() -> None:
    toleration = {"key": "gpu", "someNewField": {"a": [None, 1.5]}}
    job = parse_job(a_manifest(scheduling={"tolerations": [toleration]}))
    assert job.spec.scheduling.tolerations == (toleration,)


def test_metadata_of_kubernetes_and_of_other_tools_is_not_ours_to_judge() -> None:
    manifest = a_manifest()
    manifest["metadata"] |= {"finalizers": ["x"], "labels": {"app": "y"}, "managedFields": []}
    assert parse_job(manifest).metadata.labels == {"app": "y"}


def test_what_the_server_sends_is_read_leniently_so_that_an_older_operator_survives_a_newer_definition() -> None:
    manifest = a_manifest(somethingNew={"a": 1})
    manifest["status"] = {"phase": "Training", "newCounter": 3}
    job = FineTuneJob.model_validate(manifest)
    assert (str(job.status.phase), job.spec.task) == ("Training", "chat")
