"""The receiving end of progress: only the running attempt's own token, only what the protocol allows, only the newest."""

from __future__ import annotations

import json
import socket
import stat
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_api import meta
from finetune_api.contract.progress import MAX_BODY_BYTES
from finetune_cli.progress_server import ProgressServer


@pytest.fixture
def server() -> Iterator[ProgressServer]:
    made = ProgressServer()
    yield made
    made.close()


def a_body(step: float | str = 5, *, at: str = "2026-11-30T12:00:00Z", **more: Any) -> bytes:
    metrics = [{"name": "current_step", "value": str(step)}, *more.pop("metrics", [])]
    return json.dumps({"trainerStatus": {"lastUpdatedTime": at, "metrics": metrics, **more}}).encode()


def post(url: str, body: bytes, *, token: str | None = "secret", **headers: str) -> int:
    bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
    request = urllib.request.Request(url, data=body, headers={**bearer, **headers}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def expecting(server: ProgressServer, folder: Path, token: str = "secret") -> str:
    return server.expect(token, folder / "token")[meta.PROGRESS_URL_VARIABLE]


def test_a_report_of_the_running_attempt_is_taken(server: ProgressServer, tmp_path: Path) -> None:
    url = expecting(server, tmp_path)
    assert server.newest() is None
    assert post(url, a_body(420, metrics=[{"name": "resumed_from_step", "value": "400"}])) == 200
    newest = server.newest()
    assert newest is not None
    assert newest.step == 420
    assert server.resumed_from_step() == 400


@pytest.mark.parametrize("token", ["other", "", None, "secretsecret", "sécret"])
def test_a_report_with_another_token_is_refused(server: ProgressServer, tmp_path: Path, token: str | None) -> None:
    url = expecting(server, tmp_path)
    assert post(url, a_body(), token=token) == 401
    assert server.newest() is None


def test_before_anything_runs_nothing_is_taken(server: ProgressServer, tmp_path: Path) -> None:
    url = expecting(server, tmp_path)
    server._token = None  # as it is until the first attempt
    assert post(url, a_body(), token="None") == 401


def test_the_next_attempt_begins_without_the_last_ones_report_and_token(server: ProgressServer, tmp_path: Path) -> None:
    url = expecting(server, tmp_path, "first")
    assert post(url, a_body(), token="first") == 200
    expecting(server, tmp_path, "second")
    assert server.newest() is None
    assert post(url, a_body(), token="first") == 401


def test_a_report_that_comes_late_does_not_replace_a_newer_one(server: ProgressServer, tmp_path: Path) -> None:
    url = expecting(server, tmp_path)
    assert post(url, a_body(6, at="2026-11-30T12:00:06Z")) == 200
    assert post(url, a_body(5, at="2026-11-30T14:00:05+02:00")) == 200
    newest = server.newest()
    assert newest is not None
    assert newest.step == 6


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        a_body(at="yesterday"),
        a_body(at="2026-11-30T12:00:00"),
        a_body(progressPercentage=101),
        a_body(estimatedRemainingSeconds=-1),
        a_body(metrics=[{"name": "x", "value": 1}]),
    ],
)
def test_what_is_no_report_is_refused(server: ProgressServer, tmp_path: Path, body: bytes) -> None:
    assert post(expecting(server, tmp_path), body) == 422
    assert server.newest() is None


def test_a_report_that_is_too_large_is_not_read(server: ProgressServer, tmp_path: Path) -> None:
    url = expecting(server, tmp_path)
    host, port = url.removeprefix("http://").removesuffix("/progress").split(":")
    for said, code in ((str(MAX_BODY_BYTES + 1), b" 413 "), ("-1", b" 400 "), ("many", b" 400 ")):
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(f"POST /progress HTTP/1.1\r\nHost: x\r\nContent-Length: {said}\r\n\r\n".encode())
            assert code in client.recv(100)


def test_a_client_that_goes_away_harms_nobody(
    server: ProgressServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = expecting(server, tmp_path)
    host, port = url.removeprefix("http://").removesuffix("/progress").split(":")
    for start in (b"", b"POST /progress HTTP/1.1\r\n", b"POST /progress HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"):
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(start)
    assert post(url, a_body()) == 200
    assert capsys.readouterr() == ("", "")


def test_it_listens_on_the_loopback_alone_and_its_token_is_for_its_owner(server: ProgressServer, tmp_path: Path) -> None:
    url = expecting(server, tmp_path)
    assert url.startswith("http://127.0.0.1:")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert (tmp_path / "token").read_text(encoding="utf-8") == "secret"


def test_closing_ends_its_thread(tmp_path: Path) -> None:
    before = {thread.ident for thread in threading.enumerate()}
    made = ProgressServer()
    url = expecting(made, tmp_path)
    made.close()
    with pytest.raises(OSError, match="refused"):
        post(url, a_body())
    left = [thread for thread in threading.enumerate() if thread.ident not in before and thread.name == "progress-server"]
    for thread in left:
        thread.join(60)
    assert not any(thread.is_alive() for thread in left)
