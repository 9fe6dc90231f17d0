"""What has happened to attempts since the status was written: each that was open and has ended gets its end.

Before anything is decided, for what comes next hangs on it. An attempt that did its work has succeeded, also where it was being
stopped; another that was being stopped ends for the reason that was written down then, whatever its last words are.
"""

from __future__ import annotations

from datetime import datetime

from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus
from finetune_operator.brain import status as say
from finetune_operator.brain.failures import POLICY, FailureClass, classify, describe, failure_of, succeeded
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Exit, ExitReason, Observation
from finetune_operator.brain.stages import Stage

_NEVER_SEEN_TO_END = Exit(None, ExitReason.EXITED, detail="it ended and left nothing that tells how")


def settle(status: FineTuneJobStatus, seen: Observation, now: datetime) -> FineTuneJobStatus:
    """Write down what became of the attempts that the status still holds open, and of their results.

    Args:
        status: as it was written last; attempts that have ended in it are left alone.
        seen: every attempt that exists or left a trace.
        now: aware, UTC; the end of what nobody saw end.
    """
    for attempt in status.attempts:
        if attempt.finished_at is not None:
            continue
        found = seen.find(Stage(attempt.stage), attempt.number)
        if found is None:
            status = say.attempt_gone(status, attempt)
            if attempt.reason:  # we had it deleted, and wrote down why
                message = attempt.message or "it was stopped"
                status = _failed_attempt(status, attempt, None, failure_of(attempt.reason), message, now)
            elif attempt.started_at is not None:  # it existed and is gone: somebody deleted it
                status = _failed_attempt(status, attempt, None, FailureClass.DISRUPTION, "it was deleted", now)
            continue
        status = say.attempt_seen(status, attempt, found)
        attempt = say.newest(status, attempt.stage, attempt.number)
        if found.state is not AttemptState.ENDED:
            continue
        end = found.exit or _NEVER_SEEN_TO_END
        if end.result is not None and succeeded(Stage(attempt.stage), end):
            status = say.stage_done(status, attempt, end.result, found.finished_at or now)
        elif attempt.reason:  # we had stopped it, and wrote down why
            message = attempt.message or describe(end)
            status = _failed_attempt(status, attempt, found, failure_of(attempt.reason), message, now)
        else:
            status = _failed_attempt(status, attempt, found, classify(end), describe(end), now)
    return status


def _failed_attempt(
    status: FineTuneJobStatus,
    attempt: Attempt,
    found: AttemptSeen | None,
    failure: FailureClass,
    message: str,
    now: datetime,
) -> FineTuneJobStatus:
    end = found.exit if found else None
    return say.attempt_failed(
        status,
        attempt,
        reason=failure,
        message=message,
        exit_code=end.code if end else None,
        pod=end.pod if end else None,
        node=end.node if end else None,
        charged=POLICY[failure].charged,
        finished_at=(found.finished_at if found else None) or now,
    )
