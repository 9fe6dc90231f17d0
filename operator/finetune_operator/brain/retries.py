"""Whether a stage is tried again, and when: what its past attempts say.

A restart costs minutes of many machines, so one that would end as the last did is not begun; and one that failed for a
reason that may pass waits longer each time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus
from finetune_operator.brain.failures import POLICY, FailureClass
from finetune_operator.brain.stages import STAGES, Stage


def smaller_plans(status: FineTuneJobStatus, stage: Stage) -> int:
    """How often memory that ran out in a stage was answered with a smaller plan of this very stage.

    The status counts those of all stages in one number, as it always has. Of them the attempts tell which were not
    training's; so a training's count outlives its attempts, of which the status keeps ten. Those of evaluate, with which it
    is told apart, are the newest there are.
    """
    if stage is not Stage.TRAIN:
        return _answered(status, stage)
    return max(0, status.restarts.out_of_memory - sum(_answered(status, other) for other in STAGES if other is not stage))


def _answered(status: FineTuneJobStatus, stage: Stage) -> int:
    """Attempts of a stage that ran out of memory and were followed by another one."""
    numbers = {attempt.number: attempt.reason for attempt in status.attempts if attempt.stage == stage}
    newest = max(numbers, default=0)
    return sum(reason == FailureClass.OUT_OF_MEMORY for number, reason in numbers.items() if number < newest)


def no_more(job: FineTuneJob, status: FineTuneJobStatus, past: list[Attempt], failure: FailureClass) -> str | None:
    """Why the job ends instead of trying again; None if it is tried again.

    Args:
        status: with the restarts that were charged so far.
        past: the attempts of the stage that have ended, the one that just failed last.
        failure: how that one ended.
    """
    policy, last = POLICY[failure], past[-1]
    told = f"{last.stage} attempt {last.number}: {last.message}"
    if not policy.retry:
        return told
    if policy.smaller_plan:
        stage = Stage(last.stage)
        if not STAGES[stage].shrinks:
            return f"{told} ({_whose_memory(job, stage)})"
        if any(attempt.reason == failure for attempt in past[:-1]):
            return f"{told} (the smaller plan did not help either)"
    row = _without_progress(past, failure)
    if policy.in_vain is not None and len(row) >= policy.in_vain:
        return f"{told} ({len(row)} times in a row with no step gained, so another try would end alike)"
    allowed = job.spec.run_policy.max_restarts
    if policy.charged and status.restarts.charged >= allowed:
        return f"{told} (no restarts left: runPolicy.maxRestarts is {allowed})"
    return None


def _whose_memory(job: FineTuneJob, stage: Stage) -> str:
    """Of a stage that no smaller plan helps: where its memory is said."""
    spec = job.spec
    told = f"no smaller plan helps {stage}"
    if stage is Stage.PUBLISH and spec.method.type != "full" and spec.output.format == "merged":
        return (
            f"{told}, which adds the adapter to the base in fp32; in a cluster its pod gets what that needs and no more than"
            " the chart's node.memoryGiB, and output.format adapter needs none of it"
        )
    engine = spec.preparation.engine
    elsewhere = ", that of the Dask cluster's workers is theirs" if stage is Stage.PREPARE and engine.dask else ""
    return f"{told}; in a cluster the memory of its pod is jobs.light.memory of the operator's chart{elsewhere}"


def _without_progress(past: list[Attempt], failure: FailureClass) -> list[Attempt]:
    """The attempts at the end that failed alike, one after another, none of them further than the first."""
    row = [past[-1]]
    for earlier in reversed(past[:-1]):
        if not _is_alike(earlier, past[-1], failure):
            break
        row.insert(0, earlier)
    furthest = max(map(_steps, row))
    return row[next(index for index, attempt in enumerate(row) if _steps(attempt) == furthest) :]


def _is_alike(earlier: Attempt, last: Attempt, failure: FailureClass) -> bool:
    """Whether both have the same cause. What is of no known class is told apart by its code; elsewhere that is chance."""
    return earlier.reason == failure and (failure is not FailureClass.UNKNOWN or earlier.exit_code == last.exit_code)


def _steps(attempt: Attempt) -> int:
    return attempt.last_step or 0


def backoff_until(past: list[Attempt], failure: FailureClass) -> datetime | None:
    """Not before when it is tried again; None for at once."""
    wait = POLICY[failure].backoff_seconds * 2 ** (len(_without_progress(past, failure)) - 1)
    finished = past[-1].finished_at
    return finished + timedelta(seconds=min(wait, 300)) if wait and finished else None
