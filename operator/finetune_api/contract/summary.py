"""What a finished stage says to the status: small enough for a termination message, whole enough for a decision.

The full reports lie in the workspace. Nothing here ever holds the text of an example.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from finetune_api.model import Model

Verdict = Literal["Improved", "Inconclusive", "Regressed"]


class ExampleCounts(Model):
    """What became of the rows."""

    read: int
    """Rows read from all datasets."""
    kept: int
    """Examples kept, over all splits."""
    dropped_by_reason: dict[str, int] = Field(default_factory=dict)
    """Rows dropped, by reason."""


class SplitCounts(Model):
    """Examples per split."""

    train: int
    """To train on."""
    validation: int
    """For early stopping."""
    test: int
    """For the comparison."""
    suites: int = 0
    """Of all suites together."""


class WeightSummary(Model):
    """Loss weights of the training examples."""

    effective_sample_size: float
    """(sum of weights)^2 / sum of squared weights (Kish 1965)."""
    lowest: float
    """Smallest weight."""
    highest: float
    """Largest weight."""


class DataSummary(Model):
    """What was read, kept and dropped."""

    examples: ExampleCounts
    """Rows and examples."""
    tokens: int
    """Tokens kept, over all splits."""
    redactions: dict[str, int] = Field(default_factory=dict)
    """Personal items replaced, by kind; empty where nothing was looked for."""
    residual_rate: float | None = None
    """Share of the examples in which a second look, by other means, still found personal data; absent where nothing was
    looked for."""
    weights: WeightSummary
    """Loss weights."""
    split: SplitCounts
    """Examples per split."""
    warnings: int = 0
    """Findings in the data report that somebody should read."""
    digest: str
    """SHA-256 over the prepared data."""


class TrainSummary(Model):
    """How training went."""

    steps: int
    """Optimizer steps done."""
    total_steps: int
    """Optimizer steps planned."""
    best_step: int
    """Step whose weights were kept."""
    validation_loss: float | None = None
    """Validation loss of these weights."""
    early_stopped: bool = False
    """Whether training ended before the last step because validation no longer improved."""
    resumed_from_step: int = 0
    """Step of the checkpoint this attempt began with."""
    packing: bool = True
    """Whether examples shared rows."""
    peak_memory_gi_b: Annotated[float | None, Field(alias="peakMemoryGiB")] = None
    """Highest memory of one process: on the GPU, or resident on a CPU."""
    seconds: float = 0.0
    """Wall time of this attempt's steps."""


class Score(Model):
    """The task's main metric, for the columns BASE and TUNED."""

    metric: str
    """Which metric."""
    base: float | None = None
    """Score of the base model."""
    tuned: float
    """Score of the tuned model."""


class Delta(Model):
    """Tuned minus base on the same examples."""

    value: float
    """Difference of the scores."""
    ci95: Annotated[tuple[float, ...], Field(min_length=2, max_length=2)]
    """95 % interval of the difference, paired bootstrap over groups of examples."""


class GateResult(Model):
    """What one gate said."""

    metric: str
    """What is bounded."""
    suite: str | None = None
    """Where it was measured; absent: the test examples."""
    passed: bool
    """Whether the bound was kept."""
    reason: str
    """The numbers."""


class EvaluationSummary(Model):
    """Base against tuned."""

    examples: int
    """Held-out examples scored."""
    answered: int | None = None
    """How many of them were answered, for the metrics of answers; absent where the task has none."""
    score: Score
    """The main metric."""
    base: dict[str, float] = Field(default_factory=dict)
    """Every metric of the base model."""
    tuned: dict[str, float] = Field(default_factory=dict)
    """Every metric of the tuned model."""
    delta: dict[str, Delta] = Field(default_factory=dict)
    """Differences with their intervals."""
    gates: Annotated[tuple[GateResult, ...], Field(max_length=32)] = ()
    """What the gates said."""
    passed: bool
    """Whether all gates were kept."""
    verdict: Verdict | None = None
    """Tuned against base on the main metric, from its interval; absent without a baseline."""


class OutputSummary(Model):
    """What was published."""

    uri: str
    """Where."""
    digest: str
    """SHA-256 of the manifest that lists every file with its own SHA-256."""
    size_bytes: int
    """All files together."""
    report: str | None = None
    """Path of the report in the workspace."""
