"""Which failures are tried again, how often, who pays, and when another try would end alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from builders import (
    NOON,
    a_decision,
    a_job,
    a_plan,
    a_result,
    after,
    an_attempt,
    an_exit,
    decided,
    live,
    seen,
)
from finetune_api.contract.exit_codes import ExitCode
from finetune_api.contract.trainer_config import EvaluateConfig
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus, Phase
from finetune_operator.brain.configure import configure
from finetune_operator.brain.decide import AttemptName, Decision
from finetune_operator.brain.observation import AttemptSeen, ExitReason
from finetune_operator.brain.retries import smaller_plans
from finetune_operator.brain.stages import Stage
from finetune_operator.brain.status import plan_status

DRAINED = {"reason": ExitReason.DISRUPTED, "detail": "node gpu-07 was drained"}


def after_exits(*exits: AttemptSeen, **limits: Any) -> tuple[FineTuneJob, Decision]:
    """Train, with each attempt ending so, ten minutes apart, until one is not followed by another."""
    job, decision = live(a_job(at="train", **limits), seen())
    for number, end in enumerate(exits, start=1):
        assert decision.start == AttemptName(Stage.TRAIN, number)
        named = AttemptSeen(Stage.TRAIN, number, end.state, end.started_at, exit=end.exit, progress=end.progress)
        moment = NOON + timedelta(minutes=10 * number)
        job, decision = live(job, seen(train=named), now=moment)
        if decision.start is None and job.status.phase is not Phase.FAILED:  # a pause before the next
            job, decision = live(job, seen(), now=moment + timedelta(minutes=6))
    return job, decision


def evaluation(job: FineTuneJob) -> EvaluateConfig:
    orders = configure(job, a_plan(job), Stage.EVALUATE, 1, workspace="/workspace").evaluate
    assert orders is not None
    return orders


def newest(job: FineTuneJob) -> Attempt:
    return [attempt for attempt in job.status.attempts if attempt.finished_at][-1]


# ---------------------------------------------------------------- what is charged


def test_a_drained_node_restarts_training_and_is_not_charged() -> None:
    job, decision = after_exits(an_exit(143, step=400, **DRAINED), max_restarts=0)
    assert decision.start == AttemptName(Stage.TRAIN, 2)
    assert newest(job).message == "node gpu-07 was drained"
    assert (job.status.restarts.total, job.status.restarts.charged) == (1, 0)


def test_a_crash_is_charged_and_the_last_one_says_that_no_restarts_are_left() -> None:
    crashes = [an_exit(1, step=step) for step in (10, 20, 30)]
    job, decision = after_exits(*crashes[:2], max_restarts=2)
    assert decision.start == AttemptName(Stage.TRAIN, 3)
    job, decision = after_exits(*crashes, max_restarts=2)
    assert job.status.phase is Phase.FAILED
    assert job.status.message == "train attempt 3: exit code 1; the log has the traceback (no restarts left: " + (
        "runPolicy.maxRestarts is 2)"
    )
    assert (job.status.restarts.total, job.status.restarts.charged) == (2, 2)


def test_restarts_are_counted_over_all_stages() -> None:
    job = a_job(at="evaluate", max_restarts=1)
    spent = job.status.restarts.model_copy(update={"total": 1, "charged": 1})
    job = job.model_copy(update={"status": job.status.model_copy(update={"restarts": spent})})
    job, _ = live(job, seen(), seen(evaluate=an_exit(1)))
    assert job.status.phase is Phase.FAILED


def test_an_eviction_for_its_own_use_of_disk_is_charged() -> None:
    detail = "The node was low on resource: ephemeral-storage."
    job, _ = after_exits(an_exit(137, reason=ExitReason.EVICTED, detail=detail))
    assert (newest(job).reason, newest(job).charged) == ("Unknown", True)


# ---------------------------------------------------------------- what is never tried again


@pytest.mark.parametrize("code", [64, 65])
def test_a_users_mistake_is_never_retried(code: int) -> None:
    job, decision = after_exits(an_exit(code, message="row 7 is broken", error="UserError"))
    assert decision.start is None
    assert (job.status.phase, job.status.restarts.total) == (Phase.FAILED, 0)
    assert job.status.message == "train attempt 1: row 7 is broken"


def test_a_users_mistake_on_a_drained_node_is_still_his() -> None:
    job, _ = after_exits(an_exit(64, error="UserError", **DRAINED))
    assert job.status.phase is Phase.FAILED


# ---------------------------------------------------------------- memory


def test_memory_that_ran_out_gets_one_smaller_plan() -> None:
    job, _ = live(a_job(at="train"), seen())
    planned = a_plan(job)
    first = a_decision(job, seen(train=an_exit(71, error="OutOfMemory")))
    assert (first.start, first.requeue_after) == (None, timedelta(0)), "this plan is the one that was too large"
    job = decided(job, first)
    assert a_decision(job).start == AttemptName(Stage.TRAIN, 2)
    smaller = a_plan(job)
    assert planned.memory_gib is not None
    assert smaller.memory_gib is not None
    assert smaller.memory_gib < planned.memory_gib


def test_memory_that_runs_out_again_ends_the_job_with_the_numbers() -> None:
    told = "GPU memory ran out in step 1 (planned 71.2 of 79.1 GiB)."
    ends = [an_exit(71, error="OutOfMemory", message=told)] * 2
    job, decision = after_exits(*ends)
    assert (decision.start, job.status.phase) == (None, Phase.FAILED)
    assert job.status.message == f"train attempt 2: {told} (the smaller plan did not help either)"
    assert job.status.restarts.out_of_memory == 1


def test_memory_of_the_machine_counts_like_that_of_the_gpu() -> None:
    job, _ = after_exits(an_exit(137, reason=ExitReason.OUT_OF_MEMORY))
    assert (newest(job).reason, job.status.restarts.out_of_memory) == ("OutOfMemory", 1)


def test_no_restarts_left_means_no_smaller_plan() -> None:
    job, _ = after_exits(an_exit(71), max_restarts=0)
    assert job.status.phase is Phase.FAILED


def test_an_evaluation_out_of_memory_takes_less_at_a_time_and_leaves_the_trained_plan() -> None:
    job, _ = live(a_job(at="evaluate", resources={"gpusPerNode": 1}), seen())
    trained, before = a_plan(job), evaluation(job)
    job, decision = live(job, seen(evaluate=an_exit(71, error="OutOfMemory")))
    assert decision.start == AttemptName(Stage.EVALUATE, 2)
    assert a_plan(job) == trained
    assert job.status.plan == plan_status(trained)
    again = evaluation(job)
    assert again.plan == before.plan, "the report says how the model was trained"
    assert again.tokens_per_micro_batch == before.tokens_per_micro_batch // 4
    assert again.answers_at_once == before.answers_at_once // 4


def test_an_evaluation_out_of_memory_after_such_a_training_counts_for_itself() -> None:
    job, _ = after_exits(an_exit(71), an_exit(ExitCode.DONE, result=a_result("train")))
    trained = a_plan(job)
    assert (smaller_plans(job.status, Stage.TRAIN), smaller_plans(job.status, Stage.EVALUATE)) == (1, 0)
    job, _ = live(job, seen(), seen(evaluate=an_exit(71)), now=after(hours=1))
    assert (smaller_plans(job.status, Stage.TRAIN), smaller_plans(job.status, Stage.EVALUATE)) == (1, 1)
    assert a_plan(job) == trained
    job, _ = live(job, seen(), seen(evaluate=an_exit(71, 2)), now=after(hours=2))
    assert job.status.phase is Phase.FAILED
    assert (job.status.message or "").endswith("(the smaller plan did not help either)")
    assert job.status.restarts.out_of_memory == 2


@pytest.mark.parametrize(
    ("stage", "spec", "told"),
    [
        ("prepare", {}, "no smaller plan helps prepare; in a cluster the memory of its pod is jobs.light.memory of the"),
        (
            "prepare",
            {"preparation": {"engine": {"dask": {"address": "tcp://scheduler:8786"}}}},
            "operator's chart, that of the Dask cluster's workers is theirs)",
        ),
        ("publish", {}, "no smaller plan helps publish; in a cluster the memory of its pod is jobs.light.memory of the"),
        (
            "publish",
            {"output": {"uri": "pvc://models/a", "format": "merged"}},
            "which adds the adapter to the base in fp32; in a cluster its pod gets what that needs and no more than the chart's"
            " node.memoryGiB",
        ),
    ],
)
def test_a_stage_that_no_smaller_plan_helps_is_not_tried_again(stage: str, spec: dict[str, Any], told: str) -> None:
    job, _ = live(a_job(at=stage, **spec), seen())
    planned = a_plan(job)
    job, decision = live(job, seen(**{stage: an_exit(137, reason=ExitReason.OUT_OF_MEMORY)}))
    assert (decision.start, job.status.phase, job.status.restarts.total) == (None, Phase.FAILED, 0)
    assert (job.status.message or "").startswith(
        f"{stage} attempt 1: the machine's memory ran out (OOMKilled) (no smaller plan"
    )
    assert told in (job.status.message or "")
    assert a_plan(job) == planned


def counted(number: int, *attempts: Attempt) -> FineTuneJobStatus:
    """A status with this count of all stages, as it is stored today."""
    status = a_job(at="train", attempts=attempts).status
    return status.model_copy(update={"restarts": status.restarts.model_copy(update={"out_of_memory": number})})


def test_a_stored_count_of_another_stage_makes_no_training_smaller() -> None:
    prepared = [an_attempt("prepare", 7, reason="OutOfMemory"), an_attempt("prepare", 8, reason="Completed")]
    assert smaller_plans(counted(1, *prepared), Stage.TRAIN) == 0
    trained = [an_attempt(number=1, reason="OutOfMemory"), an_attempt(number=2, reason="Disruption")]
    assert smaller_plans(counted(2, *prepared, *trained), Stage.TRAIN) == 1


def test_a_trainings_count_outlives_its_attempts() -> None:
    assert smaller_plans(counted(1, *(an_attempt(number=n, reason="Disruption") for n in range(2, 12))), Stage.TRAIN) == 1


def test_what_was_not_answered_yet_does_not_count() -> None:
    """Between its end and the next attempt, as where the job was suspended meanwhile."""
    status = counted(1, an_attempt("evaluate", 1, reason="OutOfMemory"))
    assert (smaller_plans(status, Stage.TRAIN), smaller_plans(status, Stage.EVALUATE)) == (1, 0)


# ---------------------------------------------------------------- in vain


def test_the_same_failure_twice_with_no_step_between_ends_the_job_early() -> None:
    job, _ = after_exits(an_exit(1, step=431), an_exit(1, step=431), max_restarts=9)
    assert job.status.phase is Phase.FAILED
    assert job.status.message is not None
    assert job.status.message.endswith("(2 times in a row with no step gained, so another try would end alike)")


def test_a_step_gained_between_two_failures_is_worth_another_try() -> None:
    assert after_exits(an_exit(1, step=431), an_exit(1, step=432))[1].start == AttemptName(Stage.TRAIN, 3)


def test_failing_earlier_than_before_is_no_progress() -> None:
    assert after_exits(an_exit(1, step=431), an_exit(1, step=30))[0].status.phase is Phase.FAILED


def test_another_exit_code_is_another_failure() -> None:
    assert after_exits(an_exit(1), an_exit(139))[1].start == AttemptName(Stage.TRAIN, 3)


def test_two_stalls_at_the_same_step_are_alike_however_the_processes_ended() -> None:
    stalls = [an_attempt(number=n, reason="Stall", step=9, exit_code=code) for n, code in ((1, 143), (2, 137))]
    decision = a_decision(a_job(at="train", attempts=stalls))
    assert decision.status.phase is Phase.FAILED


def test_nine_drained_nodes_in_a_row_are_bad_luck_and_ten_are_the_job() -> None:
    drains = [an_exit(143, **DRAINED)] * 10
    assert after_exits(*drains[:9])[1].start == AttemptName(Stage.TRAIN, 10)
    assert after_exits(*drains)[0].status.phase is Phase.FAILED


def test_drains_that_never_get_further_end_the_job_however_their_codes_and_steps_vary() -> None:
    # The furthest was step 5 in the second attempt; going from 3 to 5 again and again is no progress.
    drains = [an_exit((143, 137)[n % 2], step=(3, 5)[n % 2], **DRAINED) for n in range(11)]
    assert after_exits(*drains[:10])[1].start == AttemptName(Stage.TRAIN, 11)
    assert after_exits(*drains)[0].status.phase is Phase.FAILED


def test_training_that_gets_further_survives_any_number_of_drains() -> None:
    drains = [an_exit(143, step=5 * n, **DRAINED) for n in range(1, 31)]
    job, decision = after_exits(*drains, max_restarts=0)
    assert decision.start == AttemptName(Stage.TRAIN, 31)
    assert len(job.status.attempts) == 10


def test_transient_failures_end_with_the_restarts_alone() -> None:
    ends = [an_exit(75)] * 4
    assert after_exits(*ends[:3])[1].start == AttemptName(Stage.TRAIN, 4)
    assert after_exits(*ends)[0].status.phase is Phase.FAILED


# ---------------------------------------------------------------- pauses


def test_a_transient_failure_waits_longer_each_time() -> None:
    def pause(failures: int) -> timedelta | None:
        past = [an_attempt(number=n + 1, reason="Transient", finished=NOON) for n in range(failures)]
        return a_decision(a_job(at="train", attempts=past, max_restarts=20)).requeue_after

    waits = [pause(failures) for failures in range(1, 9)]
    assert waits == [timedelta(seconds=s) for s in (5, 10, 20, 40, 80, 160, 300, 300)]


def test_the_pause_is_said_and_over_in_time() -> None:
    past = [an_attempt(reason="Transient", message="the hub did not answer", finished=NOON)]
    job = a_job(at="train", attempts=past)
    assert a_decision(job).status.message == "train attempt 1 ended: the hub did not answer. Next attempt at 12:00:05 UTC."
    assert a_decision(job, now=after(seconds=4.9)).start is None
    assert a_decision(job, now=after(seconds=5)).start == AttemptName(Stage.TRAIN, 2)


def test_what_is_worth_no_pause_starts_at_once() -> None:
    past = [an_attempt(reason="Disruption", finished=NOON)]
    assert a_decision(a_job(at="train", attempts=past)).start == AttemptName(Stage.TRAIN, 2)


# ---------------------------------------------------------------- what is kept


def test_the_status_says_where_and_how_far_an_attempt_came() -> None:
    job, _ = after_exits(an_exit(1, step=431))
    ended = newest(job)
    assert (ended.exit_code, ended.pod, ended.node, ended.last_step) == (1, "support-train-1-0", "gpu-07", 431)


def test_the_newest_ten_attempts_are_kept() -> None:
    drains = [an_exit(143, step=n, **DRAINED) for n in range(1, 15)]
    job, _ = after_exits(*drains)
    assert [attempt.number for attempt in job.status.attempts] == list(range(6, 16))
