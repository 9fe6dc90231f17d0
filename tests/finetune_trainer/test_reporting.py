"""Progress reports: what goes over the wire, and that nothing at its other end harms the work."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.progress import ProgressReport
from finetune_operator.brain.stages import Stage
from finetune_trainer.reporting import ProgressReporter
from servers.local import Handler, LocalServer

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Operator(LocalServer):
    """Takes reports, as the operator does; `status` is what it answers."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.shown: list[str | None] = []
        self.status = 200
        super().__init__(self._answer)

    def _answer(self, request: Handler) -> None:
        self.shown.append(request.headers.get("Authorization"))
        self.got.append(json.loads(request.read()))
        request.send(self.status, b"{}")


def variables(url: str, token: Path | None = None) -> dict[str, str]:
    found = {"KUBEFLOW_TRAINER_SERVER_URL": url}
    return found | ({"KUBEFLOW_TRAINER_SERVER_TOKEN": str(token)} if token else {})


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_report_is_that_of_the_protocol(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    with Operator() as operator:
        reporter = ProgressReporter(variables(f"{operator.url}/v1/progress", token), now=lambda: NOON, interval_seconds=0.01)
        reporter.report(percent=35, eta_seconds=840.4, metrics={"loss": 1.03125, "current_step": 420.0})
        wait_for(lambda: len(operator.got) == 1)
        token.write_text("second\n")  # as the kubelet renews it
        reporter.report(percent=36)
        reporter.close()

    assert operator.paths("POST") == ["/v1/progress"] * 2
    assert operator.got[0] == {
        "trainerStatus": {
            "lastUpdatedTime": "2026-11-30T12:00:00Z",
            "progressPercentage": 35,
            "estimatedRemainingSeconds": 840,
            "metrics": [{"name": "loss", "value": "1.03125"}, {"name": "current_step", "value": "420.0"}],
        }
    }
    assert operator.shown == ["Bearer first", "Bearer second"]


def test_work_between_two_steps_is_told_as_the_last_state_of_now() -> None:
    times = iter([NOON, NOON + timedelta(minutes=20)])
    with Operator() as operator:
        reporter = ProgressReporter(variables(operator.url), now=lambda: next(times), interval_seconds=0.01)
        reporter.repeat()  # before the first step there is nothing to tell
        reporter.report(percent=35, metrics={"current_step": 420.0})
        wait_for(lambda: len(operator.got) == 1)
        reporter.repeat()
        reporter.close()
    first, second = (report["trainerStatus"] for report in operator.got)
    assert second == {**first, "lastUpdatedTime": "2026-11-30T12:20:00Z"}


def test_only_the_newest_state_is_sent_and_the_last_one_before_the_end() -> None:
    with Operator() as operator:
        reporter = ProgressReporter(variables(operator.url), now=lambda: NOON, interval_seconds=60.0)
        reporter.report(percent=1)
        wait_for(lambda: len(operator.got) == 1)
        for percent in range(2, 50):
            reporter.report(percent=percent)
        reporter.close()
    assert [report["trainerStatus"]["progressPercentage"] for report in operator.got] == [1, 49]


def test_without_a_server_nothing_is_sent_and_no_thread_is_started() -> None:
    before = threading.active_count()
    reporter = ProgressReporter({}, now=lambda: NOON)
    reporter.report(percent=1)
    assert threading.active_count() == before
    reporter.close()


def test_a_proxy_never_sees_a_report_and_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    with Operator() as operator, Operator() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        reporter = ProgressReporter(variables(operator.url, token), now=lambda: NOON)
        reporter.report(percent=1)
        reporter.close()
    assert (len(operator.got), proxy.got) == (1, [])


def garbage(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")


def nothing(connection: socket.socket) -> None:
    connection.recv(65536)


def half(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


@pytest.mark.parametrize("answer", [garbage, nothing, half])
def test_after_a_bad_answer_the_next_report_is_tried_again(answer: Callable[[socket.socket], None]) -> None:
    """A thread that died of one would leave the operator without news, and the job would be taken for stalled."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen = []

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    seen.append(connection)
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        reporter = ProgressReporter(variables(url), now=lambda: NOON, interval_seconds=0.01)
        reporter.report(percent=1)
        wait_for(lambda: len(seen) == 1)
        reporter.report(percent=2)
        wait_for(lambda: len(seen) == 2)
        reporter.close()
        thread.join(60)


# ---------------------------------------------------------------- through the stages


def test_a_training_run_tells_its_steps_and_never_that_it_is_done(
    chat_manifest: dict[str, Any], workspace: Path, changed: Callable[..., dict[str, Any]]
) -> None:
    config = stages.orders(changed(chat_manifest, resources={"nodes": 1}), Stage.TRAIN, workspace, total_steps=8)
    with Operator() as operator:
        end = stages.train_here(config, workspace / "train-1", **variables(operator.url))
    assert end.code == 0, end.log

    statuses = [ProgressReport.model_validate(report).trainer_status for report in operator.got]
    last = statuses[-1].numbers()
    assert (last["current_step"], last["total_steps"], last["resumed_from_step"]) == (8.0, 8.0, 0.0)
    assert last["loss"] == pytest.approx(stages.losses(workspace)[8])
    assert last["tokens_per_second"] > 0
    assert statuses[-1].estimated_remaining_seconds == 0
    assert statuses[-1].progress_percentage == 99, "100 is for the operator to say, once the result is there"
    assert all(0 <= (status.progress_percentage or 0) <= 99 for status in statuses)


@pytest.mark.parametrize("trouble", ["refused", "forbidden", "no token", "no server", "no address"])
def test_an_operator_that_takes_no_report_changes_nothing(
    trouble: str, chat_manifest: dict[str, Any], workspace: Path, changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    config = stages.orders(changed(chat_manifest, resources={"nodes": 1}), Stage.TRAIN, workspace, total_steps=2)
    with Operator() as operator:
        operator.status = {"refused": 500, "forbidden": 403}.get(trouble, 200)
        said = variables(
            {"no server": "http://127.0.0.1:9", "no address": "nonsense"}.get(trouble, operator.url),
            tmp_path / "nothing" if trouble == "no token" else None,
        )
        end = stages.train_here(config, workspace / "train-1", **said)
    assert end.code == 0, end.log
    assert "Traceback" not in end.log
    assert set(stages.losses(workspace)) == {1, 2}


def test_prepare_tells_how_many_rows_it_has_read(chat_manifest: dict[str, Any], tmp_path: Path) -> None:
    with Operator() as operator:
        end = stages.prepare(chat_manifest, tmp_path / "workspace", **variables(operator.url))
    assert end.code == 0, end.log
    last = ProgressReport.model_validate(operator.got[-1]).trainer_status
    assert last.numbers()["rows"] == 120
    assert last.progress_percentage is None, "how many rows there are is not known before the end"
