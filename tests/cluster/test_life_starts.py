"""Jobs that cannot start on a real cluster end with the reason in their status: the field, the object, the pod's own words."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import life, own_trainers
from cluster.workloads import a_claim, a_pod

pytestmark = pytest.mark.node_access

SOON = {"startupDeadlineSeconds": 30}
"""Soon for a test, late for a busy kubelet: it tries to mount volumes before it hears that it may, and pulls after that."""
ONE = {"nodes": 1}


@pytest.fixture(scope="module")
def jobs(place: life.Workplace) -> dict[str, life.Job]:
    """All of them at once: each waits for its own deadline, none for another."""
    data: dict[str, Any] = {"name": "chats", "uri": "pvc://inputs/chats.jsonl"}
    wishes: dict[str, dict[str, Any]] = {
        "unpullable": {"image": "127.0.0.1:9/none:1"},
        "no-claim": {"datasets": [{**data, "uri": "pvc://not-there/chats.jsonl"}]},
        "no-secret": {"datasets": [{**data, "secretName": "not-there"}]},
        "no-config-map": {"datasets": [{**data, "uri": "configMap://not-there/chats.jsonl"}]},
        "no-node": {"scheduling": {"nodeSelector": {"disktype": "nowhere"}}},
        "too-many-gpus": {"resources": {"nodes": 1, "gpusPerNode": 3}, "scheduling": {"nodeSelector": {"disktype": "nowhere"}}},
    }
    return {name: place.apply(name, **{"resources": ONE, "runPolicy": SOON, **wish}) for name, wish in wishes.items()}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unpullable", "127.0.0.1:9/none:1"),
        ("no-claim", "not-there"),
        ("no-secret", "not-there"),
        ("no-config-map", "not-there"),
    ],
)
def test_what_cannot_start_fails_at_its_deadline_with_the_pods_own_reason(
    jobs: dict[str, life.Job], name: str, words: str
) -> None:
    status = jobs[name].until("Failed", seconds=120)
    assert words in status["message"]
    (attempt,) = jobs[name].attempts
    assert (attempt["stage"], attempt["reason"]) == ("prepare", "Startup")
    assert jobs[name].restarts == (0, 0)


@pytest.mark.parametrize("name", ["no-node", "too-many-gpus"])
def test_waiting_for_a_node_is_no_failure_and_the_status_says_for_what(jobs: dict[str, life.Job], name: str) -> None:
    job = jobs[name]
    message = job.until_says("node")  # once the scheduler has said why
    assert "wait" in message
    assert job.status["phase"] == "Pending"
    job.delete()
    job.until_gone()


def test_waiting_for_room_ends_at_the_queue_deadline_if_one_is_set(place: life.Workplace) -> None:
    nowhere = {"nodeSelector": {"disktype": "nowhere"}}
    job = place.apply("impatient", resources=ONE, scheduling=nowhere, runPolicy={"queueDeadlineSeconds": 5})
    status = job.until("Failed", seconds=60)
    assert "queueDeadlineSeconds" in status["message"]


def test_a_full_workspace_is_the_users_to_mend_and_names_the_field(place: life.Workplace) -> None:
    place.namespace.create(a_claim("filled", storage_class="shared-small", size="60Mi"))
    place.namespace.create(a_pod("filler", place.image, claims={"filled": "/filled"}))
    place.namespace.until_running("filler", seconds=60)
    place.namespace.exec("filler", "sh", "-c", "head -c 100000000 /dev/zero > /filled/zeros", check=False)
    try:
        small = {"storageClassName": "shared-small", "size": "1Mi", "accessMode": "ReadWriteMany"}
        job = place.apply("full", resources=ONE, workspace=small)
        status = job.until("Failed", seconds=90)
    finally:
        place.namespace.exec("filler", "rm", "/filled/zeros")
        place.namespace.delete("Pod", "filler", grace_seconds=0)
        place.namespace.delete("PersistentVolumeClaim", "filled")
    assert "spec.workspace.size" in status["message"]
    assert [(a["reason"], a["exitCode"]) for a in job.attempts] == [("UserError", 64)]


def test_memory_that_runs_out_on_the_host_is_tried_once_more_and_then_fails_with_the_numbers(place: life.Workplace) -> None:
    little = {"nodes": 1, "memory": "64Mi", "cpu": "500m"}
    job = place.apply("greedy", resources=little, **own_trainers.greedy(place.image))
    status = job.until("Failed", seconds=120)
    assert [(a["reason"], a["exitCode"]) for a in job.of("train")] == [("OutOfMemory", 137), ("OutOfMemory", 137)]
    assert "memory" in status["message"]
    assert job.restarts == (1, 1)
