"""The resource: FineTuneJob, read top-down from here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from finetune_api import meta
from finetune_api.model import DNS_LABEL, JOB_NAME_MAX, JOB_NAME_SAYS, Model, ObjectName, Rule, as_server, unavailable
from finetune_api.v1alpha1.data import Dataset, ModelSource, Output
from finetune_api.v1alpha1.evaluation import Evaluation, Metric, Task, metrics_of
from finetune_api.v1alpha1.method import Method
from finetune_api.v1alpha1.preparation import Preparation
from finetune_api.v1alpha1.running import Network, PodTemplate, Resources, RunPolicy, Scheduling, Workspace
from finetune_api.v1alpha1.status import FineTuneJobStatus
from finetune_api.v1alpha1.training import DeepSpeed, Training


def _metric_list(task: Task) -> str:
    return "[" + ", ".join(f"'{metric}'" for metric in metrics_of(task)) + "]"


_METRICS_OF_TASK = f"(self.task == 'classification' ? {_metric_list('classification')} : {_metric_list('chat')})"


def _fits(task: Task, metrics: tuple[Metric, ...]) -> bool:
    return set(metrics) <= set(metrics_of("classification" if task == "classification" else "chat"))


Word = Annotated[str, Field(min_length=1, max_length=16_384)]


class FineTuneJobSpec(Model):
    """What is wanted. It cannot change after creation, except runPolicy.suspend and runPolicy.ttlSecondsAfterFinished: a
    changed job is a new job, and that is what keeps its evidence true."""

    task: Task = "chat"
    """chat: the model learns to answer. classification: it learns to choose one label for a text."""
    model: ModelSource
    """The base model."""
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1, max_length=32)]
    """The data."""
    preparation: Preparation = Preparation()
    """From rows to tokens."""
    method: Method = Method()
    """Which parameters are trained."""
    training: Training = Training()
    """How long, how fast and in which arithmetic."""
    deepspeed: DeepSpeed = DeepSpeed()
    """How states are spread over GPUs."""
    evaluation: Evaluation = Evaluation()
    """Comparison with the base model, and gates."""
    resources: Resources = Resources()
    """Machines for training."""
    scheduling: Scheduling = Scheduling()
    """Which nodes and which queue."""
    pod_template: PodTemplate | None = None
    """What may be added to the pods."""
    image: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Image of the stages. Left out: the trainer image the operator was installed with."""
    command: Annotated[tuple[Word, ...], Field(min_length=1, max_length=64)] | None = None
    """Program that trains instead of ours, in `image`, with its arguments; one of them may be a short script."""
    workspace: Workspace = Workspace()
    """Volume that the stages share."""
    network: Network = Network()
    """What the pods may reach."""
    output: Output
    """Where the result goes."""
    run_policy: RunPolicy = RunPolicy()
    """Limits, and the switches that may change later."""

    mutable: ClassVar[tuple[str, ...] | None] = ("runPolicy",)
    path: ClassVar[str] = "spec"
    constraints: ClassVar[tuple[Rule, ...]] = (
        unavailable("task", "extraction", "preference", instead="chat or classification"),
        Rule(
            cel="self.datasets.exists(d, !has(d.role) || d.role == 'train')",
            holds=lambda spec: any(d.role in (None, "train") for d in spec.datasets),
            message="no dataset has the role train",
            field="datasets",
        ),
        Rule(
            cel="self.datasets.all(d, !has(d.name) || self.datasets.exists_one(e, has(e.name) && e.name == d.name))",
            holds=lambda spec: len(names := [d.name for d in spec.datasets if d.name]) == len(set(names)),
            message="two datasets have the same name",
            field="datasets",
        ),
        Rule(
            cel="self.datasets.all(d, !has(d.format) || d.format == 'auto' ||"
            " (d.format == 'classification') == (self.task == 'classification'))",
            holds=lambda spec: all(
                d.format in (None, "auto") or (d.format == "classification") == (spec.task == "classification")
                for d in spec.datasets
            ),
            message="the task classification takes data of the format classification, and no other task does",
            field="datasets",
        ),
        Rule(
            cel=f"!has(self.evaluation.metrics) || self.evaluation.metrics.all(m, m in {_METRICS_OF_TASK})",
            holds=lambda spec: _fits(spec.task, spec.evaluation.metrics or ()),
            message="a metric does not exist for this task; chat has loss, perplexity, token_accuracy, exact_match, chrf,"
            " ends_by_itself; classification has loss, accuracy, macro_f1",
            field="evaluation.metrics",
        ),
        Rule(
            cel=f"!has(self.evaluation.gates) || self.evaluation.gates.all(g, g.metric in {_METRICS_OF_TASK})",
            holds=lambda spec: _fits(spec.task, tuple(gate.metric for gate in spec.evaluation.gates)),
            message="a gate's metric does not exist for this task; chat has loss, perplexity, token_accuracy, exact_match,"
            " chrf, ends_by_itself; classification has loss, accuracy, macro_f1",
            field="evaluation.gates",
        ),
        Rule(
            cel="self.task != 'classification' || self.preparation.contradictions.answerWords == 0",
            holds=lambda spec: spec.task != "classification" or spec.preparation.contradictions.answer_words == 0,
            message="the task classification has labels, and no answers that count as such",
            field="preparation.contradictions.answerWords",
        ),
        Rule(
            cel="self.method.type != 'full' || !has(self.output.format) || self.output.format == 'merged'",
            holds=lambda spec: spec.method.type != "full" or spec.output.format in (None, "merged"),
            message="training all weights makes no adapter; use merged or leave it out",
            field="output.format",
        ),
        Rule(
            cel="self.resources.nodes == 1 || !has(self.workspace.accessMode) || self.workspace.accessMode == 'ReadWriteMany'",
            holds=lambda spec: spec.resources.nodes == 1 or spec.workspace.access_mode in (None, "ReadWriteMany"),
            message="more than one node needs a workspace that several nodes can write: ReadWriteMany",
            field="workspace.accessMode",
        ),
        Rule(
            cel="!has(self.command) || has(self.image)",
            holds=lambda spec: spec.command is None or spec.image is not None,
            message="a program of your own needs an image of your own: say spec.image too",
            field="command",
        ),
    )


