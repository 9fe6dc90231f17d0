"""What changed between two statuses, as the lines and Events that people follow.

Said once per transition and only after the status is written, so that nothing is announced that did not happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus, Phase
from finetune_operator.brain.failures import ON_REQUEST
from finetune_operator.brain.status import COMPLETED, sentence


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that happened."""

    level: Literal["Normal", "Warning"]
    reason: str
    """CamelCase, from a closed set: the reason of the Kubernetes Event."""
    message: str
    facts: dict[str, str | int] = field(default_factory=dict)


def transitions(before: FineTuneJobStatus, after: FineTuneJobStatus) -> list[Transition]:
    """Everything that happened between two statuses, in order."""
    found: list[Transition] = []
    known = {(a.stage, a.number): a for a in before.attempts}
    for attempt in after.attempts:
        old = known.get((attempt.stage, attempt.number))
        if attempt.finished_at and not (old and old.finished_at):
            found.append(_ended(attempt))
    for attempt in after.attempts:
        if (attempt.stage, attempt.number) not in known and not attempt.finished_at:
            facts: dict[str, str | int] = {"stage": attempt.stage, "attempt": attempt.number}
            found.append(Transition("Normal", "Started", f"{attempt.stage} attempt {attempt.number} starts", facts))
    if after.phase != before.phase and after.phase is not None:
        if after.phase.terminal:
            level: Literal["Normal", "Warning"] = "Normal" if after.phase is Phase.SUCCEEDED else "Warning"
            found.append(Transition(level, str(after.phase), after.message or str(after.phase)))
        elif after.phase is Phase.SUSPENDED:
            found.append(Transition("Normal", "Suspended", after.message or "Suspended"))
        elif before.phase is Phase.SUSPENDED:
            found.append(Transition("Normal", "Resumed", "Continues after the suspension"))
    return found


def _ended(attempt: Attempt) -> Transition:
    facts: dict[str, str | int] = {"stage": attempt.stage, "attempt": attempt.number}
    if attempt.last_step:
        facts["step"] = attempt.last_step
    if attempt.started_at and attempt.finished_at:
        facts["seconds"] = max(0, round((attempt.finished_at - attempt.started_at).total_seconds()))
    if attempt.reason == COMPLETED:
        return Transition("Normal", "Completed", f"{attempt.stage} is done", facts)
    facts["class"] = attempt.reason or "Unknown"
    where = f" at step {attempt.last_step}" if attempt.last_step else ""
    if attempt.reason in ON_REQUEST:
        return Transition("Normal", "AttemptStopped", f"{attempt.stage} attempt {attempt.number} stopped{where}", facts)
    charged = "" if attempt.charged else " Not charged."
    message = f"{attempt.stage} attempt {attempt.number} ended{where}: {sentence(attempt.message or '')}{charged}"
    return Transition("Warning", "AttemptFailed", message, facts)
