"""What it means for an attempt that the API server does not create one of its children."""

from __future__ import annotations

from datetime import datetime, timedelta

from finetune_api.errors import ClusterError, Refused, Taken
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.observation import AttemptState


def meaning(error: ClusterError) -> AttemptState | None:
    """How the attempt counts; None if the error says nothing about it and the call is to be tried again.

    A quota that others use up, and an admission webhook that does not answer (while Kueue is upgraded, say), are waited for
    like room: nobody has to change anything.
    """
    if (error.status == 403 and "exceeded quota" in error.message) or (error.status == 500 and "webhook" in error.message):
        return AttemptState.WAITING
    return AttemptState.BLOCKED if isinstance(error, Taken | Refused) else None


def waiting_since(error: ClusterError, job: FineTuneJob, first: datetime) -> datetime:
    """Since when the deadline runs: what is not valid will never be, so its time is over at once.

    Args:
        first: when the server refused it for the first time.
    """
    invalid = isinstance(error, Refused) and error.status != 403
    return first - timedelta(seconds=job.spec.run_policy.startup_deadline_seconds) if invalid else first
