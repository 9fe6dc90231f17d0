"""The whole process on an API server of ours: how it begins, stands by and ends, and what it leaves."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
from asyncio import selector_events
from pathlib import Path

import pytest

from finetune_api.errors import ClusterError
from finetune_operator.leading import Stopped
from operating import (
    ENVIRONMENT,
    FTJS,
    JOBS,
    LEASES,
    SECRETS,
    a_process,
    all_but_the_lease,
    retried,
    submit,
    the,
    until,
    until_calm,
    with_an_operator,
)
from ports import a_free_port
from servers.api import Answer, ApiServer
from servers.beside import beside


def test_a_job_is_taken_up_and_the_lease_is_given_back_at_the_end(tmp_path: Path) -> None:
    seen: list[ApiServer] = []

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        seen.append(api)
        submit(api, "before")
        await until(lambda: the(api, JOBS, "before-prepare-1"), running)
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        lease = the(api, LEASES, "finetune-operator", "system")
        assert lease is not None
        assert lease["spec"]["holderIdentity"].startswith("operator-0-")
        status = the(api, FTJS, "support")["status"]  # type: ignore[index]
        assert [(a["stage"], a["number"]) for a in status["attempts"]] == [("prepare", 1)]
        ca = the(api, ("v1", "configmaps"), "finetune-progress-ca")
        assert ca is not None
        assert "BEGIN CERTIFICATE" in ca["data"]["ca.crt"]
        await until_calm(api)
        before = all_but_the_lease(api)
        await asyncio.sleep(1)
        assert all_but_the_lease(api) == before, "idle, it only renews its lease"

    (error,) = with_an_operator(tmp_path, story)
    assert isinstance(error, Stopped)
    lease = the(seen[0], LEASES, "finetune-operator", "system")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    foreign = [
        o for (r, _, _), o in seen[0].objects.items() if r == FTJS and set(o["metadata"]) & {"finalizers", "annotations"}
    ]
    assert not foreign, "kopf writes nothing into the objects"


def test_whoever_keeps_a_connection_does_not_keep_the_lease(tmp_path: Path) -> None:
    """Prometheus stays connected between two scrapes: the next leader would wait until kopf has waited for that."""
    port = a_free_port()

    def scrape(connection: http.client.HTTPConnection) -> str:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()

    def lease() -> str:
        found = the(api.api, LEASES, "finetune-operator", "system") or {"spec": {}}
        return str(found["spec"].get("holderIdentity"))

    with beside(tmp_path) as api:
        own = {"FINETUNE_PROBE_PORT": str(port), "FINETUNE_LOG_LEVEL": "debug"}
        with a_process(api.kubeconfig, tmp_path / "log", **own):
            kept = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            retried(lambda: scrape(http.client.HTTPConnection("127.0.0.1", port, timeout=60)))
            retried(lambda: lease().startswith("operator-0") and api.do(lambda: api.api.counts["watch pods"]))
            assert "finetune_operator_leader 1.0" in scrape(kept)
        assert lease() == ""
    assert "Hung tasks stopping is skipped: no tasks given" in (tmp_path / "log").read_text(), "in kopf's words"


def test_a_process_whose_progress_server_lets_nobody_in_any_more_ends(tmp_path: Path) -> None:
    """It would lead, renew its lease and answer every probe, while the stall clocks of all jobs run out."""

    class Defect(Exception):
        pass

    async def broken(loop: asyncio.AbstractEventLoop, listener: socket.socket) -> tuple[socket.socket, object]:
        raise Defect

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: the(api, LEASES, "finetune-operator", "system"), running)
        # Nothing but the progress server accepts so; its next wait is for the second connection.
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(selector_events.BaseSelectorEventLoop, "sock_accept", broken)
            await asyncio.to_thread(lambda: socket.create_connection(("127.0.0.1", port), timeout=30).close())
            await asyncio.wait({running}, timeout=60)
        assert running.done()

    port = a_free_port()
    errors = with_an_operator(tmp_path, story, FINETUNE_PROGRESS_PORT=str(port))
    assert [type(error) for error in errors] == [Defect]


def test_a_second_replica_stands_by_and_stops_when_told(tmp_path: Path) -> None:
    def held(api: ApiServer) -> None:
        spec = {"holderIdentity": "another", "leaseDurationSeconds": 15, "renewTime": "2026-11-30T12:00:00.000000Z"}
        api.put(LEASES, {"metadata": {"name": "finetune-operator", "namespace": "system"}, "spec": spec})

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, SECRETS, "finetune-operator-progress-ca", "system"), running)
        await asyncio.sleep(0.5)
        assert the(api, JOBS, "support-prepare-1") is None
        assert api.counts["watch finetunejobs"] == 0

    (error,) = with_an_operator(tmp_path, story, before=held)
    assert isinstance(error, Stopped)


def test_an_api_server_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    """As after an outage in which the leader has ended: ended again, it would be started again ever more rarely."""

    def away(api: ApiServer) -> None:
        api.instead.append(Answer(503, 2, "GET", "/apis/finetune.dev/v1alpha1"))
        api.instead.append(Answer(500, 1, "GET", "/secrets/"))

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)

    (error,) = with_an_operator(tmp_path, story, before=away)
    assert isinstance(error, Stopped)


def test_told_to_stop_while_it_waits_for_the_api_server_it_stops(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: api.requests, running)

    (error,) = with_an_operator(tmp_path, story, before=lambda api: api.instead.append(Answer(503, 9999)))
    assert isinstance(error, Stopped)


def test_a_lease_that_may_not_be_taken_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The account lacks a right: every replica would stand by for ever, and say nothing."""

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: len([url for _, url, _, _ in api.requests if "leases" in url]) > 1, running)

    with_an_operator(tmp_path, story, before=lambda api: api.instead.append(Answer(403, 9999, "", "/leases")))
    told = [record for record in caplog.records if record.getMessage() == "the lease cannot be taken"]
    assert [record.__dict__["status"] for record in told] == [403]


def test_every_line_is_json_to_the_last(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text("{}")
    said = {**os.environ, **ENVIRONMENT, "FINETUNE_KUBECONFIG": str(tmp_path / "kubeconfig")}
    done = subprocess.run(
        [sys.executable, "-m", "finetune_operator.main"], env=said, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert lines[-1]["message"] == "ends on an error, to be started again"
    assert "traceback" in lines[-1]


def test_without_the_definition_it_says_so_and_ends(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await asyncio.wait({running}, timeout=120)

    def missing(api: ApiServer) -> None:
        api.instead.append(Answer(404, 99, "GET", "/apis/finetune.dev/v1alpha1"))

    (error,) = with_an_operator(tmp_path, story, before=missing)
    assert isinstance(error, ClusterError)
    assert "install the CRD first" in error.message
