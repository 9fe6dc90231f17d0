"""finetune logs: which attempt, whose lines in which order, what keeps a line from coming, and from one stage into the next."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api_objects import a_child, an_event, ended, running, unplaced, waiting
from builders import NOON, a_job, a_manifest, an_attempt
from finetune_api.v1alpha1.status import Attempt, Phase
from servers.api import Answer
from servers.beside import Beside
from servers.for_people import PodLog

if TYPE_CHECKING:
    from conftest import Desk

FTJS, PODS, JOBS, EVENTS = ("finetune.dev/v1alpha1", "finetunejobs"), ("v1", "pods"), ("batch/v1", "jobs"), ("v1", "events")
NAMES = {0: "support-train-1-0-x7k2p", 1: "support-train-1-1-x7k2p"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_cli.cluster.following.LOOK_SECONDS", 0.02)


def submit(cluster: Beside, *attempts: Attempt, at: str = "train", nodes: int = 2, **changes: Any) -> None:
    """The job with what was tried of a stage."""
    manifest = a_manifest(resources={"nodes": nodes, "gpusPerNode": 2})
    status = a_job(at=at, attempts=attempts, resources={"nodes": nodes, "gpusPerNode": 2}).status
    status = status.model_copy(update={"phase": Phase.TRAINING, **changes})
    told = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    cluster.put(FTJS, {**manifest, "metadata": {"name": "support", "namespace": "ml"}, "status": told})


def put(cluster: Beside, *pods: dict[str, Any]) -> None:
    for pod in pods:
        pod["metadata"]["namespace"] = "ml"
        cluster.put(PODS, pod)


def said(cluster: Beside, pod: str, *lines: tuple[float, str], over: bool = True, **more: Any) -> PodLog:
    """A pod's log: seconds after noon and text."""
    stamped = [f"{NOON + timedelta(seconds=at):%Y-%m-%dT%H:%M:%S.%f}000Z {text}".encode() for at, text in lines]
    cluster.api.logs[pod] = PodLog(stamped, over, **more)
    return cluster.api.logs[pod]


OPEN = an_attempt(finished=None)
LOST = an_attempt(reason="Unknown")


# ---------------------------------------------------------------- which


def test_several_pods_are_one_log_in_the_order_of_time(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN)
    put(cluster, running(0), running(1))
    said(cluster, NAMES[0], (0, "rank 0 begins"), (2.5, "loss 2.1"), over=False)
    said(cluster, NAMES[1], (1, "rank 1 begins"), (2, "ready: 7 | x"), over=False)
    ran = desk.finetune("logs", "support", "-n", "ml")
    assert (ran.code, ran.out.splitlines()) == (
        0,
        ["train-1-0 | rank 0 begins", "train-1-1 | rank 1 begins", "train-1-1 | ready: 7 | x", "train-1-0 | loss 2.1"],
    )
    assert ran.err.splitlines() == [f"--- train attempt 1, pod {NAMES[i]} on node-{i}" for i in (0, 1)]


def test_one_pod_needs_no_prefix(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1)
    put(cluster, running(0))
    said(cluster, NAMES[0], (0, "step 1"), (1, ""), (2, "\x1b[1mstep 2 "))
    assert desk.finetune("logs", "support", "-n", "ml").out == "step 1\n\n\x1b[1mstep 2 \n"


def attempts() -> list[Attempt]:
    return [LOST, an_attempt(number=2, reason="Unknown"), an_attempt(number=3, finished=None)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "train 3"),
        (("--previous",), "train 2"),
        (("--stage", "train", "--attempt", "1"), "train 1"),
        (("--stage", "prepare"), "prepare 1"),
    ],
)
def test_the_attempt_is_the_newest_or_the_one_that_is_named(
    desk: Desk, cluster: Beside, options: tuple[str, ...], expected: str
) -> None:
    submit(cluster, *attempts(), nodes=1)
    for stage, number in (("prepare", 1), ("train", 1), ("train", 2), ("train", 3)):
        put(cluster, ended(0, stage=stage, number=number))
        said(cluster, f"support-{stage}-{number}-0-x7k2p", (0, f"{stage} {number}"))
    assert desk.finetune("logs", "support", "--cluster", *options).out == f"{expected}\n"


