"""What a stage is told: one JSON file with every `auto` resolved (design section 5, item 1).

The trainer decides nothing that the plan can decide, so that the operator, `finetune plan` and the status all say what
will really run. Unknown keys and another version are errors: a stage that half understands its orders does damage.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from finetune_api.errors import UserError
from finetune_api.model import Model
from finetune_api.parse import unknown_fields
from finetune_api.problems import problems_of
from finetune_api.v1alpha1.anonymize import Entity
from finetune_api.v1alpha1.data import DataFormat, DocumentSettings, FieldMapping, MailSettings, Role
from finetune_api.v1alpha1.evaluation import Gate, Metric, Task
from finetune_api.v1alpha1.preparation import Preparation

CONFIG_VERSION = "v1alpha1"

WITHOUT_MODEL = "none"
"""In the place of a model's URI: data is prepared without one, to be looked at. Lengths are then characters."""

StageName = Literal["prepare", "train", "evaluate", "publish"]


class JobIdentity(Model):
    """Which job, for reports and messages."""

    name: str
    """Name of the FineTuneJob."""
    namespace: str = ""
    """Its namespace; empty on one machine."""
    uid: str = ""
    """Its identity; empty on one machine."""
    attempt: int = 1
    """Attempt of this stage, from 1."""


class Mounts(Model):
    """Directories in which volumes and config maps are found."""

    claims: dict[str, str] = Field(default_factory=dict)
    """Claim name to directory, for pvc://."""
    config_maps: dict[str, str] = Field(default_factory=dict)
    """Config map name to directory, for configMap://."""


class ModelInput(Model):
    """The base model."""

    uri: str
    """Where it is; none, for prepare alone, where there is none."""
    revision: str = "main"
    """Branch, tag or commit of an hf:// model."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model."""
    chat_template: str | None = None
    """Jinja chat template to use instead of the tokenizer's own."""
    environment_prefix: str = "MODEL_"
    """Credentials are looked up in the environment with this prefix first, then without."""


class DatasetInput(Model):
    """One source of examples."""

    name: str
    """Name in reports and messages."""
    field: str
    """Path in the manifest, for messages."""
    uri: str
    """Where it is."""
    revision: str = "main"
    """Branch, tag or commit of an hf:// dataset."""
    role: Role | Literal["suite", "reference"] = "train"
    """What it is for."""
    format: DataFormat = "auto"
    """Shape of the rows."""
    fields: FieldMapping = FieldMapping()
    """Field names."""
    mail: MailSettings = MailSettings()
    """Who is inside in mailboxes."""
    documents: DocumentSettings = DocumentSettings()
    """What becomes of documents."""
    weight: float = 1.0
    """Mixing weight."""
    environment_prefix: str = ""
    """Credentials are looked up in the environment with this prefix first, then without."""


class DetectorInput(Model):
    """A detector of personal data beside those that are built in."""

    field: str
    """Path in the manifest, for messages."""
    uri: str
    """Where it is: a model for token classification, or presidio+http(s)://."""
    revision: str = "main"
    """Branch, tag or commit of an hf:// model."""
    labels: dict[str, Entity] | None = None
    """Its labels and the kinds they stand for; None: the usual ones."""
    min_score: float = 0.5
    """Score from which on it is believed."""
    environment_prefix: str = ""
    """Credentials are looked up in the environment with this prefix first, then without."""

    @property
    def is_service(self) -> bool:
        """Whether it is asked over the network, and is no model that is run here."""
        return self.uri.startswith("presidio+")


class PrepareConfig(Model):
    """Orders for prepare."""

    datasets: tuple[DatasetInput, ...]
    """Sources, suites included."""
    reference: DatasetInput | None = None
    """Rows by which relevance is measured; set where preparation.weighting.relevance has a reference."""
    preparation: Preparation
    """How rows become examples; both shares of the split are set."""
    detectors: tuple[DetectorInput, ...] = ()
    """Detectors of personal data beside those that are built in."""
    seed: int
    """Seed of everything random."""
    write_examples: str | None = None
    """File to which the prepared examples are written as text, JSONL or JSONL.gz; only without a model."""


class LoraConfig(Model):
    """Adapters."""

    rank: int
    """Rank of the update matrices."""
    alpha: int
    """Scale is alpha / rank."""
    dropout: float
    """Dropout on the adapters' input."""
    target_modules: tuple[str, ...]
    """Module names, or all-linear alone."""


