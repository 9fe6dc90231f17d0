"""The same on what a real cluster gave: Kubernetes 1.36.3, two nodes, each file one attempt of two pods at one moment.

Recorded with `kubectl get -o json` from children that `render` made; managed fields, environment and volumes are left out.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.failures import FailureClass, classify, describe, succeeded
from finetune_operator.brain.observation import AttemptSeen, AttemptState
from finetune_operator.brain.stages import Stage
from finetune_operator.observe import observe
from rendered import stored

FOLDER = Path(__file__).parent / "observed"
NOW = datetime(2026, 11, 22, 23, 55, tzinfo=UTC)


def recorded(name: str) -> tuple[FineTuneJob, dict[str, list[dict[str, Any]]]]:
    """The job and its children."""
    objects = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    owner = objects["jobs"][0]["metadata"]["ownerReferences"][0]
    job = stored(owner["name"], image="registry.example/own:1", command=["python", "train.py"])
    return job.model_copy(update={"metadata": job.metadata.model_copy(update={"uid": owner["uid"]})}), objects


def seen_in(name: str) -> AttemptSeen:
    job, objects = recorded(name)
    (found,) = observe(job, objects["jobs"], objects["pods"], objects["events"], NOW).attempts
    assert (found.stage, found.number) == (Stage.TRAIN, 1)
    return found


def test_a_program_of_the_users_has_done_its_work() -> None:
    found = seen_in("own_program")
    assert found.exit is not None
    assert found.started_at is not None
    assert succeeded(Stage.TRAIN, found.exit)


@pytest.mark.parametrize(
    ("name", "code", "failure", "words"),
    [
        ("user_error", 64, FailureClass.USER_ERROR, "exit code 64"),
        ("survivor", 1, FailureClass.UNKNOWN, "exit code 1"),
        ("no_program", 128, FailureClass.UNKNOWN, '"no-such-program": executable file not found in $PATH'),
        ("evicted_and_gone", None, FailureClass.DISRUPTION, "DisruptionTarget"),
    ],
)
def test_the_cause_is_told_from_the_consequences(name: str, code: int | None, failure: FailureClass, words: str) -> None:
    found = seen_in(name)
    assert (found.state, found.ending_since) == (AttemptState.ENDED, None)
    assert found.exit is not None
    assert (found.exit.code, classify(found.exit)) == (code, failure)
    assert words in describe(found.exit)


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("no_room", AttemptState.WAITING, "2 Insufficient cpu"),
        ("no_image", AttemptState.BLOCKED, "the image 127.0.0.1:9/none:1 cannot be pulled (ImagePullBackOff)"),
        ("no_secret", AttemptState.BLOCKED, 'secret "nope" not found'),
        ("no_claim", AttemptState.BLOCKED, 'persistentvolumeclaim "nope" not found'),
        ("no_account", AttemptState.BLOCKED, 'serviceaccount "nope" not found'),
        ("forbidden_volume", AttemptState.BLOCKED, 'violates PodSecurity "restricted:latest"'),
    ],
)
def test_what_holds_an_attempt_up_is_told_in_kubernetes_words(name: str, state: AttemptState, words: str) -> None:
    found = seen_in(name)
    assert (found.state, found.started_at) == (state, None)
    assert words in (found.waits_for or "")


def test_a_peer_on_a_lost_node_should_have_been_gone_at_the_latest_when_it_was_told_to() -> None:
    """Pod 0 ran out of memory at 23:51:01; pod 1 was told to stop at :03, had 5 s, and its node went silent before that."""
    found = seen_in("out_of_memory_and_a_lost_node")
    assert (found.state, found.ending_since) == (AttemptState.ENDING, datetime(2026, 11, 22, 23, 51, 8, tzinfo=UTC))


def test_a_gang_that_lost_a_pod_which_exited_0_is_not_waited_for() -> None:
    """Kubernetes takes the deleted pod's exit for the end of its work: no condition, no new pod, and its peer runs on."""
    found = seen_in("deleted_and_exited_0")
    assert found.state is AttemptState.ENDING
    assert found.waits_for == "pod 1 was deleted, and Kubernetes takes that for the end of its work"
    assert found.ending_since is not None
