"""Child Jobs, their pods and Events -> what was seen, in the words that the brain knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.observation import Observation
from finetune_operator.render.child import Manifest


def observe(
    job: FineTuneJob, jobs: Sequence[Manifest], pods: Sequence[Manifest], events: Sequence[Manifest], now: datetime
) -> Observation:
    """Say what exists of a job.

    Args:
        job: with its status; `status.progress` is taken for the report of the attempt that runs.
        jobs: batch/v1 Jobs labelled with the job's name, also those of a predecessor of that name.
        pods: pods of those Jobs that run or have just ended.
        events: core/v1 Events about those Jobs and pods; empty where nothing is in doubt.
        now: aware, UTC.
    """
    raise NotImplementedError
