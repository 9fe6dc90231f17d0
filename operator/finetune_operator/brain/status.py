"""What the user reads: each function takes a status and says one more thing in it.

Statuses are values, so every function returns a new one. Sentences hold nothing that moves by itself (steps, seconds):
those stand under `progress`, or each report would be a change to write.
"""

from __future__ import annotations

from datetime import datetime

from finetune_api.contract.result import StageResult
from finetune_api.errors import InvalidSpec
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import (
    Attempt,
    ConditionType,
    Facts,
    FineTuneJobStatus,
    GpuMemory,
    Phase,
    PlanStatus,
)
from finetune_operator.brain.conditions import with_all_conditions, with_condition
from finetune_operator.brain.failures import FailureClass
from finetune_operator.brain.observation import AttemptSeen
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.stages import STAGES, Stage

KEPT_ATTEMPTS = 10
COMPLETED = "Completed"

# ---------------------------------------------------------------- the job as a whole


def begun(job: FineTuneJob, plan: Plan | None, now: datetime) -> FineTuneJobStatus:
    """The job is accepted and planned; whatever it reached before stays, as does its plan where there is no new one."""
    now = now.replace(microsecond=0)
    status = job.status.model_copy(
        update={
            "observed_generation": job.metadata.generation,
            "start_time": job.status.start_time or now,
            "phase": job.status.phase or Phase.PENDING,
            "plan": plan_status(plan) if plan else job.status.plan,
        }
    )
    status = with_condition(with_all_conditions(status, now), ConditionType.ACCEPTED, True, "Valid", "", now)
    return with_condition(status, ConditionType.RECONCILING, False, "Accepted", "", now)


def looked_at(job: FineTuneJob) -> FineTuneJobStatus:
    """The status as it is, of this version of the spec: tools that wait for that would wait for ever."""
    if job.status.observed_generation == job.metadata.generation:
        return job.status
    return job.status.model_copy(update={"observed_generation": job.metadata.generation})


def refused(job: FineTuneJob, error: InvalidSpec, now: datetime) -> FineTuneJobStatus:
    """The manifest cannot be run; the message holds every problem."""
    now = now.replace(microsecond=0)
    status = job.status.model_copy(
        update={"observed_generation": job.metadata.generation, "start_time": job.status.start_time or now}
    )
    status = with_all_conditions(status, now)
    status = with_condition(status, ConditionType.ACCEPTED, False, "InvalidSpec", error.message, now)
    status = with_condition(status, ConditionType.RECONCILING, False, "InvalidSpec", "", now)
    return failed(status, FailureClass.USER_ERROR, error.message, now, reason="InvalidSpec")


def succeeded(status: FineTuneJobStatus, now: datetime) -> FineTuneJobStatus:
    """Everything is done and published."""
    verdict = status.evaluation.verdict if status.evaluation else None
    message = f"Published to {status.output.uri}." if status.output else "Published."
    status = _ended(status, Phase.SUCCEEDED, f"{message} Verdict: {verdict}." if verdict else message, now)
    status = with_condition(status, ConditionType.COMPLETE, True, "Succeeded", message, now)
    status = with_condition(status, ConditionType.FAILED, False, "Succeeded", "", now)
    return with_condition(status, ConditionType.STALLED, False, "Succeeded", "", now)


def rejected(status: FineTuneJobStatus, now: datetime) -> FineTuneJobStatus:
    """A gate said no: nothing is published, and nothing is broken."""
    assert status.evaluation is not None
    reasons = " ".join(gate.reason for gate in status.evaluation.gates if not gate.passed)
    message = f"Rejected: {reasons}"
    status = _ended(status, Phase.REJECTED, message, now)
    for kind in (ConditionType.FAILED, ConditionType.STALLED):
        status = with_condition(status, kind, True, "Rejected", message, now)
    return with_condition(status, ConditionType.COMPLETE, False, "Rejected", "", now)


def failed(
    status: FineTuneJobStatus, failure: FailureClass, message: str, now: datetime, *, reason: str | None = None
) -> FineTuneJobStatus:
    """Something broke and trying on is no use.

    Args:
        failure: its class; attempts that are open end with it, unless they were being stopped for a reason of their own.
        message: for the user, as a sentence.
        reason: of the conditions, where it says more than the class.
    """
    status = _ended(status, Phase.FAILED, message, now)
    given_up = {"reason": str(failure), "message": message, "finished_at": _second(now)}
    attempts = (a if a.finished_at else a.model_copy(update={**given_up, **_told(a)}) for a in status.attempts)
    status = status.model_copy(update={"attempts": tuple(attempts)})
    for kind in (ConditionType.FAILED, ConditionType.STALLED):
        status = with_condition(status, kind, True, reason or failure, message, now)
    return with_condition(status, ConditionType.COMPLETE, False, reason or failure, "", now)


