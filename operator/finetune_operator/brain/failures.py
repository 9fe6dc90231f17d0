"""How an attempt ended -> the class of its failure -> what the policy says.

Whether another try can help, and who pays for it, must not depend on which branch of the code noticed. So there is one
table of classes and one function that names the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from finetune_api.contract.exit_codes import ExitCode
from finetune_api.errors import in_full
from finetune_operator.brain.observation import Exit, ExitReason
from finetune_operator.brain.stages import STAGES, Stage


class FailureClass(StrEnum):
    """Whose fault it was."""

    USER_ERROR = "UserError"
    OUT_OF_MEMORY = "OutOfMemory"
    DISRUPTION = "Disruption"
    STALL = "Stall"
    STARTUP = "Startup"
    TRANSIENT = "Transient"
    UNKNOWN = "Unknown"
    DEADLINE = "DeadlineExceeded"
    NO_ROOM = "NoRoom"
    STOPPED = "Suspended"
    DELETED = "Deleted"


@dataclass(frozen=True, slots=True)
class Policy:
    """What follows a failure."""

    retry: bool
    charged: bool = True
    """Counts against runPolicy.maxRestarts."""
    smaller_plan: bool = False
    """Retried once, with a smaller plan; not where the stage has none (stages.py)."""
    in_vain: int | None = 2
    """So many failures alike, with no step gained between them, end the job: the next would end alike."""
    backoff_seconds: float = 0.0
    """Wait before a retry, doubled for each further one without progress."""


POLICY: dict[FailureClass, Policy] = {
    FailureClass.USER_ERROR: Policy(retry=False),
    FailureClass.OUT_OF_MEMORY: Policy(retry=True, smaller_plan=True, in_vain=None),
    # Two preemptions before the first checkpoint are ordinary on spot nodes; ten in a row are not.
    FailureClass.DISRUPTION: Policy(retry=True, charged=False, in_vain=10),
    FailureClass.STALL: Policy(retry=True),
    FailureClass.STARTUP: Policy(retry=False),
    FailureClass.TRANSIENT: Policy(retry=True, in_vain=None, backoff_seconds=5.0),
    FailureClass.UNKNOWN: Policy(retry=True),
    FailureClass.DEADLINE: Policy(retry=False),
    # Two gangs that each hold half of the cluster would wait for each other for ever: one has to let go.
    FailureClass.NO_ROOM: Policy(retry=True, charged=False, in_vain=None, backoff_seconds=30.0),
    FailureClass.STOPPED: Policy(retry=True, charged=False, in_vain=None),
    FailureClass.DELETED: Policy(retry=False, charged=False),
}

ON_REQUEST = (FailureClass.STOPPED, FailureClass.DELETED)
"""Somebody wanted these ends: nothing has failed."""

_BY_CODE = {
    ExitCode.USER_ERROR: FailureClass.USER_ERROR,
    ExitCode.DATA_ERROR: FailureClass.USER_ERROR,
    ExitCode.OUT_OF_MEMORY: FailureClass.OUT_OF_MEMORY,
    ExitCode.TRANSIENT: FailureClass.TRANSIENT,
    ExitCode.INTERRUPTED: FailureClass.DISRUPTION,
}


_BY_WORD = {
    "UserError": FailureClass.USER_ERROR,
    "DataError": FailureClass.USER_ERROR,
    "OutOfMemory": FailureClass.OUT_OF_MEMORY,
    "Transient": FailureClass.TRANSIENT,
    "Interrupted": FailureClass.DISRUPTION,
}


def succeeded(stage: Stage, end: Exit) -> bool:
    """Whether the attempt did its work. Exit code 0 is not enough: a pod that is deleted may exit 0 on SIGTERM."""
    result = end.result
    if end.code != ExitCode.DONE or result is None or result.error is not None or result.stage != stage:
        return False
    return all(getattr(result, part) is not None for part in STAGES[stage].leaves)


def failure_of(reason: str | None) -> FailureClass:
    """The class that a status holds as a word; Unknown for a word that this version does not know."""
    return next((failure for failure in FailureClass if failure == reason), FailureClass.UNKNOWN)


def classify(end: Exit) -> FailureClass:
    """Name the class of a failure, from the strongest evidence to the weakest.

    What the stage itself says of the manifest, the data or its memory comes first: no drained node makes them right.
    """
    told = _BY_WORD.get(end.result.error.error_class) if end.result and end.result.error else None
    if told in (FailureClass.USER_ERROR, FailureClass.OUT_OF_MEMORY):
        return told
    match end.reason:
        case ExitReason.OUT_OF_MEMORY:
            return FailureClass.OUT_OF_MEMORY
        case ExitReason.DISRUPTED | ExitReason.VANISHED:
            return FailureClass.DISRUPTION
        case ExitReason.EVICTED:
            memory = end.detail is not None and "memory" in end.detail
            return FailureClass.OUT_OF_MEMORY if memory else FailureClass.UNKNOWN
        case ExitReason.EXITED:
            known = next((failure for code, failure in _BY_CODE.items() if code == end.code), None)
            return known or told or FailureClass.UNKNOWN


def describe(end: Exit) -> str:
    """What happened, in a sentence: the stage's own words if it left any."""
    error = end.result.error if end.result else None
    if error:
        return in_full(error.message, error.field, error.hint)
    if end.detail:
        return end.detail
    match end.reason:
        case ExitReason.VANISHED:
            return "it was killed together with the program that watched it"
        case ExitReason.OUT_OF_MEMORY:
            return "the machine's memory ran out (OOMKilled)"
        case ExitReason.DISRUPTED | ExitReason.EVICTED | ExitReason.EXITED:
            pass
    if end.code == ExitCode.DONE:
        return "it exited 0 without a result, so its work is not done"
    if end.code == ExitCode.KILLED:
        return "a process was killed (SIGKILL)"
    if end.code == ExitCode.INTERRUPTED:
        return "it was told to stop"
    return f"exit code {end.code}; the log has the traceback"
