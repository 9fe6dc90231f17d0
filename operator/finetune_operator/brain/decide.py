"""What happens next to one job: a pure function, called after every wake-up by the operator and by `finetune run` alike.

Nothing here remembers anything. What was decided stands in the status (attempts, counters, results), what exists stands
in the observation, and a crash between any two steps of carrying a decision out ends in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from finetune_api.errors import InvalidSpec
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus
from finetune_operator.brain import status as say
from finetune_operator.brain.failures import POLICY, FailureClass, failure_of
from finetune_operator.brain.kept_plan import AFTER_TRAINING
from finetune_operator.brain.observation import AttemptState, Observation
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.retries import backoff_until, no_more
from finetune_operator.brain.settle import settle
from finetune_operator.brain.stages import STAGES, Stage

_AT_ONCE = timedelta(0)
_ENDING_LIMIT = timedelta(seconds=30)
"""How much longer than it was given an attempt may take to be gone. On a lost node it would take for ever; and what may still
run there shares neither host name nor directory with the next attempt, so waiting longer protects nothing."""
_HALF_LIMIT = timedelta(minutes=5)
"""How long some pods of an attempt may hold machines while others wait for room, and up to half of it more: two jobs that
wait for each other must not let go, and come back, at the same time."""


@dataclass(frozen=True, slots=True)
class AttemptName:
    """Which attempt: a stage and a number from 1."""

    stage: Stage
    number: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What comes next."""

    status: FineTuneJobStatus
    start: AttemptName | None = None
    stop: tuple[AttemptName, ...] = ()
    requeue_after: timedelta | None = None
    """Time until the answer changes by itself; None if only an event can change it."""


def decide(
    job: FineTuneJob, plan: Plan | None, seen: Observation, now: datetime, *, problem: InvalidSpec | None = None
) -> Decision:
    """Say what happens next to one job: its status, what to start, what to stop, when to look again.

    Deciding again once a Decision is carried out starts nothing new: so a crash between any two calls is harmless.

    Args:
        job: the manifest and the status written last; of that only counters, times and results are read, never the phase
            (except that a terminal one stays).
        plan: every `auto` resolved; not complete until prepare has reported its facts. With a problem the plan that was kept,
            if what follows on training may be begun with it.
        problem: why the job cannot be planned as things are now. It ends a job of which nothing was begun, and else the one
            of which something is about to be begun; what runs was begun when all was well.
        seen: every attempt that exists or left a trace, with exits, reasons and the newest progress report.
        now: aware, UTC. Deadlines and stalls are measured against it alone.
    Returns: `start` is at most one attempt, and only when no other may still write to the workspace. A terminal status
        comes back unchanged, but for the generation that was looked at.
    Raises: nothing.
    Source: Kubernetes KEP-3329 (pod failure policy) and KEP-3939 (replacement of terminating pods) for how Jobs end.
    """
    if job.status.phase and job.status.phase.terminal:
        return Decision(say.looked_at(job), stop=_alive(seen))
    if problem is not None and not job.status.attempts:
        return refuse(job, problem, seen, now)
    status = say.begun(job, None if problem else plan, now)
    status = settle(status, seen, now)

    stage = next((stage for stage in STAGES if not say.is_done(status, stage)), None)
    if stage is None:
        return Decision(say.succeeded(say.resumed(status, now), now), stop=_alive(seen))
    if stage is Stage.PUBLISH and status.evaluation and not status.evaluation.passed:
        return Decision(say.rejected(say.resumed(status, now), now), stop=_alive(seen))
    if job.spec.run_policy.suspend:
        return _suspended(status, seen, now)
    status = say.resumed(status, now)

    left = _time_left(job, status, now)
    if left is not None and left <= timedelta(0):
        limit = job.spec.run_policy.active_deadline_seconds
        message = f"The job took longer than runPolicy.activeDeadlineSeconds ({limit} s)."
        return _stop_then_fail(status, seen, FailureClass.DEADLINE, message, now)
    decision = _go_on(job, plan, problem, status, stage, seen, now)
    if left is None or (decision.status.phase and decision.status.phase.terminal):
        return decision
    return replace(decision, requeue_after=left if decision.requeue_after is None else min(left, decision.requeue_after))


def refuse(job: FineTuneJob, error: InvalidSpec, seen: Observation, now: datetime) -> Decision:
    """The decision about a job that cannot be planned: it fails with every problem, and nothing is retried."""
    if job.status.phase and job.status.phase.terminal:
        return Decision(say.looked_at(job), stop=_alive(seen))
    return Decision(say.refused(job, error, now), stop=_alive(seen))