def _told(attempt: Attempt) -> dict[str, str]:
    """Why it was already being stopped, if it was."""
    return {key: value for key, value in (("reason", attempt.reason), ("message", attempt.message)) if value}


def _ended(status: FineTuneJobStatus, phase: Phase, message: str, now: datetime) -> FineTuneJobStatus:
    end = {"phase": phase, "message": message, "completion_time": now.replace(microsecond=0), "progress": None}
    return status.model_copy(update=end)


def suspended(status: FineTuneJobStatus, now: datetime) -> FineTuneJobStatus:
    """Stopped on request; what was reached stays."""
    now = now.replace(microsecond=0)
    update = {"phase": Phase.SUSPENDED, "message": "Suspended; what was reached is kept.", "progress": None}
    status = status.model_copy(update={**update, "suspended_since": status.suspended_since or now})
    return with_condition(status, ConditionType.SUSPENDED, True, "RunPolicy", "", now)


def deleted(status: FineTuneJobStatus, *, runs: bool) -> FineTuneJobStatus:
    """Being deleted, and held by somebody who has to do something first."""
    message = (
        "Being deleted; its pods are told to stop."
        if runs
        else "Being deleted; nothing of it runs any more. It goes when all that metadata.finalizers names have let go."
    )
    return status.model_copy(update={"message": message, "progress": None})


def resumed(status: FineTuneJobStatus, now: datetime) -> FineTuneJobStatus:
    """Not suspended (any more); the time of the suspension is taken out of the deadlines."""
    if status.suspended_since is None:
        return status
    paused = int((now - status.suspended_since).total_seconds())
    update = {"suspended_seconds": status.suspended_seconds + max(0, paused), "suspended_since": None}
    return with_condition(status.model_copy(update=update), ConditionType.SUSPENDED, False, "RunPolicy", "", now)


# ---------------------------------------------------------------- stages


def is_done(status: FineTuneJobStatus, stage: Stage) -> bool:
    """Whether the stage has left its result."""
    return any(c.type == STAGES[stage].condition and c.status == "True" for c in status.conditions)


def stage_done(status: FineTuneJobStatus, attempt: Attempt, result: StageResult, finished_at: datetime) -> FineTuneJobStatus:
    """A stage has done its work: its summary goes where the status keeps it.

    Args:
        attempt: the one that did it, as the status holds it.
        result: what it left behind, of the same stage.
    """
    stage = Stage(attempt.stage)
    status = _replace(status, attempt, reason=COMPLETED, message=None, exit_code=0, finished_at=_second(finished_at))
    status = with_condition(status, STAGES[stage].condition, True, COMPLETED, "", finished_at)
    match stage:
        case Stage.PREPARE:
            facts = Facts(model=result.model, data=result.data, machine=result.machine)
            return status.model_copy(update={"facts": facts, "data": result.prepared, "progress": None})
        case Stage.TRAIN:
            return status.model_copy(update={"progress": None})
        case Stage.EVALUATE:
            return status.model_copy(update={"evaluation": result.evaluation, "progress": None})
        case Stage.PUBLISH:
            return status.model_copy(update={"output": result.output, "progress": None})


def waiting(status: FineTuneJobStatus, stage: Stage, what: str) -> FineTuneJobStatus:
    """A stage cannot begin yet."""
    return status.model_copy(update={"phase": Phase.PENDING, "message": f"{stage} waits: {what}."})


def running(status: FineTuneJobStatus, stage: Stage, found: AttemptSeen) -> FineTuneJobStatus:
    """A stage is at work."""
    resumed_at = f", resumed at step {found.resumed_from_step}" if found.resumed_from_step else ""
    doing = "running" if found.started_at else "starting"
    message = f"{stage} is {doing} (attempt {found.number}{resumed_at})."
    return status.model_copy(
        update={"phase": STAGES[stage].phase, "message": message, "progress": found.progress or status.progress}
    )


def retrying(status: FineTuneJobStatus, stage: Stage, last: Attempt, due: datetime) -> FineTuneJobStatus:
    """A stage failed and is tried again in a while."""
    message = f"{stage} attempt {last.number} ended: {sentence(last.message or '')} Next attempt at {due:%H:%M:%S} UTC."
    return status.model_copy(update={"phase": STAGES[stage].phase, "message": message, "progress": None})


def stopping(status: FineTuneJobStatus, attempt: Attempt) -> FineTuneJobStatus:
    """An attempt is told to stop."""
    message = f"{attempt.stage} attempt {attempt.number} is being stopped."
    return status.model_copy(update={"phase": STAGES[Stage(attempt.stage)].phase, "message": message})


def stopping_all(status: FineTuneJobStatus, why: str) -> FineTuneJobStatus:
    """Everything is told to stop."""
    return status.model_copy(update={"message": f"Being stopped. {why}"})


