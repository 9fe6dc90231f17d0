"""How an attempt ended names the class of its failure; the class says whether another try can help and who pays for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

import strategies
from builders import a_result, an_exit
from finetune_api.contract.exit_codes import ExitCode
from finetune_api.contract.result import StageError, StageResult
from finetune_operator.brain.failures import POLICY, FailureClass, classify, describe, failure_of, succeeded
from finetune_operator.brain.observation import Exit, ExitReason
from finetune_operator.brain.stages import STAGES, Stage

MEMORY = "The node was low on resource: memory."
DISK = "The node was low on resource: ephemeral-storage."


def an_end(*arguments: Any, **more: Any) -> Exit:
    end = an_exit(*arguments, **more).exit
    assert end is not None
    return end


@pytest.mark.parametrize(
    ("end", "failure"),
    [
        # The exit code alone.
        (an_end(ExitCode.USER_ERROR), FailureClass.USER_ERROR),
        (an_end(ExitCode.DATA_ERROR), FailureClass.USER_ERROR),
        (an_end(ExitCode.OUT_OF_MEMORY), FailureClass.OUT_OF_MEMORY),
        (an_end(ExitCode.TRANSIENT), FailureClass.TRANSIENT),
        (an_end(ExitCode.INTERRUPTED), FailureClass.DISRUPTION),
        (an_end(ExitCode.BUG), FailureClass.UNKNOWN),
        (an_end(ExitCode.KILLED), FailureClass.UNKNOWN),
        (an_end(139), FailureClass.UNKNOWN),
        (an_end(None), FailureClass.UNKNOWN),
        # Exit code 0 without a result is no success, and nobody knows why.
        (an_end(ExitCode.DONE), FailureClass.UNKNOWN),
        # What the surroundings say is stronger than the code.
        (an_end(ExitCode.KILLED, reason=ExitReason.OUT_OF_MEMORY), FailureClass.OUT_OF_MEMORY),
        (an_end(ExitCode.BUG, reason=ExitReason.OUT_OF_MEMORY), FailureClass.OUT_OF_MEMORY),
        (an_end(ExitCode.KILLED, reason=ExitReason.DISRUPTED), FailureClass.DISRUPTION),
        (an_end(ExitCode.BUG, reason=ExitReason.DISRUPTED), FailureClass.DISRUPTION),
        (an_end(None, reason=ExitReason.VANISHED), FailureClass.DISRUPTION),
        # A node that runs out of memory or disk blames the pod that used it: charged.
        (an_end(ExitCode.KILLED, reason=ExitReason.EVICTED, detail=MEMORY), FailureClass.OUT_OF_MEMORY),
        (an_end(ExitCode.KILLED, reason=ExitReason.EVICTED, detail=DISK), FailureClass.UNKNOWN),
        (an_end(ExitCode.KILLED, reason=ExitReason.EVICTED), FailureClass.UNKNOWN),
        # What the stage says of manifest, data and memory is the strongest: no drained node makes them right.
        (an_end(ExitCode.USER_ERROR, error="UserError", reason=ExitReason.DISRUPTED), FailureClass.USER_ERROR),
        (an_end(ExitCode.DATA_ERROR, error="DataError", reason=ExitReason.DISRUPTED), FailureClass.USER_ERROR),
        (an_end(ExitCode.BUG, error="DataError"), FailureClass.USER_ERROR),
        (an_end(ExitCode.BUG, error="OutOfMemory"), FailureClass.OUT_OF_MEMORY),
        (an_end(ExitCode.KILLED, error="OutOfMemory", reason=ExitReason.DISRUPTED), FailureClass.OUT_OF_MEMORY),
        # Its other words are weaker than what the surroundings say, and than a known code.
        (an_end(ExitCode.TRANSIENT, error="Transient", reason=ExitReason.DISRUPTED), FailureClass.DISRUPTION),
        (an_end(ExitCode.TRANSIENT, error="Interrupted"), FailureClass.TRANSIENT),
        (an_end(ExitCode.BUG, error="Transient"), FailureClass.TRANSIENT),
        (an_end(ExitCode.BUG, error="Interrupted"), FailureClass.DISRUPTION),
        (an_end(ExitCode.BUG, error="Bug"), FailureClass.UNKNOWN),
    ],
)
def test_the_class_of_a_failure(end: Exit, failure: FailureClass) -> None:
    assert classify(end) is failure


@pytest.mark.parametrize(
    ("failure", "retry", "charged", "smaller"),
    [
        (FailureClass.USER_ERROR, False, True, False),
        (FailureClass.OUT_OF_MEMORY, True, True, True),
        (FailureClass.DISRUPTION, True, False, False),
        (FailureClass.STALL, True, True, False),
        (FailureClass.STARTUP, False, True, False),
        (FailureClass.TRANSIENT, True, True, False),
        (FailureClass.UNKNOWN, True, True, False),
        (FailureClass.DEADLINE, False, True, False),
        (FailureClass.STOPPED, True, False, False),
        (FailureClass.DELETED, False, False, False),
    ],
)
def test_what_follows_each_class(failure: FailureClass, retry: bool, charged: bool, smaller: bool) -> None:
    policy = POLICY[failure]
    assert (policy.retry, policy.charged, policy.smaller_plan) == (retry, charged, smaller)


def test_every_class_has_a_policy() -> None:
    assert set(POLICY) == set(FailureClass)


@given(strategies.exits())
def test_every_end_has_a_class_and_a_sentence(end: Exit) -> None:
    assert classify(end) in POLICY
    assert describe(end)


@given(strategies.exits())
def test_nothing_that_ended_badly_counts_as_done(end: Exit) -> None:
    assert not any(succeeded(stage, end) for stage in Stage)


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_is_done_when_it_exits_0_and_says_what_it_made(stage: Stage) -> None:
    assert succeeded(stage, Exit(ExitCode.DONE, result=a_result(stage)))


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (ExitCode.DONE, None),  # a pod that is deleted and exits 0 on SIGTERM
        (ExitCode.DONE, a_result("prepare")),  # words of another stage
        (ExitCode.INTERRUPTED, a_result("train")),
        (ExitCode.BUG, a_result("train")),
        (None, a_result("train")),
        (ExitCode.DONE, StageResult(stage="train", error=StageError(error_class="Interrupted", message="told to stop"))),
    ],
)
def test_train_is_not_done_without_its_word_or_with_another_code(code: int | None, result: StageResult | None) -> None:
    assert not succeeded(Stage.TRAIN, Exit(code, result=result))


@pytest.mark.parametrize(("stage", "part"), [(stage, part) for stage, needs in STAGES.items() for part in needs.leaves])
def test_a_stage_is_not_done_without_what_the_next_one_needs(stage: Stage, part: str) -> None:
    result = a_result(stage).model_copy(update={part: None})
    assert not succeeded(stage, Exit(ExitCode.DONE, result=result))


def test_a_class_that_only_a_later_version_knows_is_unknown() -> None:
    assert failure_of("Sabotage") is FailureClass.UNKNOWN
    assert failure_of(None) is FailureClass.UNKNOWN
    assert failure_of("OutOfMemory") is FailureClass.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (
            Exit(
                64,
                result=StageResult(
                    stage="prepare",
                    error=StageError(error_class="UserError", message="no access", field="spec.model.uri", hint="Log in."),
                ),
            ),
            "spec.model.uri: no access. Log in.",
        ),
        (an_end(1, error="Bug", message="it broke", detail="node gpu-07 was drained"), "it broke"),
        (an_end(143, reason=ExitReason.DISRUPTED, detail="node gpu-07 was drained"), "node gpu-07 was drained"),
        (an_end(137, reason=ExitReason.OUT_OF_MEMORY), "the machine's memory ran out (OOMKilled)"),
        (an_end(None, reason=ExitReason.VANISHED), "it was killed together with the program that watched it"),
        (an_end(0), "it exited 0 without a result, so its work is not done"),
        (an_end(137), "a process was killed (SIGKILL)"),
        (an_end(143), "it was told to stop"),
        (an_end(1), "exit code 1; the log has the traceback"),
    ],
)
def test_the_sentence_of_a_failure_is_that_of_who_knows_best(end: Exit, sentence: str) -> None:
    assert describe(end) == sentence
