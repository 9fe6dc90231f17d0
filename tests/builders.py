"""Valid things in one line: a test says only what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from finetune_api.contract.exit_codes import ExitCode
from finetune_api.contract.facts import DataFacts, MachineFacts, ModelFacts, SplitFacts
from finetune_api.contract.result import ErrorClass, StageError, StageResult
from finetune_api.contract.summary import (
    DataSummary,
    Delta,
    EvaluationSummary,
    ExampleCounts,
    GateResult,
    OutputSummary,
    Score,
    SplitCounts,
    TrainSummary,
    WeightSummary,
)
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, Facts, FineTuneJobStatus, Progress
from finetune_operator.brain.decide import Decision, decide
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Exit, ExitReason, Observation
from finetune_operator.brain.plan import Plan, plan
from finetune_operator.brain.retries import smaller_plans
from finetune_operator.brain.stages import STAGES, Stage
from known_models import DIGEST, llama_8b

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def after(**span: float) -> datetime:
    """A moment so long after noon: after(minutes=5)."""
    return NOON + timedelta(**span)


# ---------------------------------------------------------------- manifests and jobs


def a_manifest(name: str = "support", **spec: Any) -> dict[str, Any]:
    """The smallest manifest, with these blocks of the spec put in or replaced."""
    smallest = {
        "model": {"uri": "hf://Qwen/Qwen3-8B"},
        "datasets": [{"uri": "s3://corp/support/tickets.jsonl"}],
        "output": {"uri": "pvc://models/support"},
    }
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": name},
        "spec": {**smallest, **spec},
    }


def a_job(
    *,
    at: str | None = None,
    attempts: Iterable[Attempt] = (),
    status: FineTuneJobStatus | None = None,
    gates_kept: bool = True,
    max_restarts: int = 3,
    suspend: bool = False,
    active_deadline_seconds: int | None = None,
    startup_deadline_seconds: int = 1800,
    queue_deadline_seconds: int | None = None,
    stall_timeout_seconds: int = 1800,
    **spec: Any,
) -> FineTuneJob:
    """A job, new or in the middle of its life.

    Args:
        at: the stage it has come to: the earlier ones are done, and nothing of this one has been tried yet.
        attempts: what was tried of it, written into the status.
        status: all of the status, instead of `at` and `attempts`.
        gates_kept: what evaluation found, where it is done.
        spec: blocks of the spec, as in a manifest.
    """
    policy = {
        "maxRestarts": max_restarts,
        "suspend": suspend,
        "activeDeadlineSeconds": active_deadline_seconds,
        "startupDeadlineSeconds": startup_deadline_seconds,
        "queueDeadlineSeconds": queue_deadline_seconds,
        "stallTimeoutSeconds": stall_timeout_seconds,
    }
    job = FineTuneJob.model_validate(a_manifest(**{"runPolicy": policy, **spec}))
    if status is None and at is not None:
        status = _come_to(job, Stage(at), gates_kept=gates_kept)
        status = status.model_copy(update={"attempts": (*status.attempts, *attempts)})
    return job.model_copy(update={"status": status}) if status else job


def _come_to(job: FineTuneJob, stage: Stage, *, gates_kept: bool) -> FineTuneJobStatus:
    """The status that decide itself writes when every stage before this one goes well, one minute each from 11:00."""
    clock = NOON - timedelta(hours=1)
    for earlier in list(Stage)[: list(Stage).index(stage)]:
        job = decided(job, a_decision(job, seen(), clock))
        ended = an_exit(ExitCode.DONE, result=a_result(earlier, passed=gates_kept), at=clock + timedelta(minutes=1))
        begun = replace(ended, started_at=clock)
        clock += timedelta(minutes=1)
        status = a_decision(job, seen(**{earlier: begun}), clock).status
        job = job.model_copy(update={"status": _without_open_attempts(status)})
    return job.status


def _without_open_attempts(status: FineTuneJobStatus) -> FineTuneJobStatus:
    return status.model_copy(update={"attempts": tuple(a for a in status.attempts if a.finished_at)})


def a_decision(job: FineTuneJob, found: Observation | None = None, now: datetime = NOON) -> Decision:
    """What happens next, planned from what the job's status holds."""
    return decide(job, a_plan(job), found or seen(), now)


def decided(job: FineTuneJob, decision: Decision) -> FineTuneJob:
    """The job with the status of a decision, as if it had been written."""
    return job.model_copy(update={"status": decision.status})


