"""What was seen, whoever saw it: pods in a cluster, processes on one machine.

decide() must give the same answer for both, so both describe what they see in these words and in no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from finetune_api.contract.result import StageResult
from finetune_api.v1alpha1.status import Progress
from finetune_operator.brain.stages import Stage


class AttemptState(StrEnum):
    """How far an attempt is."""

    WAITING = "waiting"
    """For room: busy nodes, quota, a queue. No failure."""
    BLOCKED = "blocked"
    """Cannot start: image, volume, permission. A failure once the startup deadline is over."""
    RUNNING = "running"
    ENDING = "ending"
    """Told to stop, or half gone: it may still write."""
    ENDED = "ended"


class ExitReason(StrEnum):
    """What the surroundings say of an end, beside the exit code."""

    EXITED = "Exited"
    OUT_OF_MEMORY = "OOMKilled"
    DISRUPTED = "Disrupted"
    """Preempted, drained, node lost, deleted by hand."""
    EVICTED = "Evicted"
    """By the node, for the disk or memory that this pod used."""
    VANISHED = "Vanished"
    """Nothing is left to read: killed together with whoever watched it."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How an attempt ended."""

    code: int | None
    reason: ExitReason = ExitReason.EXITED
    result: StageResult | None = None
    detail: str | None = None
    """The surroundings' own words, such as the name of a drained node."""
    pod: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptSeen:
    """One attempt that exists or left a trace."""

    stage: Stage
    number: int
    state: AttemptState
    started_at: datetime | None = None
    """When its processes began, at the latest when it was looked at; None while they wait."""
    waiting_since: datetime | None = None
    """Since when it is in this state: waiting for room and being unable to start have a clock each."""
    waits_for: str | None = None
    """What it waits for, or why it cannot start, in words."""
    half_since: datetime | None = None
    """Since when some of its pods run, and hold what they got, while others wait for room."""
    ending_since: datetime | None = None
    """Since when it should be gone: told to stop, and the time it was given is over."""
    finished_at: datetime | None = None
    exit: Exit | None = None
    """Set when it has ended."""
    progress: Progress | None = None
    """The newest report of this attempt, since it was started last: by a queue that takes it back and lets it go on too."""
    last_step: int | None = None
    """The newest step that it reported, also before it was started last."""
    resumed_from_step: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Every attempt that exists or left a trace, in no particular order."""

    attempts: tuple[AttemptSeen, ...] = ()
    heard_since: datetime | None = None
    """Since when reports can have been heard, where before that they could not for a while: nobody was there, so that an
    attempt which told of every step is as silent as one that hangs."""

    def find(self, stage: Stage, number: int) -> AttemptSeen | None:
        """The attempt with this name, if it was seen."""
        return next((a for a in self.attempts if a.stage == stage and a.number == number), None)
