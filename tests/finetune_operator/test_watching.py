"""What people and machines watch: log lines, metrics, probes."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import socket
import urllib.error
import urllib.request

import pytest

from finetune_operator.brain.transitions import Transition
from finetune_operator.listening import ALL
from finetune_operator.logs import JsonLines, log_as_json, log_transition
from finetune_operator.metrics import Metrics
from finetune_operator.probes import ProbeServer
from finetune_operator.queue import Key

FAILED = Transition(
    "Warning",
    "AttemptFailed",
    "train attempt 2 ended at step 431: node gpu-07 was drained. Not charged.",
    {"stage": "train", "attempt": 2, "class": "Disruption", "step": 431},
)


@pytest.fixture
def lines() -> io.StringIO:
    """What is logged while a test runs."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    log_as_json("info", stream)
    yield stream
    root.handlers[:], root.level = before


def test_a_transition_is_one_line_with_job_stage_and_attempt(lines: io.StringIO) -> None:
    log_transition(logging.getLogger("finetune.operator"), Key("ml", "support"), FAILED)
    (line,) = map(json.loads, lines.getvalue().splitlines())
    time = line.pop("time")
    assert time.endswith("Z")
    assert line == {
        "level": "warning",
        "message": "attempt failed",
        "job": "ml/support",
        "stage": "train",
        "attempt": 2,
        "class": "Disruption",
        "step": 431,
        "detail": FAILED.message,
    }


def test_a_bug_is_logged_with_its_traceback_on_the_same_line() -> None:
    try:
        raise KeyError("answer")
    except KeyError as error:
        record = logging.makeLogRecord(
            {"msg": "a bug", "name": "finetune.x", "exc_info": (KeyError, error, error.__traceback__)}
        )
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "KeyError: 'answer'" in json.loads(line)["traceback"]


def test_objects_that_libraries_hang_on_their_lines_are_not_printed() -> None:
    record = logging.makeLogRecord({"msg": "x", "name": "kopf.objects", "settings": object(), "k8s_ref": {"secret": "s"}})
    assert set(json.loads(JsonLines().format(record))) == {"time", "level", "message", "logger"}


def test_transitions_are_counted_without_names_of_jobs() -> None:
    metrics = Metrics()
    metrics.transition(FAILED)
    metrics.transition(Transition("Normal", "Succeeded", "Published."))
    assert metrics.value("attempt_failures_total", {"stage": "train", "class": "Disruption"}) == 1
    assert metrics.value("jobs_ended_total", {"phase": "Succeeded"}) == 1
    assert metrics.value("transitions_total", {"reason": "Succeeded", "stage": ""}) == 1


def test_a_gauge_is_read_when_it_is_asked_for() -> None:
    metrics, depth = Metrics(), [0.0]
    metrics.watch("queue_depth", "Jobs that wait.", lambda: depth[0])
    depth[0] = 7.0
    assert b"finetune_operator_queue_depth 7.0" in metrics.exposition()


def test_probes_tell_what_is_wrong_and_metrics_are_served() -> None:
    trouble: list[str] = []

    async def body() -> None:
        metrics = Metrics()
        metrics.report("taken")
        server = ProbeServer(metrics, healthy=lambda: trouble[0] if trouble else None, ready=lambda: None)
        port = await server.start("127.0.0.1", 0)

        async def ask(path: str) -> tuple[int, str]:
            return await asyncio.to_thread(_ask, f"http://127.0.0.1:{port}{path}")

        try:
            assert await ask("/healthz") == (200, "ok\n")
            trouble.append("a reconcile has not ended for 300 s")
            assert await ask("/healthz") == (503, "a reconcile has not ended for 300 s\n")
            assert await ask("/readyz") == (200, "ok\n")
            code, text = await ask("/metrics")
            assert code == 200
            assert 'finetune_operator_progress_reports_total{result="taken"} 1.0' in text
        finally:
            await server.stop()

    asyncio.run(body())


def test_a_pod_without_an_ipv4_address_is_reached() -> None:
    """Clusters of IPv6 alone: probes and reports come to whatever address the pod has."""

    async def body() -> None:
        server = ProbeServer(Metrics(), healthy=lambda: None, ready=lambda: None)
        port = await server.start(ALL, 0)
        try:
            for host in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
                assert await asyncio.to_thread(_ask, f"http://{host}:{port}/healthz") == (200, "ok\n")
        finally:
            await server.stop()

    asyncio.run(body())


def _ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
