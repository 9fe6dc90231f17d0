"""`status`: what we answer. Written by one function (brain/status.py), read by people, kubectl and GitOps tools.

Numbers are numbers and are rounded before they are written; what a printer column shows is a scalar of its own, because
a column can neither compute nor format.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from finetune_api.contract.facts import DataFacts, MachineFacts, ModelFacts
from finetune_api.contract.summary import DataSummary, EvaluationSummary, OutputSummary
from finetune_api.model import Model


class Phase(StrEnum):
    """Where a job is. Rejected (a gate said no) is not Failed (something broke)."""

    PENDING = "Pending"
    PREPARING = "Preparing"
    TRAINING = "Training"
    EVALUATING = "Evaluating"
    PUBLISHING = "Publishing"
    SUCCEEDED = "Succeeded"
    REJECTED = "Rejected"
    FAILED = "Failed"
    SUSPENDED = "Suspended"

    @property
    def terminal(self) -> bool:
        """Whether nothing can follow."""
        return self in TERMINAL_PHASES


TERMINAL_PHASES = (Phase.SUCCEEDED, Phase.REJECTED, Phase.FAILED)
"""How a job ends. As a tuple it may be asked about whatever a stored object holds, hashable or not."""


class ConditionType(StrEnum):
    """The conditions, in the order in which they are written. Every job ends with exactly one of Complete and Failed."""

    ACCEPTED = "Accepted"
    PREPARED = "Prepared"
    TRAINED = "Trained"
    EVALUATED = "Evaluated"
    PUBLISHED = "Published"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Condition(Model):
    """One aspect of the job, as Kubernetes tools read it."""

    type: Annotated[str, Field(max_length=63)]
    """Which aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=1024)]
    """One word why."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """A sentence why."""
    observed_generation: int | None = None
    """Generation of the spec it speaks of."""
    last_transition_time: datetime
    """When `status` last changed."""


class Restarts(Model):
    """Attempts after the first, over all stages."""

    total: int = 0
    """All of them."""
    charged: int = 0
    """Those that count against runPolicy.maxRestarts."""
    out_of_memory: int = 0
    """Those that were answered with a smaller plan."""


class Attempt(Model):
    """One try of a stage."""

    stage: str
    """prepare, train, evaluate or publish."""
    number: int
    """From 1, per stage."""
    reason: str | None = None
    """How it ended: Completed, or the class of the failure. None while it runs."""
    message: str | None = None
    """What happened, and what to do."""
    exit_code: int | None = None
    """Exit code of the process that is to blame."""
    pod: str | None = None
    """Pod in which it arose."""
    node: str | None = None
    """Node of that pod."""
    started_at: datetime | None = None
    """When it was started."""
    finished_at: datetime | None = None
    """When it ended."""
    resumed_from_step: int | None = None
    """Step of the checkpoint it began with."""
    last_step: int | None = None
    """Last step it reported."""
    charged: bool = False
    """Whether it counts against runPolicy.maxRestarts."""


class Progress(Model):
    """The newest report of the running attempt."""

    step: int | None = None
    """Optimizer steps done."""
    total_steps: int | None = None
    """Optimizer steps planned."""
    percent: int | None = None
    """Share of the stage that is done."""
    epoch: float | None = None
    """Passes over the data."""
    loss: float | None = None
    """Training loss per supervised token, mean since the last report."""
    learning_rate: float | None = None
    """Learning rate of the step."""
    tokens_per_second: float | None = None
    """Tokens trained per second, over all GPUs."""
    eta_seconds: int | None = None
    """Time left in this stage."""
    eta: str | None = None
    """Time left in this stage, for reading."""
    resumed_from_step: int | None = None
    """Step of the checkpoint that the running attempt began with."""
    updated_at: datetime | None = None
    """When it was reported."""


class GpuMemory(Model):
    """Memory per GPU, in GiB."""

    estimated: float | None = None
    """What the plan expects at the peak."""
    available: float | None = None
    """What one GPU has."""


class PlanStatus(Model):
    """What was resolved from the spec, the model and the data."""

    world_size: int | None = None
    """Training processes."""
    zero_stage: int | None = None
    """DeepSpeed ZeRO stage."""
    offload: str | None = None
    """What is kept in the host's memory."""
    precision: str | None = None
    """bf16 or fp32."""
    packing: str | None = None
    """Whether examples share rows."""
    gradient_checkpointing: bool | None = None
    """Whether activations are recomputed."""
    tokens_per_micro_batch: int | None = None
    """Most tokens in one forward pass of one process."""
    gpu_memory_gi_b: Annotated[GpuMemory | None, Field(alias="gpuMemoryGiB")] = None
    """Memory per GPU."""
    total_steps: int | None = None
    """Optimizer steps."""
    estimated_seconds: int | None = None
    """Time expected for training."""
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    """Every value that was left to us, resolved."""


class Facts(Model):
    """What the prepare stage found; kept, so that a restarted operator plans the same."""

    model: ModelFacts | None = None
    """The base model."""
    data: DataFacts | None = None
    """The data."""
    machine: MachineFacts | None = None
    """The machine that prepared."""


class FineTuneJobStatus(Model):
    """What was reached."""

    observed_generation: int = 0
    """Generation of the spec that this status speaks of; 0: nobody has looked yet."""
    phase: Phase | None = None
    """Where the job is."""
    message: str | None = None
    """What is going on, in one sentence."""
    start_time: datetime | None = None
    """When the job was accepted."""
    completion_time: datetime | None = None
    """When the job ended."""
    suspended_seconds: int = 0
    """Time spent suspended; deadlines do not count it."""
    suspended_since: datetime | None = None
    """Since when the job is suspended."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()
    """Aspects of the job, as Kubernetes tools read them."""
    restarts: Restarts = Restarts()
    """Attempts after the first."""
    facts: Facts | None = None
    """What the prepare stage found."""
    plan: PlanStatus | None = None
    """What was resolved."""
    data: DataSummary | None = None
    """What was read, kept and dropped."""
    progress: Progress | None = None
    """The newest report of the running attempt."""
    attempts: Annotated[tuple[Attempt, ...], Field(max_length=10)] = ()
    """The newest ten attempts, oldest first."""
    evaluation: EvaluationSummary | None = None
    """Base against tuned."""
    output: OutputSummary | None = None
    """What was published."""