@pytest.mark.parametrize(("rank", "pod"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_rank_is_looked_for_in_the_pod_in_which_it_runs(desk: Desk, cluster: Beside, rank: int, pod: int) -> None:
    submit(cluster, OPEN)
    put(cluster, running(0), running(1))
    for index in (0, 1):
        said(cluster, NAMES[index], (0, f"pod {index}"))
    assert desk.finetune("logs", "support", "--cluster", "--rank", str(rank)).out == f"pod {pod}\n"


def test_pods_of_others_with_our_labels_are_not_shown(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1)
    stranger = running(1)
    stranger["metadata"]["ownerReferences"] = []
    put(cluster, running(0), stranger)
    said(cluster, NAMES[0], (0, "ours"))
    said(cluster, NAMES[1], (0, "theirs"))
    assert desk.finetune("logs", "support", "--cluster").out == "ours\n"


# ---------------------------------------------------------------- nothing to show


QUOTA = 'pods "x" is forbidden: exceeded quota: gpus'


@pytest.mark.parametrize(
    ("pods", "events", "expected"),
    [
        (
            [unplaced(0, "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.")],
            [],
            "room: 0/2 nodes are available: 2 Insuff",
        ),
        (
            [waiting(0, "ImagePullBackOff", "not found")],
            [],
            "the image registry.example/finetune-trainer:0.1.0 cannot be pulled",
        ),
        ([], [an_event(a_child(width=1), "FailedCreate", f"Error creating: {QUOTA}")], "exceeded quota: gpus"),
    ],
)
def test_what_has_not_started_says_why(
    desk: Desk, cluster: Beside, pods: list[dict[str, Any]], events: list[dict[str, Any]], expected: str
) -> None:
    submit(cluster, OPEN, nodes=1)
    child = a_child(width=1)
    child["metadata"]["namespace"] = "ml"
    cluster.put(JOBS, child)
    put(cluster, *pods)
    for event in events:
        event["metadata"]["namespace"] = "ml"
        cluster.put(EVENTS, event)
    ran = desk.finetune("logs", "support", "--cluster")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("finetune: train attempt 1 has not started: ")
    assert expected in ran.err


def test_pods_that_are_gone_took_their_logs_along(desk: Desk, cluster: Beside) -> None:
    submit(cluster, an_attempt(reason="Disruption", message="node gpu-07 was drained"))
    ran = desk.finetune("logs", "support", "--cluster")
    assert (ran.code, ran.out) == (2, "")
    assert "the pods of train attempt 1 are gone, and their logs with them" in ran.err
    assert "finetune.dev/job=support, finetune.dev/stage=train, finetune.dev/attempt=1" in ran.err
    assert ran.err.endswith("What was written down of it: Disruption: node gpu-07 was drained\n")


def test_a_pod_on_a_lost_node_does_not_hide_the_others(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN)
    put(cluster, running(0), running(1))
    said(cluster, NAMES[0], (0, "still here"))
    cluster.api.instead.append(Answer(500, times=9, part=f"{NAMES[1]}/log"))
    ran = desk.finetune("logs", "support", "--cluster")
    assert (ran.code, ran.out) == (1, "train-1-0 | still here\n")
    assert f"the log of pod {NAMES[1]} cannot be read: its node node-1 does not answer" in ran.err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--stage", "evaluate"), "support has no attempt of evaluate; its newest attempts: prepare 1, train 1"),
        (("--stage", "train", "--attempt", "7"), "support has no attempt 7 of train"),
        (("--previous",), "support has no attempt before the newest of train"),
        (("--rank", "4"), "train has 4 ranks, counted from 0; there is no 4"),
        (("--attempt", "2"), "attempts are counted in each stage: say --stage too"),
        (("--previous", "--follow"), "--previous names an attempt that has ended"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(desk: Desk, cluster: Beside, options: tuple[str, ...], expected: str) -> None:
    submit(cluster, OPEN)
    put(cluster, running(0))
    ran = desk.finetune("logs", "support", "--cluster", *options)
    assert (ran.code, ran.out) == (2, "")
    assert expected in ran.err


@pytest.mark.parametrize("options", [("--attempt", "0"), ("--attempt", "x"), ("--rank", "-1"), ("--stage", "bake"), ()])
def test_wrong_words_are_wrong_use(desk: Desk, options: tuple[str, ...]) -> None:
    ran = desk.finetune("logs", *(("support", *options) if options else ()))
    assert (ran.code, ran.err.startswith("usage: finetune logs ")) == (2, True)


# ---------------------------------------------------------------- following


def following(desk: Desk, *options: str) -> subprocess.Popen[str]:
    process = desk.start("logs", "support", "--cluster", "--follow", *options)
    guard = threading.Timer(180, process.kill)  # a line that never comes must not be waited for
    guard.daemon = True
    guard.start()
    return process


def read(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def finish(
    cluster: Beside, *attempts: Attempt, phase: Phase = Phase.FAILED, message: str = "given up", at: str = "train"
) -> None:
    submit(cluster, *attempts, at=at, phase=phase, message=message, nodes=1)


def test_following_goes_from_attempt_to_attempt_to_the_end_of_the_job(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1)
    put(cluster, running(0))
    first = said(cluster, NAMES[0], (0, "step 1"), over=False)
    process = following(desk)
    assert read(process, 1) == ["step 1"]
    first.lines.append(b"2026-11-30T12:00:05.000000000Z step 2")
    assert read(process, 1) == ["step 2"]
    first.over = True
    put(cluster, ended(0, 137))
    put(cluster, running(0, number=2))
    second = said(cluster, "support-train-2-0-x7k2p", (60, "again"))
    submit(cluster, LOST, an_attempt(number=2, finished=None), nodes=1)
    assert read(process, 1) == ["again"]
    assert second.over
    put(cluster, ended(0, 1, number=2))
    finish(cluster, LOST, an_attempt(number=2, reason="Unknown"))
    ran = desk.ended(process)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        f"--- train attempt 1, pod {NAMES[0]} on node-0",
        "--- train attempt 2, pod support-train-2-0-x7k2p on node-0",
        "support: Failed. given up",
    ]


def test_following_one_stage_ends_where_the_next_begins(desk: Desk, cluster: Beside) -> None:
    submit(cluster, at="train", nodes=1)
    put(cluster, ended(0, stage="prepare"))
    said(cluster, "support-prepare-1-0-x7k2p", (0, "prepared"))
    process = following(desk, "--stage", "prepare")
    assert read(process, 1) == ["prepared"]
    submit(cluster, OPEN, nodes=1)
    assert desk.ended(process).code == 0


def test_following_waits_for_a_pod_and_says_why(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1)
    child = a_child(width=1)
    child["metadata"]["namespace"] = "ml"
    cluster.put(JOBS, child)
    put(cluster, unplaced(0, "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."))
    process = following(desk)
    assert process.stderr is not None
    assert process.stderr.readline() == (
        "train attempt 1 has not started: room: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu\n"
    )
    said(cluster, NAMES[0], (0, "there"))
    put(cluster, ended(0))
    assert read(process, 1) == ["there"]
    finish(cluster, LOST)
    assert desk.ended(process).code == 0


def test_a_stage_that_came_and_went_between_two_looks_is_shown(desk: Desk, cluster: Beside) -> None:
    put(cluster, ended(0))
    said(cluster, NAMES[0], (0, "short"))
    finish(cluster, LOST)
    cluster.api.instead.append(Answer(200, part="/pods?", body=b'{"items": []}'))
    ran = desk.finetune("logs", "support", "--cluster", "-f", "--stage", "train")
    assert (ran.code, ran.out) == (0, "short\n")


def test_who_may_not_see_events_is_told_what_the_status_says(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1, message="train waits: room.")
    cluster.api.instead.append(Answer(403, times=9, part="/jobs/"))
    ran = desk.finetune("logs", "support", "--cluster")
    assert ran.err == "finetune: train attempt 1 has not started: train waits: room.\n"


def test_a_broken_connection_loses_no_line_and_repeats_none(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1)
    put(cluster, running(0))
    log = said(cluster, NAMES[0], *((0.1 * n, f"line {n}") for n in range(20)), over=False, cut_after=7)
    process = following(desk)
    assert read(process, 20) == [f"line {n}" for n in range(20)]
    assert log.cut_after is None, "it was cut"
    first, *again = [url for method, url, *_ in cluster.api.requests if "/log?" in url]
    assert "sinceTime" not in first
    assert "sinceTime=2026-11-30T12:00:00.600000000Z" in again[0], "what was seen is not sent again"
    log.over = True
    put(cluster, ended(0))
    finish(cluster, LOST)
    ran = desk.ended(process)
    assert (ran.code, ran.out) == (0, "")


def test_an_api_server_that_goes_away_for_a_moment_is_waited_for(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1)
    put(cluster, running(0))
    log = said(cluster, NAMES[0], (0, "step 1"), over=False)
    process = following(desk)
    assert read(process, 1) == ["step 1"]
    cluster.api.instead.append(Answer(503, times=3, body=b""))
    log.over = True
    put(cluster, ended(0))
    finish(cluster, LOST)
    ran = desk.ended(process)
    assert (ran.code, "answered 503: HTTP 503; trying again" in ran.err) == (0, True)


def test_a_follower_that_may_not_read_logs_is_told_and_ends(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1)
    put(cluster, running(0))
    cluster.api.instead.append(Answer(403, times=9, part="/log"))
    ran = desk.ended(following(desk))
    assert (ran.code, ran.err.splitlines()[-1][:22]) == (2, "finetune: not allowed:")


def test_following_a_job_that_has_not_begun_waits_for_it(desk: Desk, cluster: Beside) -> None:
    cluster.put(FTJS, a_manifest())
    process = following(desk)
    assert process.stderr is not None
    assert process.stderr.readline() == "support has not begun: nobody has looked at it yet\n"
    put(cluster, ended(0))
    said(cluster, NAMES[0], (0, "at last"))
    finish(cluster, LOST)
    assert (desk.ended(process).code) == 0


def test_a_reader_that_has_seen_enough_ends_it_quietly(desk: Desk, cluster: Beside) -> None:
    submit(cluster, OPEN, nodes=1)
    put(cluster, running(0))
    said(cluster, NAMES[0], *((n, "x" * 1000) for n in range(500)), over=False)
    process = following(desk)
    read(process, 1)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(120) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


# ---------------------------------------------------------------- on this machine


def lines_of(ran: Iterable[str]) -> list[str]:
    return [line for line in ran if line]


def test_a_local_log_is_the_file_of_the_attempt(desk: Desk) -> None:
    desk.tell(train_1={"exit": 75})
    desk.finetune("run", desk.manifest())
    for name in ("train-1", "train-2", "publish-1"):
        (desk.workspace / "attempts" / name / "log.txt").write_text(f"{name}\n")
    assert desk.finetune("logs", "support").out == "publish-1\n"
    assert desk.finetune("logs", "support", "--stage", "train").out == "train-2\n"
    assert desk.finetune("logs", "support", "--stage", "train", "--previous").out == "train-1\n"
    assert desk.finetune("logs", "support", "-s", "train", "-f").out == "train-2\n"
    assert desk.finetune("logs", "support", "-s", "train", "--attempt", "1", "-f").out == "train-1\n"
    assert desk.finetune("logs", "support", "--rank", "0").code == 2