def delete(job: FineTuneJob, seen: Observation, now: datetime) -> Decision:
    """The decision about a job that is being deleted while somebody's finalizer holds it: nothing is begun, nothing runs on.

    The garbage collector would stop its children when it is gone, which may be days later.
    """
    if job.status.start_time is None or (job.status.phase and job.status.phase.terminal):
        return Decision(say.looked_at(job), stop=_alive(seen))
    status = _mark_open(say.looked_at(job), FailureClass.DELETED, "the job is being deleted")
    alive = _alive(seen)
    return Decision(say.deleted(settle(status, seen, now), runs=bool(alive)), stop=alive)


def _go_on(
    job: FineTuneJob,
    plan: Plan | None,
    problem: InvalidSpec | None,
    status: FineTuneJobStatus,
    stage: Stage,
    seen: Observation,
    now: datetime,
) -> Decision:
    """Nothing ends the job or holds it up: watch what runs, or start what is next."""
    open_attempt = next((a for a in status.attempts if a.finished_at is None), None)
    name = AttemptName(Stage(open_attempt.stage), open_attempt.number) if open_attempt else None
    strangers = tuple(alive for alive in _alive(seen) if alive != name)
    if open_attempt is not None and seen.find(Stage(open_attempt.stage), open_attempt.number):
        decision = _continue(job, status, open_attempt, seen, now)
        return replace(decision, stop=(*decision.stop, *strangers))
    if strangers:  # a zombie of an older attempt may still write
        return Decision(say.waiting(status, stage, "an earlier attempt has not ended yet"), stop=strangers)
    bar = problem if plan is None or stage not in AFTER_TRAINING else None
    if name is not None:  # it was written down, and nothing of it exists yet
        return _barred(job, status, bar, now) if bar else Decision(status, start=name)
    if stage is not Stage.PREPARE and problem is None and not (plan and plan.complete):
        if status.facts and status.facts.model and status.facts.data:
            return Decision(status, requeue_after=_AT_ONCE)  # the facts have just come in: plan again first
        return Decision(say.failed(status, FailureClass.UNKNOWN, "prepare is done, but its facts are not in the status.", now))
    return _start(job, status, stage, bar, seen, now)


def _barred(job: FineTuneJob, status: FineTuneJobStatus, problem: InvalidSpec, now: datetime) -> Decision:
    """Nothing of the job runs any more, and what comes next cannot be planned."""
    return Decision(say.refused(job.model_copy(update={"status": status}), problem, now))


def _time_left(job: FineTuneJob, status: FineTuneJobStatus, now: datetime) -> timedelta | None:
    """Until the job's deadline, suspensions not counted; None without one."""
    limit = job.spec.run_policy.active_deadline_seconds
    if limit is None or status.start_time is None:
        return None
    return status.start_time + timedelta(seconds=limit + status.suspended_seconds) - now


# ---------------------------------------------------------------- what is running


def _continue(job: FineTuneJob, status: FineTuneJobStatus, attempt: Attempt, seen: Observation, now: datetime) -> Decision:
    """One attempt is open and there: watch its clocks."""
    name = AttemptName(Stage(attempt.stage), attempt.number)
    found = seen.find(name.stage, name.number)
    assert found is not None
    if attempt.reason:  # told to stop; wait until it has
        return Decision(say.stopping(status, attempt), stop=(name,))
    limits = job.spec.run_policy
    match found.state:
        case AttemptState.ENDING:
            if found.ending_since is None:
                return Decision(say.running(status, name.stage, found))
            patience = found.ending_since + _ENDING_LIMIT - now
            if patience <= timedelta(0):
                why = found.waits_for or "its node no longer answers"
                return _stop(status, attempt, FailureClass.DISRUPTION, why)
            return Decision(say.running(status, name.stage, found), requeue_after=patience)
        case AttemptState.WAITING | AttemptState.BLOCKED:
            blocked = found.state is AttemptState.BLOCKED
            limit = limits.startup_deadline_seconds if blocked else limits.queue_deadline_seconds
            since = found.waiting_since or now
            if limit is not None and now - since >= timedelta(seconds=limit):
                told = (
                    f"it could not start in {limit} s (runPolicy.startupDeadlineSeconds): {found.waits_for}"
                    if blocked
                    else f"it waited {limit} s (runPolicy.queueDeadlineSeconds) for {found.waits_for or 'room'}"
                )
                return _stop(status, attempt, FailureClass.STARTUP, told)
            due = since + timedelta(seconds=limit) - now if limit is not None else None
            if found.half_since is not None:
                patience = found.half_since + _half_limit(job, attempt) - now
                if patience <= timedelta(0):
                    told = f"only some of its pods found room, and held it: {found.waits_for}"
                    return _stop(status, attempt, FailureClass.NO_ROOM, told)
                due = patience if due is None else min(due, patience)
            return Decision(say.waiting(status, name.stage, found.waits_for or "room"), requeue_after=due)
        case AttemptState.RUNNING | AttemptState.ENDED:
            # Only an attempt that reports can stall: a foreign script may never report at all.
            if found.progress and found.progress.updated_at:
                # The start as the status has it: of a node whose clock is ahead the same one seems to come ever later.
                known = (found.progress.updated_at, attempt.started_at, seen.heard_since)
                silent = now - max(moment for moment in known if moment is not None)
                limit = limits.stall_timeout_seconds
                if silent >= timedelta(seconds=limit):
                    return _stop(status, attempt, FailureClass.STALL, f"no step for {limit} s")
                due = timedelta(seconds=limit) - silent
                return Decision(say.running(status, name.stage, found), requeue_after=due)
            # The first report wakes nobody: its clock is looked at when it could have run out at the earliest.
            return Decision(
                say.running(status, name.stage, found), requeue_after=timedelta(seconds=limits.stall_timeout_seconds)
            )