# ---------------------------------------------------------------- attempts


def attempt_begun(status: FineTuneJobStatus, stage: Stage, number: int) -> FineTuneJobStatus:
    """A further attempt is written down, before anything of it exists."""
    attempts = (*status.attempts, Attempt(stage=stage, number=number))[-KEPT_ATTEMPTS:]
    update = {"attempts": attempts, "phase": STAGES[stage].phase, "progress": None}
    message = f"{stage} is starting (attempt {number})."
    return status.model_copy(update={**update, "message": message})


def attempt_seen(status: FineTuneJobStatus, attempt: Attempt, found: AttemptSeen) -> FineTuneJobStatus:
    """What is seen of a running attempt."""
    step = found.progress.step if found.progress else None
    return _replace(
        status,
        attempt,
        started_at=attempt.started_at or _second(found.started_at),
        last_step=max(step or 0, found.last_step or 0, attempt.last_step or 0) or None,
        resumed_from_step=found.resumed_from_step or attempt.resumed_from_step,
    )


def attempt_gone(status: FineTuneJobStatus, attempt: Attempt) -> FineTuneJobStatus:
    """Nothing is left of an attempt that existed: how far it came, its last report alone still tells."""
    told, begun = status.progress, attempt.started_at
    if told is None or told.updated_at is None or begun is None or told.updated_at < begun:
        return status
    return _replace(status, attempt, last_step=max(told.step or 0, attempt.last_step or 0) or None)


def attempt_marked(status: FineTuneJobStatus, attempt: Attempt, failure: FailureClass, message: str) -> FineTuneJobStatus:
    """An attempt is about to be stopped, for this reason."""
    return _replace(status, attempt, reason=str(failure), message=message)


def attempt_failed(
    status: FineTuneJobStatus,
    attempt: Attempt,
    *,
    reason: FailureClass,
    message: str,
    exit_code: int | None,
    pod: str | None,
    node: str | None,
    charged: bool,
    finished_at: datetime,
) -> FineTuneJobStatus:
    """An attempt ended without doing its work.

    Args:
        attempt: as the status holds it.
        reason: the class of its failure.
        message: for the user, as a sentence.
        exit_code, pod, node: of the container that is to blame; None where there is none.
        charged: whether it counts against runPolicy.maxRestarts.
    """
    end = {"reason": str(reason), "message": message, "exit_code": exit_code, "pod": pod, "node": node}
    return _replace(status, attempt, **end, charged=charged, finished_at=_second(finished_at))


def restarted(status: FineTuneJobStatus, failure: FailureClass) -> FineTuneJobStatus:
    """The newest attempt is followed by another one."""
    last, counts = status.attempts[-1], status.restarts
    smaller = failure is FailureClass.OUT_OF_MEMORY
    update = {
        "total": counts.total + 1,
        "charged": counts.charged + last.charged,
        "out_of_memory": counts.out_of_memory + smaller,
    }
    return status.model_copy(update={"restarts": counts.model_copy(update=update)})


def newest(status: FineTuneJobStatus, stage: str, number: int) -> Attempt:
    """The attempt of this name as the status holds it now."""
    return next(a for a in status.attempts if (a.stage, a.number) == (stage, number))


def _replace(status: FineTuneJobStatus, attempt: Attempt, **changes: object) -> FineTuneJobStatus:
    attempts = tuple(
        a.model_copy(update=changes) if (a.stage, a.number) == (attempt.stage, attempt.number) else a for a in status.attempts
    )
    return status.model_copy(update={"attempts": attempts})


# ---------------------------------------------------------------- parts


def plan_status(plan: Plan) -> PlanStatus:
    """The plan as the status shows it."""
    resolved = {choice.field: choice.value for choice in plan.choices}
    memory = GpuMemory(estimated=plan.memory_gib, available=plan.available_gib) if plan.memory_gib else None
    return PlanStatus(
        world_size=plan.topology.world_size,
        precision=plan.precision,
        zero_stage=plan.layout.zero_stage if plan.layout else None,
        offload=plan.layout.offload if plan.layout else None,
        gradient_checkpointing=plan.layout.gradient_checkpointing if plan.layout else None,
        tokens_per_micro_batch=plan.layout.tokens if plan.layout else None,
        gpu_memory_gi_b=memory,
        total_steps=plan.schedule.total_steps if plan.schedule else None,
        estimated_seconds=round(plan.seconds) if plan.seconds else None,
        hyperparameters=resolved,
    )


def sentence(text: str) -> str:
    """Words of others with an end, so that ours can follow."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _second(moment: datetime | None) -> datetime | None:
    """Kubernetes' times have whole seconds."""
    return moment.replace(microsecond=0) if moment else None
