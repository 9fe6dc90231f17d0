"""The last words of a stage: at most 4,096 bytes of JSON in the container's termination message.

Kubernetes cuts a longer message without a word, and cut JSON says nothing. So `encode` makes room itself: it shortens
words, never the facts on which something depends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from finetune_api.contract.facts import DataFacts, MachineFacts, ModelFacts
from finetune_api.contract.summary import DataSummary, EvaluationSummary, GateResult, OutputSummary, TrainSummary
from finetune_api.model import Model

MAX_BYTES = 4096
_SHORTEST_MESSAGE = 200
_CUT = " ..."

ErrorClass = Literal["UserError", "DataError", "OutOfMemory", "Transient", "Interrupted", "Bug"]


class StageError(Model):
    """Why a stage did not end well."""

    error_class: Annotated[ErrorClass, Field(alias="class")]
    """Kind of error, which goes with the exit code."""
    message: str
    """What happened, where, with numbers."""
    field: str | None = None
    """Path in the manifest, where one is to blame."""
    hint: str | None = None
    """What to do."""


class StageResult(Model):
    """What pod 0 says at the end of a stage."""

    model_config = ConfigDict(extra="ignore")

    version: Literal["v1alpha1"] = "v1alpha1"
    """Version of this contract."""
    stage: str
    """Which stage."""
    attempt: int = 1
    """Which attempt."""
    error: StageError | None = None
    """Set unless the stage is done."""
    model: ModelFacts | None = None
    """From prepare."""
    data: DataFacts | None = None
    """From prepare."""
    machine: MachineFacts | None = None
    """From prepare."""
    prepared: DataSummary | None = None
    """From prepare."""
    trained: TrainSummary | None = None
    """From train."""
    evaluation: EvaluationSummary | None = None
    """From evaluate."""
    output: OutputSummary | None = None
    """From publish."""


def encode(result: StageResult) -> str:
    """The result as JSON of at most 4,096 bytes in UTF-8.

    What is too long is cut where a person loses least, and stands whole in the reports of the workspace: the end of an
    error's message, gates that were kept, the sizes of suites. What is too large for another reason is a bug and raises.
    Raises: ValueError if the result does not fit although it was cut.
    """
    for shorter in _ever_shorter(result):
        text = _dump(shorter)
        if len(text.encode()) <= MAX_BYTES:
            return text
    raise ValueError(f"the result of {result.stage} takes {len(_dump(result).encode())} of {MAX_BYTES} bytes")


def _ever_shorter(result: StageResult) -> Iterator[StageResult]:
    yield result
    if result.error:
        yield from (_with_shorter_message(result, error) for error in (result.error, _without_hint(result.error)))
    if result.evaluation:
        for gates in _ever_fewer(result.evaluation.gates):
            yield result.model_copy(update={"evaluation": result.evaluation.model_copy(update={"gates": gates})})
    if result.data and result.data.suites:
        yield result.model_copy(update={"data": result.data.model_copy(update={"suites": {}})})


def _with_shorter_message(result: StageResult, error: StageError) -> StageResult:
    whole = result.model_copy(update={"error": error})
    excess = len(_dump(whole).encode()) - MAX_BYTES + len(_CUT)
    message = error.message.encode(errors="replace")
    if excess <= len(_CUT):
        return whole
    cut = message[: max(_SHORTEST_MESSAGE, len(message) - excess)].decode(errors="ignore") + _CUT
    return whole.model_copy(update={"error": error.model_copy(update={"message": cut})})


def _without_hint(error: StageError) -> StageError:
    return error.model_copy(update={"hint": None})


def _ever_fewer(gates: tuple[GateResult, ...]) -> Iterator[tuple[GateResult, ...]]:
    """Kept gates lose their words first, then their place; then broken gates beyond the first eight lose theirs."""
    yield tuple(gate.model_copy(update={"reason": ""}) if gate.passed else gate for gate in gates)
    broken = tuple(gate for gate in gates if not gate.passed)
    yield broken
    yield broken[:8]


def _dump(result: StageResult) -> str:
    text = json.dumps(result.model_dump(mode="json", by_alias=True, exclude_none=True), ensure_ascii=False)
    return text.encode(errors="replace").decode()  # half a character, as in the name of a damaged file, is no UTF-8


def decode(text: str) -> StageResult | None:
    """The result in a termination message; None if the text is something else, such as the end of a log."""
    try:
        return StageResult.model_validate_json(text)
    except ValueError:
        return None
