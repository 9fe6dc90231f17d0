"""The manifests by which the product is explained: the smallest, the whole of it, and what this version cannot do yet."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from finetune_api.errors import InvalidSpec
from finetune_api.parse import parse_job
from finetune_cli.manifest import read_yaml

if TYPE_CHECKING:
    from conftest import ApiServer

SMALLEST = """
apiVersion: finetune.dev/v1alpha1
kind: FineTuneJob
metadata: {name: support-assistant}
spec:
  model: {uri: hf://Qwen/Qwen3-8B}
  datasets: [{uri: s3://corp/support/tickets.jsonl}]
  output: {uri: pvc://models/support-assistant}
"""

WHOLE = """
apiVersion: finetune.dev/v1alpha1
kind: FineTuneJob
metadata: {name: support-assistant}
spec:
  task: chat
  model:
    uri: hf://org/name
    revision: main
    secretName: null
    trustRemoteCode: false
    chatTemplate: null
  datasets:
  - name: tickets
    uri: s3://corp/support/tickets.jsonl
    role: train
    format: auto
    fields: {prompt: question, completion: answer}
    weight: 1.0
    secretName: s3-credentials
  preparation:
    clean: {unicode: true, controlCharacters: true, html: true, whitespace: true, minCharacters: 1, maxCharacters: 100000}
    deduplicate: near
    nearSimilarity: 0.85
    contradictions: {resolve: majority, answerWords: 0}
    anonymize: {strategy: none}
    weighting:
      rules: [{field: priority, equals: high, weight: 2.0}]
    split: {validation: 0.1, test: 0.1, groupBy: customer_id, seed: 17}
    maxLength: auto
    overlong: fail
  method:
    type: lora
    lora: {rank: auto, alpha: auto, dropout: 0, targetModules: [all-linear]}
  training:
    epochs: auto
    learningRate: 2e-4
    batchSize: auto
    warmupRatio: 0.05
    scheduler: cosine
    weightDecay: 0.01
    maxGradNorm: 1.0
    precision: auto
    packing: auto
    gradientCheckpointing: auto
    earlyStopping: {patience: 2}
    evaluationsPerEpoch: 2
    checkpointMinutes: 15
    seed: 17
  deepspeed:
    zeroStage: auto
    offload: auto
    config: {}
  evaluation:
    baseline: true
    metrics: [loss, exact_match]
    samples: 20
    suites: [{name: general, uri: s3://corp/general.jsonl}]
    gates:
    - {metric: loss, minImprovement: 0.02}
    - {metric: exact_match, suite: general, maxRegression: 0.01}
  resources:
    nodes: 1
    gpusPerNode: 1
    gpuResource: nvidia.com/gpu
    cpu: 8
    memory: 64Gi
    sharedMemory: 2Gi
  scheduling:
    queueName: team
    priorityClassName: high
    schedulerName: default-scheduler
    nodeSelector: {gpu: h100}
    tolerations: [{key: nvidia.com/gpu, operator: Exists}]
    affinity: {}
  podTemplate:
    labels: {team: ml}
    annotations: {example.com/a: b}
    env: [{name: A, value: b}]
    envFrom: [{secretRef: {name: s}}]
    volumes: [{name: v, emptyDir: {}}]
    volumeMounts: [{name: v, mountPath: /v}]
    imagePullSecrets: [registry]
    serviceAccountName: trainer
    runtimeClassName: nvidia
  image: null
  workspace: {size: 50Gi, storageClassName: fast, accessMode: ReadWriteOnce}
  network: {egress: deny, allow: []}
  output: {uri: s3://corp/models/support, format: adapter, secretName: s3-credentials}
  runPolicy:
    suspend: false
    maxRestarts: 3
    activeDeadlineSeconds: null
    startupDeadlineSeconds: 1800
    queueDeadlineSeconds: null
    stallTimeoutSeconds: 1800
    ttlSecondsAfterFinished: null
"""


@pytest.mark.parametrize("text", [SMALLEST, WHOLE], ids=["smallest", "whole"])
def test_the_example_is_valid_here_and_on_the_server(server: ApiServer, text: str) -> None:
    manifest = read_yaml(text)[0]
    assert parse_job(manifest).name == "support-assistant"
    assert server.takes(manifest)


def test_the_whole_example_leaves_out_no_field_but_those_that_exclude_others() -> None:
    manifest = read_yaml(WHOLE)[0]
    written = parse_job(manifest).spec.model_fields_set
    everything = set(type(parse_job(manifest).spec).model_fields)
    assert everything - written == {"image", "command"}


NOT_YET: list[tuple[tuple[str, ...], Any, str]] = [
    (("task",), "extraction", "spec.task: extraction, preference: not available in this version; use chat or classification"),
    (("method", "type"), "qlora", "spec.method.type: qlora, dora: not available in this version; use lora or full"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), NOT_YET, ids=[".".join(path) for path, _, _ in NOT_YET])
def test_what_a_later_version_can_do_is_refused_in_a_sentence_and_never_ignored(
    path: tuple[str, ...], value: Any, sentence: str
) -> None:
    manifest = copy.deepcopy(read_yaml(WHOLE)[0])
    block = manifest["spec"]
    for part in path[:-1]:
        block = block[part]
    block[path[-1]] = value
    with pytest.raises(InvalidSpec) as refused:
        parse_job(manifest)
    assert str(refused.value) == sentence