class TrainConfig(Model):
    """Orders for train."""

    lora: LoraConfig | None = None
    """None: all weights are trained."""
    world_size: int
    """Training processes over all nodes."""
    nodes: int
    """Machines; 1 on one machine, whatever the number of processes."""
    processes_per_node: int
    """Training processes per machine."""
    threads_per_process: int
    """Threads of one process, for work on the CPU."""
    total_steps: int
    """Optimizer steps."""
    batch_size: int
    """Examples per step over all processes."""
    tokens_per_micro_batch: int
    """Most tokens in one forward pass of one process."""
    learning_rate: float
    """Highest learning rate."""
    warmup_steps: int
    """Steps over which the rate rises."""
    scheduler: Literal["cosine", "linear", "constant"]
    """Course after the warm-up."""
    weight_decay: float
    """Decoupled weight decay."""
    max_grad_norm: float
    """Clipping; 0: off."""
    precision: Literal["bf16", "fp32"]
    """Arithmetic."""
    packing: Literal["auto", "always", "never"]
    """Whether examples share rows."""
    gradient_checkpointing: bool
    """Whether activations are recomputed."""
    zero_stage: Annotated[int, Field(ge=0, le=3)]
    """DeepSpeed ZeRO stage."""
    offload: Literal["none", "optimizer", "parameters"]
    """What is kept in the host's memory."""
    deepspeed: dict[str, Any] = Field(default_factory=dict)
    """Raw configuration, merged last."""
    evaluation_steps: int
    """Steps between validations; 0: none."""
    patience: int
    """Validations without improvement before stopping; 0: never."""
    checkpoint_seconds: float
    """Seconds between checkpoints."""
    stall_seconds: float
    """A process that finishes no micro-batch for so long ends itself."""
    estimated_memory_gi_b: Annotated[float | None, Field(alias="estimatedMemoryGiB")] = None
    """Peak the plan expects per process."""
    seed: int
    """Seed of order, new weights and dropout."""


class PlannedValue(Model):
    """A value that the manifest left open, for the report."""

    field: str
    """Where it would stand in the manifest."""
    value: int | float | str | bool
    """What was chosen."""
    reason: str
    """Why."""


class EvaluateConfig(Model):
    """Orders for evaluate."""

    tuned: Literal["adapter", "merged"]
    """What train left in the workspace."""
    baseline: bool
    """Whether the base model is scored."""
    metrics: tuple[Metric, ...]
    """What is measured."""
    samples: int
    """Answers shown side by side."""
    generated_examples: int
    """Examples answered per test set."""
    answers_at_once: Annotated[int, Field(ge=1)] = 16
    """Answers that are written side by side."""
    max_new_tokens: int | None = None
    """Longest answer; None: from the reference answers."""
    gates: tuple[Gate, ...]
    """Bounds to keep."""
    precision: Literal["bf16", "fp32"]
    """Arithmetic, that of training."""
    tokens_per_micro_batch: int
    """Most tokens in one forward pass."""
    seed: int
    """Seed of the bootstrap and of a new classification head."""
    plan: tuple[PlannedValue, ...] = ()
    """What the plan resolved, for the report."""
    manifest: dict[str, Any] = Field(default_factory=dict)
    """The job as it was asked for, for the evidence: without what concerns pods, and without queries of URIs."""


class PublishConfig(Model):
    """Orders for publish."""

    uri: str
    """Target."""
    format: Literal["adapter", "merged"]
    """What is published."""
    tuned: Literal["adapter", "merged"]
    """What train left in the workspace."""
    precision: Literal["bf16", "fp32"]
    """Arithmetic of training."""
    seed: int
    """Of training: what a checkpoint lacks is filled as it was then."""
    environment_prefix: str = "OUTPUT_"
    """Credentials are looked up in the environment with this prefix first, then without."""


class TrainerConfig(Model):
    """Orders for one attempt of one stage."""

    version: str
    """Version of this contract: v1alpha1."""
    stage: StageName
    """Which stage."""
    job: JobIdentity
    """Which job and attempt."""
    task: Task
    """What the model learns."""
    workspace: str
    """Directory that the stages share."""
    mounts: Mounts = Mounts()
    """Directories of volumes and config maps."""
    model: ModelInput
    """The base model."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs that were asked for on each machine: where fewer are visible, train and evaluate end. 0: it may be a CPU."""
    prepare: PrepareConfig | None = None
    """Set when stage is prepare."""
    train: TrainConfig | None = None
    """Set when stage is train."""
    evaluate: EvaluateConfig | None = None
    """Set when stage is evaluate."""
    publish: PublishConfig | None = None
    """Set when stage is publish."""


def read_config(text: str, *, source: str) -> TrainerConfig:
    """Read the orders of a stage, strictly.

    Args:
        text: JSON.
        source: where it came from, for messages.
    Raises: UserError that names the key: not JSON, another version, an unknown key, a missing block.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise UserError(f"{source} is not JSON: {error}") from None
    except RecursionError:
        raise UserError(f"{source} is JSON nested too deeply") from None
    if not isinstance(raw, dict):
        raise UserError(f"{source} holds no JSON object")
    version = raw.get("version")
    if version != CONFIG_VERSION:
        raise UserError(
            f"{source} is of version {version!r}; this trainer reads {CONFIG_VERSION}",
            field="version",
            hint="Operator and trainer image must be of the same release.",
        )
    problems = unknown_fields(TrainerConfig, raw, "")
    try:
        config = TrainerConfig.model_validate_json(text)
    except ValidationError as error:
        problems += problems_of(error, raw, "")
    if problems:
        raise UserError(f"{source}: " + "; ".join(map(str, problems)))
    if getattr(config, config.stage) is None:
        raise UserError(f"{source} is for the stage {config.stage} but has no block {config.stage}", field=config.stage)
    return config
