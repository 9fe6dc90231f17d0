"""Which attempt a person means, and which one follows it."""

from __future__ import annotations

from dataclasses import dataclass

from finetune_api.errors import UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, Phase
from finetune_operator.brain.stages import Stage


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for; nothing: the newest attempt of all."""

    stage: Stage | None = None
    number: int | None = None
    """Of this stage, from 1."""
    previous: bool = False
    """The attempt before the newest of its stage."""


def chosen(job: FineTuneJob, wish: Wish) -> Attempt:
    """The attempt that is meant.

    Raises: UserError if there is none, with those that there are.
    """
    attempts = job.status.attempts
    if not attempts:
        raise UserError(f"{job.name} has not begun any stage ({job.status.message or job.status.phase or Phase.PENDING})")
    stage = wish.stage or Stage(attempts[-1].stage)
    of_stage = [attempt for attempt in attempts if attempt.stage == stage]
    if wish.number is not None:
        of_stage = [attempt for attempt in of_stage if attempt.number == wish.number]
    elif wish.previous:
        of_stage = of_stage[:-1]
    if not of_stage:
        known = ", ".join(f"{attempt.stage} {attempt.number}" for attempt in attempts)
        what = f"attempt {wish.number}" if wish.number else "attempt before the newest" if wish.previous else "attempt"
        raise UserError(f"{job.name} has no {what} of {stage}; its newest attempts: {known}")
    return of_stage[-1]


def successor(job: FineTuneJob, attempt: Attempt, wish: Wish) -> Attempt | None:
    """The attempt that came after this one, of the same stage where one was asked for; None if there is none (yet)."""
    if wish.number is not None:
        return None
    names = [(one.stage, one.number) for one in job.status.attempts]
    if (attempt.stage, attempt.number) not in names:
        return job.status.attempts[0] if job.status.attempts and wish.stage is None else None
    later = job.status.attempts[names.index((attempt.stage, attempt.number)) + 1 :]
    return next((one for one in later if wish.stage in (None, one.stage)), None)


def is_last(job: FineTuneJob, wish: Wish) -> bool:
    """Whether nothing that was asked for can follow."""
    phase = job.status.phase
    newest = job.status.attempts[-1] if job.status.attempts else None
    gone_on = wish.stage is not None and newest is not None and newest.stage != wish.stage
    return wish.number is not None or (phase is not None and phase.terminal) or gone_on