class ObjectMeta(Model):
    """The part of Kubernetes' metadata that we read."""

    name: ObjectName | None = None
    """Name, unique in its namespace."""
    namespace: ObjectName | None = None
    """Namespace."""
    uid: str | None = None
    """Identity: another object of the same name has another one."""
    generation: int = 1
    """Counts changes of the spec."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""
    creation_timestamp: datetime | None = None
    """When it was created."""
    deletion_timestamp: datetime | None = None
    """When its deletion was asked for."""


class FineTuneJob(Model):
    """Fine-tunes a language model: prepares the data, trains, compares with the base model, applies the gates, publishes."""

    model_config = ConfigDict(title=meta.KIND)

    api_version: Literal["finetune.dev/v1alpha1"]
    """finetune.dev/v1alpha1"""
    kind: Literal["FineTuneJob"]
    """FineTuneJob"""
    metadata: ObjectMeta
    """Name, namespace, labels."""
    spec: FineTuneJobSpec
    """What is wanted."""
    status: FineTuneJobStatus = FineTuneJobStatus()
    """What was reached."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"size(self.metadata.name) <= {JOB_NAME_MAX} && self.metadata.name.matches('{DNS_LABEL}')",
            holds=lambda job: _is_job_name(job.metadata.name),
            message=f"metadata.name: {JOB_NAME_SAYS}",
        ),
    )

    @property
    def name(self) -> str:
        """The job's name."""
        return self.metadata.name or ""


def _is_job_name(name: str | None) -> bool:
    return name is not None and len(name) <= JOB_NAME_MAX and as_server(DNS_LABEL).search(name) is not None
