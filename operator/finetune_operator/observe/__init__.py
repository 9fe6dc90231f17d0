"""Child Jobs, their pods and Events -> what was seen, in the words that the brain knows.

The brain decides about attempts; Kubernetes shows Jobs that say `active: 2` while nothing runs, pods that are gone and pods
that will never go. What is said here holds: ENDED means that nothing of the attempt can write any more, or that it cannot
harm if it does; an attempt is named by its labels and belongs to the job by its owner's uid, not by its name. What belongs to
another owner is not seen at all: it may stay for ever, and the API server says so to whoever creates what it is in the way of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Progress
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Observation
from finetune_operator.brain.stages import Stage
from finetune_operator.observe.end import exit_of
from finetune_operator.observe.objects import (
    Pod,
    attempt_of,
    completed_indexes,
    first,
    holders,
    holds,
    is_suspended,
    last,
    moment,
    owner_of,
    pods_of,
)
from finetune_operator.observe.start import suspension, why_not_running
from finetune_operator.render.child import Manifest, child_name

__all__ = ["observe"]

_OVERDUE = timedelta(seconds=30)
"""How long after its time a pod without a child Job may still be shown before it counts as stranded on a lost node."""


_USUAL_START = timedelta(seconds=60)
"""An attempt that has not begun and of which nothing is amiss counts as running so long: its phase does not go to and fro."""


def observe(
    job: FineTuneJob, jobs: Sequence[Manifest], pods: Sequence[Manifest], events: Sequence[Manifest], now: datetime
) -> Observation:
    """Say what exists of a job.

    Args:
        job: with its status; `status.progress` is taken for the report of the attempt that runs.
        jobs: batch/v1 Jobs labelled with the job's name; those of a predecessor of that name are left out.
        pods: pods of those Jobs that run or have just ended, also of a Job that is already gone.
        events: core/v1 Events about those Jobs and pods; empty where nothing is in doubt.
        now: aware, UTC.
    """
    found: dict[AttemptName, AttemptSeen] = {}
    for child in jobs:
        name = attempt_of(child)
        if name is not None and owner_of(child).get("uid") == job.metadata.uid:
            found[name] = _attempt(job, name, child, pods_of(child, pods), events, now)
    known = {child["metadata"].get("uid") for child in jobs}
    for name, left in _without_job(job, pods, known).items():
        seen = _stranded(name, left, now)
        if seen is not None and name not in found:
            found[name] = seen
    return Observation(tuple(found.values()))


def _attempt(
    job: FineTuneJob, name: AttemptName, child: Manifest, pods: list[Pod], events: Sequence[Manifest], now: datetime
) -> AttemptSeen:
    pods = [pod for pod in pods if not _is_left_over(pod, child)]
    alive = [pod for pod in pods if not pod.has_ended]
    told = _progress(job, name, child)
    progress = told if told and not is_suspended(child) and _is_since(told, _begun(child)) else None
    have_started = [pod for pod in pods if pod.has_started]
    started_at = first(last(*(pod.started_at for pod in pods)), now) if len(have_started) >= _width(child) else None
    resumed = progress.resumed_from_step if progress else None
    seen = AttemptSeen(
        name.stage,
        name.number,
        AttemptState.RUNNING,
        started_at=started_at,
        progress=progress,
        last_step=told.step if told else None,
        resumed_from_step=resumed,
    )
    deleted = moment(child["metadata"].get("deletionTimestamp"))
    if deleted is not None:
        return _deleted(job, seen, child, pods, deleted, now)
    if is_suspended(child):
        return _suspended(seen, child, pods)
    if _is_over(child, pods):
        if alive:
            return replace(seen, state=AttemptState.ENDING, ending_since=last(*map(_due, alive)))
        return _ended(job, seen, child, pods, now)
    ending = [pod for pod in alive if pod.gone_by is not None]
    if ending:
        return replace(seen, state=AttemptState.ENDING, ending_since=first(*map(_due, ending)))
    crippled = completed_indexes(child) - {pod.index for pod in pods}
    if crippled and alive:
        why = f"pod {min(crippled)} was deleted, and Kubernetes takes that for the end of its work"
        return replace(seen, state=AttemptState.ENDING, waits_for=why, ending_since=_begun(child))
    wait = why_not_running(child, pods, events)
    if wait is None or (wait.ordinary and now - (wait.since or now) < _USUAL_START):
        return seen
    patience = timedelta(seconds=job.spec.run_policy.startup_deadline_seconds)
    since = min(wait.since or now, now - patience) if wait.hopeless else wait.since or now
    half_since = last(*(pod.started_at for pod in have_started)) if wait.state is AttemptState.WAITING else None
    return replace(seen, state=wait.state, waiting_since=since, waits_for=wait.why, half_since=half_since)


def _deleted(
    job: FineTuneJob, seen: AttemptSeen, child: Manifest, pods: list[Pod], deleted: datetime, now: datetime
) -> AttemptSeen:
    """An attempt whose child Job is being deleted and still there: somebody's finalizer holds it.

    Its controller makes no pods for it any more, so it has ended with its pods, however long it is held; and those run on as if
    nothing had happened until they are told to stop (held.py).
    """
    alive = [pod for pod in pods if not pod.has_ended and not _is_stranded(pod, now)]
    if any(pod.gone_by is None for pod in alive):
        by = ", ".join(holders(child))
        why = f"its child Job was deleted, and is held by its finalizers ({by})" if by else "its child Job was deleted"
        return replace(seen, state=AttemptState.ENDING, ending_since=deleted, waits_for=why)
    # Its controller may not have heard of it yet, and make pods a moment longer.
    if alive or now - deleted < _OVERDUE:
        return replace(seen, state=AttemptState.ENDING, ending_since=last(deleted, *map(_due, alive)))
    return _ended(job, seen, child, pods, now)


def _suspended(seen: AttemptSeen, child: Manifest, pods: Sequence[Pod]) -> AttemptSeen:
    """An attempt that a queue holds or has taken back: the same one goes on when the queue lets it.

    The Job's controller deletes its pods and counts none of them as failed, whatever their phase says for a moment.
    """
    alive = [pod for pod in pods if not pod.has_ended]
    if alive:
        return replace(seen, state=AttemptState.ENDING, ending_since=last(*map(_due, alive)))
    wait = suspension(child)
    held = moment((holds(child, "Suspended") or {}).get("lastTransitionTime"))
    done = completed_indexes(child)
    if done and held:  # of all of them the Job would be Complete in a moment
        why = f"pod {min(done)} counts as done, and Kubernetes would go on without it"
        return replace(seen, state=AttemptState.ENDING, ending_since=held, waits_for=why)
    return replace(seen, state=wait.state, waiting_since=wait.since, waits_for=wait.why)


def _is_left_over(pod: Pod, child: Manifest) -> bool:
    """Whether it ended because its Job was suspended, and the Job has been resumed since: how it ended says nothing.

    A queue waits for no pod that is told to stop before it lets the Job go on.
    """
    begun, created, told = _begun(child), pod.created_at, pod.told_at
    if not pod.has_ended or begun is None or created is None or told is None:
        return False
    return created < begun and told <= begun


def _begun(child: Manifest) -> datetime | None:
    """When its controller took it up; dated anew when it is resumed."""
    return moment((child.get("status") or {}).get("startTime") or child["metadata"].get("creationTimestamp"))


def _is_over(child: Manifest, pods: Sequence[Pod]) -> bool:
    """Whether the attempt comes to nothing more: a pod has failed, or all have succeeded.

    A pod's failure is seen a second before the Job says FailureTarget, and that a minute or an eternity before Failed.
    """
    if holds(child, "FailureTarget", "Failed", "SuccessCriteriaMet", "Complete"):
        return True
    done = {pod.index for pod in pods if pod.phase == "Succeeded"}
    return any(pod.phase == "Failed" for pod in pods) or len(done) >= _width(child)


def _ended(job: FineTuneJob, seen: AttemptSeen, child: Manifest, pods: list[Pod], now: datetime) -> AttemptSeen:
    foreign = job.spec.command is not None and seen.stage is Stage.TRAIN
    end = exit_of(child, pods, width=_width(child), foreign=foreign)
    trained = end.result.trained if end.result else None
    finished = _finished(child, pods, now)
    return replace(
        seen,
        state=AttemptState.ENDED,
        started_at=first(last(*(pod.started_at for pod in pods)), finished),  # of those that are left
        finished_at=finished,
        exit=end,
        resumed_from_step=trained.resumed_from_step if trained else seen.resumed_from_step,
    )


def _finished(child: Manifest, pods: Sequence[Pod], now: datetime) -> datetime:
    """What the pods say, between the moments in which the Job's controller saw the first sign of it and the end.

    The next attempt may have to wait for a while from then on, whatever a node's clock has come to in the meantime.
    """
    signs, ends = holds(child, "FailureTarget", "SuccessCriteriaMet"), holds(child, "Failed", "Complete")
    over = min(moment((ends or {}).get("lastTransitionTime")) or now, now)
    told = last(*(pod.finished_at for pod in pods)) or over
    return min(max(told, moment((signs or {}).get("lastTransitionTime")) or told), over)


def _due(pod: Pod) -> datetime | None:
    """When a pod that ends should be gone; on a node that does not answer it should have been when that was noticed."""
    return first(pod.gone_by, pod.lost_since) if pod.gone_by else None


def _progress(job: FineTuneJob, name: AttemptName, child: Manifest) -> Progress | None:
    """The newest report, if it can be of this attempt: one that is older than the attempt is of an earlier one."""
    progress = job.status.progress
    open_names = [AttemptName(Stage(a.stage), a.number) for a in job.status.attempts if a.finished_at is None]
    if progress is None or name not in open_names:
        return None
    return progress if _is_since(progress, moment(child["metadata"].get("creationTimestamp"))) else None


def _is_since(progress: Progress, begun: datetime | None) -> bool:
    """Whether it was reported since then: what is hours old because the Job was suspended meanwhile is no silence."""
    return begun is None or progress.updated_at is None or progress.updated_at >= begun


def _without_job(job: FineTuneJob, pods: Sequence[Manifest], known: set[str | None]) -> dict[AttemptName, list[Pod]]:
    """Pods of a child Job that is gone, by attempt. Labels alone can be written by anybody who may create a pod."""
    found: dict[AttemptName, list[Pod]] = {}
    for pod in pods:
        name, owner = attempt_of(pod), owner_of(pod)
        is_ours = name is not None and owner.get("kind") == "Job" and owner.get("name") == child_name(job.name, name)
        if name is not None and is_ours and owner.get("uid") not in known:
            found.setdefault(name, []).append(Pod(pod))
    return found


def _stranded(name: AttemptName, pods: Sequence[Pod], now: datetime) -> AttemptSeen | None:
    """Pods whose child Job was deleted: they end in the time they were given.

    One that does not is on a node that no longer answers. It is left out: it may run on there, but it shares neither host
    name nor directory with a later attempt, and its token is refused; waiting for it could take for ever.
    """
    alive = [pod for pod in pods if not pod.has_ended and not _is_stranded(pod, now)]
    if not alive:
        return None
    return AttemptSeen(name.stage, name.number, AttemptState.ENDING, ending_since=last(*map(_due, alive)))


def _is_stranded(pod: Pod, now: datetime) -> bool:
    return pod.gone_by is not None and (pod.lost_since is not None or now > pod.gone_by + _OVERDUE)


def _width(child: Manifest) -> int:
    return int((child.get("spec") or {}).get("completions") or 1)