def live(job: FineTuneJob, *found: Observation, now: datetime = NOON) -> tuple[FineTuneJob, Decision]:
    """Decide about one observation after another, a minute apart, writing each status; the job and the last decision."""
    decision = None
    for number, observation in enumerate(found):
        for _ in range(2):  # a decision that asks for another at once gets it
            decision = a_decision(job, observation, now + timedelta(minutes=number))
            job = decided(job, decision)
            if decision.requeue_after != timedelta(0):
                break
    assert decision is not None
    return job, decision


def an_attempt(
    stage: str = "train",
    number: int = 1,
    *,
    reason: str | None = None,
    message: str = "it broke",
    started: datetime | None = NOON - timedelta(minutes=50),
    finished: datetime | None = NOON - timedelta(minutes=1),
    step: int | None = None,
    exit_code: int | None = None,
    charged: bool | None = None,
) -> Attempt:
    """An attempt in a status: ended for a reason, or open where there is none."""
    return Attempt(
        stage=stage,
        number=number,
        reason=reason,
        message=message if reason else None,
        started_at=started,
        finished_at=finished if reason else None,
        last_step=step,
        exit_code=exit_code,
        charged=bool(reason and reason not in ("Disruption", "Suspended")) if charged is None else charged,
    )


# ---------------------------------------------------------------- what is seen


def seen(**stages: AttemptSeen | tuple[AttemptSeen, ...]) -> Observation:
    """An observation: seen(train=an_exit(...)), or several of one stage as a tuple."""
    found: list[AttemptSeen] = []
    for stage, attempts in stages.items():
        several = attempts if isinstance(attempts, tuple) else (attempts,)
        found += [replace(attempt, stage=Stage(stage)) for attempt in several]
    return Observation(tuple(found))


def a_run(number: int = 1, *, step: int | None = None, reported: datetime | None = None, **more: Any) -> AttemptSeen:
    """An attempt at work, started at 11:50; with a step it has reported, at noon unless another time is said."""
    progress = Progress(step=step, total_steps=1200, updated_at=reported or NOON) if step is not None or reported else None
    said = {"started_at": NOON - timedelta(minutes=10), "progress": progress, **more}
    return AttemptSeen(Stage.TRAIN, number, AttemptState.RUNNING, **said)


def a_wait(number: int = 1, *, since: datetime = NOON, what: str = "0 of 2 nodes have 8 free nvidia.com/gpu") -> AttemptSeen:
    """An attempt that waits for room."""
    return AttemptSeen(Stage.TRAIN, number, AttemptState.WAITING, waiting_since=since, waits_for=what)


def a_block(number: int = 1, *, since: datetime = NOON, what: str = "the image cannot be pulled") -> AttemptSeen:
    """An attempt that cannot start."""
    return AttemptSeen(Stage.TRAIN, number, AttemptState.BLOCKED, waiting_since=since, waits_for=what)


def an_ending(number: int = 1, *, due: datetime | None = None) -> AttemptSeen:
    """An attempt that was told to stop and should have been gone at this time."""
    return replace(a_run(number), state=AttemptState.ENDING, ending_since=due)


def an_exit(
    code: int | None = ExitCode.BUG,
    number: int = 1,
    *,
    reason: ExitReason | str = ExitReason.EXITED,
    error: ErrorClass | None = None,
    message: str = "it broke",
    result: StageResult | None = None,
    detail: str | None = None,
    step: int | None = None,
    at: datetime = NOON,
) -> AttemptSeen:
    """An attempt that has ended. `error` is the class that its own last words name."""
    if error is not None:
        result = StageResult(stage="train", error=StageError(error_class=error, message=message))
    end = Exit(code, ExitReason(reason), result, detail, pod="support-train-1-0", node="gpu-07")
    progress = Progress(step=step, total_steps=1200, updated_at=at) if step is not None else None
    begun = at - timedelta(minutes=10)
    return AttemptSeen(Stage.TRAIN, number, AttemptState.ENDED, started_at=begun, finished_at=at, exit=end, progress=progress)


def done(stage: str = "train", number: int = 1, *, at: datetime = NOON, passed: bool = True) -> AttemptSeen:
    """An attempt that did its work."""
    return an_exit(ExitCode.DONE, number, result=a_result(stage, passed=passed), at=at)


# ---------------------------------------------------------------- facts, results


def some_data(
    examples: int = 2000, *, mean: int = 400, longest: int = 2000, supervised: float = 0.5, held_out: int = 250
) -> DataFacts:
    """Data of so many training examples with so many tokens each, the longest given."""

    def split(count: int) -> SplitFacts:
        return SplitFacts(
            examples=count,
            tokens=count * mean,
            supervised_tokens=int(count * mean * supervised),
            longest=longest if count else 0,
            squared_tokens=count * mean * mean,
        )

    return DataFacts(
        digest=DIGEST,
        max_length=longest,
        train=split(examples),
        validation=split(held_out),
        test=split(held_out),
        suites={},
    )