def _half_limit(job: FineTuneJob, attempt: Attempt) -> timedelta:
    """Different for each job and attempt, and always the same for one."""
    name = f"{job.metadata.uid} {attempt.stage} {attempt.number}".encode()
    share = sum(byte * place for place, byte in enumerate(name, start=1)) % 101 / 100
    return _HALF_LIMIT * (1 + share / 2)


def _stop(status: FineTuneJobStatus, attempt: Attempt, failure: FailureClass, message: str) -> Decision:
    """Tell an attempt to stop, and write down why, so that its end is not taken for something else."""
    name = AttemptName(Stage(attempt.stage), attempt.number)
    marked = say.attempt_marked(status, attempt, failure, message)
    return Decision(say.stopping(marked, attempt), stop=(name,))


def _stop_then_fail(
    status: FineTuneJobStatus, seen: Observation, failure: FailureClass, message: str, now: datetime
) -> Decision:
    for attempt in status.attempts:
        if attempt.finished_at is None:
            status = say.attempt_marked(status, attempt, failure, message)
    alive = _alive(seen)
    if alive:
        return Decision(say.stopping_all(status, message), stop=alive)
    return Decision(say.failed(status, failure, message, now))


def _suspended(status: FineTuneJobStatus, seen: Observation, now: datetime) -> Decision:
    status = _mark_open(status, FailureClass.STOPPED, "runPolicy.suspend")
    # Once more: what was written down and does not exist yet has ended with that.
    return Decision(say.suspended(settle(status, seen, now), now), stop=_alive(seen))


def _mark_open(status: FineTuneJobStatus, failure: FailureClass, message: str) -> FineTuneJobStatus:
    """Write down why open attempts are stopped, unless they are being stopped for a reason of their own."""
    for attempt in status.attempts:
        if attempt.finished_at is None and not attempt.reason:
            status = say.attempt_marked(status, attempt, failure, message)
    return status


def _alive(seen: Observation) -> tuple[AttemptName, ...]:
    return tuple(AttemptName(a.stage, a.number) for a in seen.attempts if a.state is not AttemptState.ENDED)


# ---------------------------------------------------------------- what to start


def _start(
    job: FineTuneJob, status: FineTuneJobStatus, stage: Stage, bar: InvalidSpec | None, seen: Observation, now: datetime
) -> Decision:
    """Begin the first attempt of a stage, or the one after a failure, or end the job because trying on is no use.

    Args:
        bar: why none can be begun, even if one would be of use.
    """
    past = [attempt for attempt in status.attempts if attempt.stage == stage]
    # A status that was lost or put back knows less than the labels of what exists; no number is used twice.
    number = max([a.number for a in past] + [a.number for a in seen.attempts if a.stage == stage], default=0) + 1
    start = AttemptName(stage, number)
    if not past and bar:
        return _barred(job, status, bar, now)
    if not past:
        return Decision(say.attempt_begun(status, stage, number), start=start)
    last = past[-1]
    failure = failure_of(last.reason)
    if reason := no_more(job, status, past, failure):
        return Decision(say.failed(status, failure, reason, now))
    if bar:
        return _barred(job, status, bar, now)
    due = backoff_until(past, failure)
    if due is not None and now < due:
        return Decision(say.retrying(status, stage, last, due), requeue_after=due - now)
    status = say.attempt_begun(say.restarted(status, failure), stage, number)
    if POLICY[failure].smaller_plan:
        return Decision(status, requeue_after=_AT_ONCE)  # this plan is the one that was too large: plan again first
    return Decision(status, start=start)
