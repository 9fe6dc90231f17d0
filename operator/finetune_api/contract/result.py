"""The last words of a stage: at most 4,096 bytes of JSON in the container's termination message.

Kubernetes cuts a longer message without a word, and cut JSON says nothing. So `encode` makes room itself: it shortens
the message, never the facts.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from finetune_api.contract.facts import DataFacts, MachineFacts, ModelFacts
from finetune_api.contract.summary import DataSummary, EvaluationSummary, OutputSummary, TrainSummary
from finetune_api.model import Model

MAX_BYTES = 4096
RESULT_VERSION = "v1alpha1"

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

    An over-long error message is cut at its end; a result that is too large for another reason is a bug and raises.
    Raises: ValueError if the result does not fit although its message was cut.
    """
    text = _dump(result)
    if len(text.encode()) > MAX_BYTES and result.error:
        excess = len(text.encode()) - MAX_BYTES + 16
        message = result.error.message.encode()[: max(200, len(result.error.message.encode()) - excess)]
        error = result.error.model_copy(update={"message": message.decode(errors="ignore") + " ...", "hint": None})
        text = _dump(result.model_copy(update={"error": error}))
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(f"the result of {result.stage} takes {len(text.encode())} of {MAX_BYTES} bytes")
    return text


def _dump(result: StageResult) -> str:
    return json.dumps(result.model_dump(mode="json", by_alias=True, exclude_none=True), ensure_ascii=False)


def decode(text: str) -> StageResult | None:
    """The result in a termination message; None if the text is something else, such as the end of a log."""
    try:
        return StageResult.model_validate_json(text)
    except ValueError:
        return None