def some_facts(model: ModelFacts | None = None, data: DataFacts | None = None) -> Facts:
    """What prepare found: the 8B model and 2,000 examples, unless said otherwise."""
    machine = MachineFacts(gflops_bf16=60.0, gflops_fp32=50.0)
    return Facts(model=model or llama_8b(), data=data or some_data(), machine=machine)


def a_data_summary() -> DataSummary:
    """What prepare says of 2,600 rows."""
    return DataSummary(
        examples=ExampleCounts(read=2600, kept=2500, dropped_by_reason={"duplicate": 100}),
        tokens=1_000_000,
        weights=WeightSummary(effective_sample_size=2000.0, lowest=1.0, highest=1.0),
        split=SplitCounts(train=2000, validation=250, test=250),
        digest=DIGEST,
    )


def an_evaluation(*, passed: bool = True) -> EvaluationSummary:
    """Base against tuned: the loss fell from 1.92 to 1.31; with one gate, kept or not."""
    told = "loss fell by 0.610 (1.920 -> 1.310); gates[0] asks for 0.020."
    if not passed:
        told = "loss fell by 0.010 (1.920 -> 1.910); gates[0] asks for 0.020."
    tuned, value = (1.31, -0.61) if passed else (1.91, -0.01)
    return EvaluationSummary(
        examples=250,
        score=Score(metric="loss", base=1.92, tuned=tuned),
        base={"loss": 1.92, "exact_match": 0.1},
        tuned={"loss": tuned, "exact_match": 0.2},
        delta={"loss": Delta(value=value, ci95=(value - 0.05, value + 0.05))},
        gates=(GateResult(metric="loss", passed=passed, reason=told),),
        passed=passed,
        verdict="Improved" if passed else "Inconclusive",
    )


def a_result(stage: str, *, passed: bool = True, facts: Facts | None = None) -> StageResult:
    """What a stage says when it has done its work."""
    found = facts or some_facts()
    match Stage(stage):
        case Stage.PREPARE:
            parts: Mapping[str, Any] = {
                "model": found.model,
                "data": found.data,
                "machine": found.machine,
                "prepared": a_data_summary(),
            }
        case Stage.TRAIN:
            parts = {"trained": TrainSummary(steps=250, total_steps=250, best_step=250)}
        case Stage.EVALUATE:
            parts = {"evaluation": an_evaluation(passed=passed)}
        case Stage.PUBLISH:
            parts = {"output": OutputSummary(uri="pvc://models/support", digest=DIGEST, size_bytes=83_886_080)}
    return StageResult(stage=stage, **parts)


# ---------------------------------------------------------------- plans


def a_node(**more: Any) -> Machine:
    """A node of a cluster with H100s of 80 GB."""
    return Machine(**{"cpu_cores": 16, "memory_gib": 128.0, "gpus": 8, **more})


def a_workstation(**more: Any) -> Machine:
    """One machine with 4 cores and no GPU."""
    return Machine(**{"cpu_cores": 4, "memory_gib": 16.0, "gpus": 0, "local": True, **more})


def a_plan(job: FineTuneJob, facts: Facts | None = None, machine: Machine | None = None, *, smaller: int = 0) -> Plan:
    """The plan of a job from what its status holds, or from these facts, on a node with H100s."""
    return plan(
        job.spec, facts or job.status.facts, machine or a_node(), smaller=smaller or smaller_plans(job.status, Stage.TRAIN)
    )


def is_true(status: FineTuneJobStatus, kind: str) -> bool:
    """Whether a condition holds."""
    return any(c.type == kind and c.status == "True" for c in status.conditions)


ALL_STAGES = tuple(STAGES)


# ---------------------------------------------------------------- the API server's schema, for jsonschema


def as_json_schema(node: dict[str, Any]) -> dict[str, Any]:
    """A structural schema in the words of JSON Schema; rules are left out.

    Bounds are numbers instead of Booleans beside a number, int-or-string is said in full, and `$` is the very end, as it
    is in RE2.
    """
    plain = {key: value for key, value in node.items() if not key.startswith("x-kubernetes-") and key != "default"}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if plain.pop(exclusive, False):
            plain[exclusive] = plain.pop(bound)
    if plain.get("pattern", "").endswith("$"):
        plain["pattern"] = plain["pattern"].removesuffix("$") + r"\Z"
    if node.get("x-kubernetes-int-or-string"):
        plain["type"] = ["integer", "string"]
    if "properties" in plain:
        plain["properties"] = {key: as_json_schema(inner) for key, inner in plain["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in plain:
            plain[key] = as_json_schema(plain[key])
    return plain
