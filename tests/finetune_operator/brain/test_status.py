"""What a user reads in `kubectl get` and `describe`: whole, rounded, valid for the API server, and still when nothing moves."""

from __future__ import annotations

import json
from datetime import timedelta

import jsonschema
import pytest

from builders import NOON, a_decision, a_job, a_run, a_wait, after, an_attempt, an_exit, as_json_schema, done, live, seen
from finetune_api.crd import custom_resource_definition
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Condition, FineTuneJobStatus, Phase
from finetune_operator.brain.stages import Stage

SCHEMA = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
SERVER = jsonschema.Draft202012Validator(as_json_schema(SCHEMA))


def condition(status: FineTuneJobStatus, kind: str) -> Condition:
    return next(c for c in status.conditions if c.type == kind)


LIVES: dict[str, FineTuneJob] = {
    "new": live(a_job(), seen())[0],
    "prepared": a_job(at="train"),
    "waiting": live(a_job(at="train"), seen(), seen(train=a_wait()))[0],
    "training": live(a_job(at="train"), seen(), seen(train=a_run(step=5)))[0],
    "restarted": live(a_job(at="train"), seen(), seen(train=an_exit(1, step=5)))[0],
    "suspended": live(a_job(at="train", suspend=True), seen())[0],
    "failed": live(a_job(), seen(), seen(prepare=an_exit(64)))[0],
    "rejected": live(a_job(at="publish", gates_kept=False), seen())[0],
    "succeeded": live(a_job(at="publish"), seen(), seen(publish=done("publish")))[0],
}


@pytest.mark.parametrize("name", LIVES)
def test_the_api_server_takes_every_status(name: str) -> None:
    written = json.loads(LIVES[name].status.model_dump_json(by_alias=True, exclude_none=True))
    assert [error.message for error in SERVER.iter_errors(written)] == []
    assert FineTuneJobStatus.model_validate(written) == LIVES[name].status


@pytest.mark.parametrize(
    ("name", "complete", "failed", "stalled"),
    [
        ("training", "Unknown", "Unknown", "Unknown"),
        ("succeeded", "True", "False", "False"),
        ("failed", "False", "True", "True"),
        ("rejected", "False", "True", "True"),
    ],
)
def test_every_job_ends_with_one_of_complete_and_failed(name: str, complete: str, failed: str, stalled: str) -> None:
    status = LIVES[name].status
    assert [condition(status, kind).status for kind in ("Complete", "Failed", "Stalled")] == [complete, failed, stalled]


def test_gitops_tools_see_a_job_in_progress_until_somebody_has_looked() -> None:
    assert FineTuneJobStatus().observed_generation == 0
    seen_once = LIVES["new"].status
    assert (seen_once.observed_generation, condition(seen_once, "Reconciling").status) == (1, "False")


def test_a_change_of_the_spec_is_acknowledged() -> None:
    job = LIVES["training"]
    changed = job.model_copy(update={"metadata": job.metadata.model_copy(update={"generation": 2})})
    assert a_decision(changed, seen(train=a_run(step=5))).status.observed_generation == 2


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    job, _ = live(a_job(), seen(), now=NOON)
    later = a_decision(job, seen(prepare=a_run()), after(hours=3)).status
    assert condition(later, "Accepted").last_transition_time == NOON


def test_times_have_whole_seconds_as_those_of_kubernetes() -> None:
    moment = NOON + timedelta(microseconds=123_456)
    job, _ = live(a_job(), seen(), seen(prepare=an_exit(64, at=moment)), now=moment)
    status = job.status
    times = [status.start_time, status.completion_time, status.attempts[0].started_at, status.attempts[0].finished_at]
    times += [c.last_transition_time for c in status.conditions if c.status != "Unknown"]
    assert all(time is not None and time.microsecond == 0 for time in times)


def test_a_step_more_moves_the_progress_and_no_sentence() -> None:
    job = LIVES["training"]
    later, _ = live(job, seen(train=a_run(step=6)))
    assert later.status.message == job.status.message == "train is running (attempt 1)."
    assert later.status.progress is not None
    assert later.status.progress.step == 6


def test_a_resumed_attempt_says_where_it_began() -> None:
    job, _ = live(a_job(at="train"), seen(), seen(train=a_run(step=421, resumed_from_step=420)))
    assert job.status.message == "train is running (attempt 1, resumed at step 420)."
    assert job.status.attempts[-1].resumed_from_step == 420


def test_progress_of_an_attempt_ends_with_it() -> None:
    job, _ = live(LIVES["training"], seen(train=an_exit(1, step=9)))
    assert job.status.progress is None
    assert job.status.attempts[-2].last_step == 9


def test_the_last_step_never_goes_back() -> None:
    job, _ = live(LIVES["training"], seen(train=a_run(step=9)), seen(train=an_exit(1)))
    assert job.status.attempts[-2].last_step == 9


def test_the_plan_echoes_every_resolved_value() -> None:
    plan = LIVES["training"].status.plan
    assert plan is not None
    assert plan.hyperparameters["training.learningRate"] == 0.0002
    assert (plan.world_size, plan.zero_stage, plan.tokens_per_micro_batch, plan.total_steps) == (1, 1, 4096, 250)
    assert plan.gpu_memory_gi_b is not None
    assert (plan.gpu_memory_gi_b.estimated, plan.gpu_memory_gi_b.available) == (45.5, 80.0)


def test_results_of_each_stage_stand_where_the_design_says() -> None:
    status = LIVES["succeeded"].status
    assert status.facts is not None
    assert status.facts.model is not None
    assert status.facts.model.architecture == "LlamaForCausalLM"
    assert status.data is not None
    assert status.data.examples.kept == 2500
    assert status.evaluation is not None
    assert (status.evaluation.score.base, status.evaluation.score.tuned) == (1.92, 1.31)
    assert status.output is not None
    assert status.output.uri == "pvc://models/support"
    assert status.phase is Phase.SUCCEEDED


def test_a_job_that_ends_closes_the_attempts_it_gave_up() -> None:
    job = a_job(at="train", attempts=[an_attempt(started=None)], active_deadline_seconds=3600)
    status = a_decision(job).status
    assert (status.attempts[-1].reason, status.attempts[-1].finished_at) == ("DeadlineExceeded", NOON)


@pytest.mark.parametrize("stage", Stage)
def test_each_stage_shows_as_its_own_phase(stage: Stage) -> None:
    phases = {"prepare": "Preparing", "train": "Training", "evaluate": "Evaluating", "publish": "Publishing"}
    assert a_decision(a_job(at=stage)).status.phase == phases[stage]
