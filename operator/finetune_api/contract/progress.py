"""Progress reports, in the wire format of Kubeflow Trainer (KEP-2779), which transformers >= 5.4 speaks by itself.

Values are strings on the wire and may be `nan`; numbers that are not finite are dropped here, because neither JSON nor
the API server knows them.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AwareDatetime, Field

from finetune_api.model import Model

MAX_BODY_BYTES = 65536


class ReportedMetric(Model):
    """A named number."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """Name, such as loss."""
    value: Annotated[str, Field(max_length=64)]
    """Number, as text."""


class TrainerStatus(Model):
    """The newest state of a training process."""

    last_updated_time: AwareDatetime
    """When it was taken, with time zone."""
    progress_percentage: Annotated[int, Field(ge=0, le=100)] | None = None
    """Share done. 100 is also sent by a run that was stopped: it is never taken for completion."""
    estimated_remaining_seconds: Annotated[int, Field(ge=0)] | None = None
    """Time left."""
    metrics: Annotated[tuple[ReportedMetric, ...], Field(max_length=256)] = ()
    """Numbers by name."""

    def numbers(self) -> dict[str, float]:
        """The metrics whose value is a finite number."""
        found: dict[str, float] = {}
        for metric in self.metrics:
            try:
                value = float(metric.value)
            except ValueError:
                continue
            if math.isfinite(value):
                found[metric.name] = value
        return found


class ProgressReport(Model):
    """The body of a progress POST."""

    trainer_status: TrainerStatus
    """The state."""


METRIC_STEP = "current_step"
METRIC_TOTAL_STEPS = "total_steps"
METRIC_EPOCH = "current_epoch"
METRIC_LOSS = "loss"
METRIC_LEARNING_RATE = "learning_rate"
METRIC_TOKENS_PER_SECOND = "tokens_per_second"
METRIC_RESUMED_FROM_STEP = "resumed_from_step"
"""Names in `metrics`; the first five are those of transformers' own callback and logs."""
