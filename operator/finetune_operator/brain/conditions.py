"""The conditions of a job as Kubernetes' tools read them: all there from the first status on, in one order.

Tools wait for a condition by its name, so none is missing; and they compare how long it has been so, so its time is that of
the last change, in whole seconds, and not of the last writing.
"""

from __future__ import annotations

from datetime import datetime

from finetune_api.v1alpha1.status import Condition, ConditionType, FineTuneJobStatus


def with_all_conditions(status: FineTuneJobStatus, now: datetime) -> FineTuneJobStatus:
    """The status with every condition, Unknown where nothing was said of it yet."""
    known = {condition.type: condition for condition in status.conditions}
    undecided = {
        kind: Condition(type=kind, status="Unknown", reason="Pending", last_transition_time=now) for kind in ConditionType
    }
    return status.model_copy(update={"conditions": tuple(known.get(kind, undecided[kind]) for kind in ConditionType)})


def with_condition(
    status: FineTuneJobStatus, kind: ConditionType, holds: bool, reason: str, message: str, now: datetime
) -> FineTuneJobStatus:
    """The status with one condition set; its transition time changes only when its own status does.

    Args:
        reason: one word.
        message: a sentence, empty where the word says it all; cut to what Kubernetes takes.
        now: aware, UTC.
    """
    value = "True" if holds else "False"
    old = {condition.type: condition for condition in status.conditions}
    same = old.get(kind)
    since = same.last_transition_time if same and same.status == value else now.replace(microsecond=0)
    old[kind] = Condition(
        type=kind,
        status=value,
        reason=reason,
        message=message[:32768],
        observed_generation=status.observed_generation,
        last_transition_time=since,
    )
    return status.model_copy(update={"conditions": tuple(old[k] for k in ConditionType if k in old)})
