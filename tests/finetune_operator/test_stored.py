"""What is written of a status is what has changed, and the first time also what a column shows."""

from __future__ import annotations

from builders import NOON, an_attempt
from finetune_api.v1alpha1.status import FineTuneJobStatus, Restarts
from finetune_operator.stored import changes


def test_the_first_status_says_that_nothing_was_restarted() -> None:
    patch = changes(FineTuneJobStatus(), FineTuneJobStatus(start_time=NOON))
    assert patch["restarts"] == {"total": 0, "charged": 0, "outOfMemory": 0}


def test_afterwards_the_counters_are_written_when_they_change() -> None:
    before = FineTuneJobStatus(start_time=NOON)
    assert changes(before, before) == {}
    assert changes(before, before.model_copy(update={"restarts": Restarts(total=1)})) == {"restarts": {"total": 1}}


def test_a_step_of_an_attempt_is_written_once_somebody_has_decided_to_stop_it() -> None:
    runs = an_attempt(step=None)
    before = FineTuneJobStatus(start_time=NOON, attempts=(runs,))
    further = runs.model_copy(update={"last_step": 5000})
    assert changes(before, before.model_copy(update={"attempts": (further,)})) == {}
    marked = further.model_copy(update={"reason": "Stall"})
    (written,) = changes(before, before.model_copy(update={"attempts": (marked,)}))["attempts"]
    assert (written["reason"], written["lastStep"]) == ("Stall", 5000)
