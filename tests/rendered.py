"""Jobs as the API server gives them, and an installation, for the tests of rendering."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import a_manifest, a_node, a_plan, some_data, some_facts
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import FineTuneJobStatus
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.stages import Stage
from finetune_operator.render import Manifest, RenderSettings, render
from known_models import an_encoder, smollm_135m

UID = "4f1f2f6e-0c0a-4b5e-9a8a-0d2f8f1f7a11"
SMALL_NODE = Machine(cpu_cores=2, memory_gib=8.0)
GPU_NODE = a_node()


def settings(machine: Machine | None = None, **more: Any) -> RenderSettings:
    """An installation in finetune-system."""
    usual = RenderSettings(
        trainer_image="registry.example/finetune-trainer:0.1.0",
        machine=machine or SMALL_NODE,
        operator_namespace="finetune-system",
        operator_labels={"app.kubernetes.io/name": "finetune-operator"},
        progress_url="https://finetune-operator.finetune-system.svc:8443",
        progress_port=8443,
        ca_config_map="finetune-operator-ca",
        token_audience="finetune.dev/progress",
    )
    return replace(usual, **more)


def stored(name: str = "support", *, labels: dict[str, str] | None = None, **spec: Any) -> FineTuneJob:
    """A job in the namespace `team`, with the facts of a small model in its status."""
    manifest = a_manifest(name, **spec)
    manifest["metadata"] |= {"namespace": "team", "uid": UID, "generation": 1, "labels": labels or {}}
    job = FineTuneJob.model_validate(manifest)
    model = an_encoder() if job.spec.task == "classification" else smollm_135m()
    facts = some_facts(model, some_data(longest=400, mean=120))
    return job.model_copy(update={"status": FineTuneJobStatus(facts=facts)})


def children(
    job: FineTuneJob, stage: Stage = Stage.TRAIN, number: int = 1, *, installation: RenderSettings | None = None
) -> dict[str, Manifest]:
    """What one attempt needs, by kind."""
    chosen = installation or settings()
    planned = a_plan(job, machine=chosen.machine)
    return {child["kind"]: child for child in render(job, planned, AttemptName(stage, number), chosen)}


def pod_of(job: FineTuneJob, stage: Stage = Stage.TRAIN, **more: Any) -> Manifest:
    """The spec of the pods of an attempt."""
    spec: Manifest = children(job, stage, **more)["Job"]["spec"]["template"]["spec"]
    return spec


def container_of(job: FineTuneJob, stage: Stage = Stage.TRAIN, **more: Any) -> Manifest:
    """The only container of these pods."""
    (container,) = pod_of(job, stage, **more)["containers"]
    return dict(container)


def variables(job: FineTuneJob, stage: Stage = Stage.TRAIN, **more: Any) -> dict[str, str]:
    """The container's plain environment variables."""
    entries = container_of(job, stage, **more)["env"]
    assert len({entry["name"] for entry in entries}) == len(entries), "a variable is set twice"
    return {entry["name"]: entry["value"] for entry in entries if "value" in entry}


def secrets_of(job: FineTuneJob, stage: Stage) -> dict[str, str]:
    """Secrets whose keys the pod is given as variables, by their prefix."""
    sources = container_of(job, stage, installation=settings(GPU_NODE)).get("envFrom", ())
    return {source["prefix"]: source["secretRef"]["name"] for source in sources if "secretRef" in source}


def claims_of(job: FineTuneJob, stage: Stage) -> dict[str, str]:
    """Claims of the pod, each with the path at which it is mounted and how."""
    names = {
        v["name"]: v["persistentVolumeClaim"]["claimName"]
        for v in pod_of(job, stage, installation=settings(GPU_NODE))["volumes"]
        if "persistentVolumeClaim" in v
    }
    mounts = container_of(job, stage, installation=settings(GPU_NODE))["volumeMounts"]
    return {
        m["mountPath"]: f"{names[m['name']]}{' (read only)' if m.get('readOnly') else ''}" for m in mounts if m["name"] in names
    }


QUICKSTART = stored(
    "quickstart",
    model={"uri": "hf://HuggingFaceTB/SmolLM2-135M-Instruct"},
    datasets=[{"uri": "pvc://documents/python-docs.jsonl"}],
    preparation={"split": {"groupBy": "module", "validation": 0.06, "test": 0.14}},
    resources={"nodes": 2, "gpusPerNode": 0},
    evaluation={"gates": [{"metric": "loss", "minImprovement": 0.1}]},
    output={"uri": "pvc://documents/adapter"},
)
CLASSIFICATION = stored(
    "ticket-routing",
    task="classification",
    model={"uri": "pvc://models/minilm"},
    datasets=[{"uri": "configMap://tickets/tickets.jsonl"}],
    method={"type": "full"},
    resources={"nodes": 1, "gpusPerNode": 0, "cpu": 2, "memory": "4Gi"},
    workspace={"claimName": "scratch"},
    output={"uri": "pvc://models/routing"},
)
OWN_TRAINER = stored(
    "own-trainer",
    image="registry.example/team/trainer:7",
    command=["torchrun", "train.py"],
    resources={"nodes": 2, "gpusPerNode": 4},
    network={"allow": [{"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 5000}]}]},
)
EVERYTHING = stored(
    "support",
    labels={"kueue.x-k8s.io/priority-class": "high", "team": "help"},
    model={"uri": "s3://models/qwen", "secretName": "model-bucket"},
    datasets=[
        {"uri": "hf://corp/tickets", "secretName": "hub"},
        {"name": "exam", "uri": "configMap://exam/rows.jsonl", "role": "test"},
        {"uri": "https://data.example:8080/rows.jsonl", "secretName": "web"},
    ],
    evaluation={"suites": [{"name": "general", "uri": "pvc://suites/general.jsonl", "secretName": "unused"}]},
    resources={"nodes": 2, "gpusPerNode": 8, "sharedMemory": "16Gi"},
    scheduling={
        "queueName": "gpu-queue",
        "priorityClassName": "training",
        "schedulerName": "gang",
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    },
    podTemplate={
        "labels": {"cost-centre": "42", "finetune.dev/job": "another"},
        "annotations": {"kueue.x-k8s.io/podset-preferred-topology": "rack"},
        "env": [{"name": "NCCL_SOCKET_IFNAME", "value": "ib0"}, {"name": "MASTER_ADDR", "value": "elsewhere"}],
        "envFrom": [{"configMapRef": {"name": "proxies"}}],
        "volumes": [{"name": "certificates", "configMap": {"name": "corporate-ca"}}],
        "volumeMounts": [{"name": "certificates", "mountPath": "/etc/corporate", "readOnly": True}],
        "imagePullSecrets": ["registry"],
        "serviceAccountName": "trainer",
        "runtimeClassName": "nvidia",
    },
    workspace={"size": "200Gi", "storageClassName": "shared"},
    output={"uri": "s3://models/tuned", "format": "merged", "secretName": "model-bucket"},
)


JOBS = [QUICKSTART, CLASSIFICATION, OWN_TRAINER, EVERYTHING]
ALL = [(job, stage) for job in JOBS for stage in Stage]
GPUS = {"installation": settings(GPU_NODE)}
"""Every job in every stage, on an installation with GPUs."""
