"""An operator's process under attack: what is refused is counted, and a trainer that reports meanwhile notices nothing.

The attackers come from one address and the trainer from another, as pods do.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
import resource
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from finetune_api import meta
from operating import FTJS, JOBS, LEASES, SECRETS, a_process, retried, submit
from ports import a_free_port
from reporting import a_report
from servers.beside import Beside, beside

PODS = ("v1", "pods")
TRAINER = "127.0.0.2"
AUDIENCE = "finetune.dev/progress"


@dataclass
class Standby:
    """A replica that takes reports and does nothing else, in a process of its own."""

    api: Beside
    port: int
    probes: int
    log: Path

    def counted(self, family: str) -> dict[str, float]:
        """Label to count."""
        found = re.findall(
            rf'^finetune_operator_{family}_total{{\w+="(\w+)"}} ([\d.e+]+)$', self.read("/metrics"), re.MULTILINE
        )
        return {label: float(count) for label, count in found}

    @contextmanager
    def counting(self, family: str, **more: int) -> Iterator[None]:
        """In here so much is to be counted; some of it may come a little later."""
        before = self.counted(family)
        yield

        def difference() -> dict[str, float]:
            now = self.counted(family)
            return {label: count - before.get(label, 0) for label, count in now.items() if count != before.get(label, 0)}

        retried(lambda: more == difference())
        assert difference() == more

    def read(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.probes}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    @property
    def tls(self) -> ssl.SSLContext:
        key = (SECRETS, "system", "finetune-operator-progress-ca")
        stored = self.api.do(lambda: self.api.api.objects[key])
        context = ssl.create_default_context(cadata=base64.b64decode(stored["data"]["current.crt"]).decode())
        context.check_hostname = False  # its names are those in the cluster
        return context

    def report(
        self, token: str, *, job: str = "support", address: str = TRAINER, body: bytes | None = None, path: str = ""
    ) -> int:
        """The HTTP status of one report."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.tls, timeout=60, source_address=(address, 0)
        )
        where = path or meta.PROGRESS_PATH.format(namespace="ml", name=job)
        content = json.dumps(a_report()).encode() if body is None else body
        connection.request("POST", where, content, {"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def pod(self, job: str, attempt: int = 1, **review: Any) -> str:
        """A training pod of this job; returns its token."""
        name = f"{job}-train-{attempt}"
        labels = {meta.JOB_LABEL: job, meta.STAGE_LABEL: "train", meta.ATTEMPT_LABEL: str(attempt)}
        child = self.api.put(JOBS, {"metadata": {"name": name, "labels": labels, "ownerReferences": owned_by(self.job(job))}})
        pod = self.api.put(PODS, {"metadata": {"name": f"{name}-0", "labels": labels, "ownerReferences": owned_by(child)}})
        return self.token(pod, **review)

    def token(self, pod: dict[str, Any], *, audience: str = AUDIENCE, valid: bool = True) -> str:
        token = f"token-{len(self.api.api.reviews)}-{pod['metadata']['name']}"
        names = {"pod-name": [pod["metadata"]["name"]], "pod-uid": [pod["metadata"]["uid"]]}
        extra = {f"authentication.kubernetes.io/{name}": value for name, value in names.items()}
        user = {"username": "system:serviceaccount:ml:default", "extra": extra}
        self.api.api.reviews[token] = {"authenticated": valid, "audiences": [audience], "user": user}
        return token

    def job(self, name: str, *attempts: dict[str, Any]) -> dict[str, Any]:
        """A job that trains."""
        found = self.api.api.objects.get((FTJS, "ml", name))
        if found and not attempts:
            return found
        status = {"phase": "Training", "attempts": attempts or ({"stage": "train", "number": 1},)}
        return self.api.put(FTJS, {"metadata": {"name": name}, "status": status})

    def progress(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.api.objects[FTJS, "ml", name]["status"].get("progress") or {}
        return found


def owned_by(owner: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"uid": owner["metadata"]["uid"], "controller": True}]


@pytest.fixture(scope="module")
def standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standby]:
    folder = tmp_path_factory.mktemp("standby")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard < 0 else max(soft, min(hard, 8192)), hard))
    ports = a_free_port(), a_free_port()
    own = {"FINETUNE_PROGRESS_SECONDS": "0.1"}
    own |= {"FINETUNE_PROGRESS_PORT": str(ports[0]), "FINETUNE_PROBE_PORT": str(ports[1])}
    with beside(folder) as api:
        held = {"holderIdentity": "another", "leaseDurationSeconds": 9999, "renewTime": "2026-11-30T12:00:00.000000Z"}
        api.put(LEASES, {"metadata": {"name": "finetune-operator", "namespace": "system"}, "spec": held})
        found = Standby(api, *ports, folder / "log")
        with a_process(api.kubeconfig, found.log, **own):
            retried(lambda: found.read("/readyz"))
            yield found


@pytest.fixture
def good(standby: Standby) -> str:
    """Token of the trainer whose reports have to arrive."""
    standby.job("support")
    return standby.pod("support")


def run(attack: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(attack, 120))


async def connect(standby: Standby, *, tls: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", standby.port, ssl=standby.tls if tls else None)


def head(token: str, length: str, *, job: str = "other") -> bytes:
    path = meta.PROGRESS_PATH.format(namespace="ml", name=job)
    return f"POST {path} HTTP/1.1\r\nHost: operator\r\nAuthorization: Bearer {token}\r\n{length}\r\n\r\n".encode()


async def status(reader: asyncio.StreamReader) -> int:
    return int((await reader.readline()).split()[1])


# ---------------------------------------------------------------- who


def test_tokens_that_are_none_of_the_job_s_are_refused(standby: Standby, good: str) -> None:
    standby.job("other")
    foreign = standby.pod("other")
    forged = standby.pod("support", audience="https://kubernetes.default.svc")
    with standby.counting("progress_reports", not_a_member=1, not_authenticated=2, no_token=1, taken=1):
        assert standby.report(foreign) == 403, "the token of another job's pod"
        assert standby.report(forged) == 401, "made for another audience"
        assert standby.report("made-up") == 401
        assert standby.report("") == 401
        assert standby.report(good) == 200
    retried(lambda: standby.progress("support").get("step") == 10)
    assert standby.progress("other") == {}


def test_a_token_outlives_its_pod_to_no_effect(standby: Standby) -> None:
    standby.job("replayed")
    known, kept = standby.pod("replayed"), standby.pod("replayed")
    assert standby.report(known, job="replayed") == 200
    retried(lambda: standby.progress("replayed").get("step") == 10)
    standby.api.drop(PODS, "replayed-train-1-0")
    second = standby.pod("replayed", 2)
    ended = {"stage": "train", "number": 1, "finishedAt": "2026-11-30T12:00:00Z"}
    standby.job("replayed", ended, {"stage": "train", "number": 2})
    assert standby.report(second, job="replayed", body=report_of(3)) == 200
    retried(lambda: standby.progress("replayed").get("step") == 3)
    standby.report(known, job="replayed", body=report_of(99))
    standby.api.api.reviews[kept] = {"authenticated": False}
    with standby.counting("progress_reports", not_authenticated=1):
        assert standby.report(kept, job="replayed", body=report_of(99)) == 401, "the API server knows that the pod is gone"
    assert standby.report(second, job="replayed", body=report_of(4)) == 200
    retried(lambda: standby.progress("replayed").get("step") == 4)


def report_of(step: int) -> bytes:
    return json.dumps(a_report(step)).encode()


# ---------------------------------------------------------------- what


def test_bodies_of_ten_megabytes_are_not_read(standby: Standby, good: str) -> None:
    standby.job("other")
    foreign = standby.pod("other")

    async def attack() -> None:
        known, piece = await connect(standby), b"10000\r\n" + b"x" * 65536 + b"\r\n"
        known[1].write(head(foreign, f"Content-Length: {10 << 20}"))
        assert await status(known[0]) == 413
        unknown = await connect(standby)
        unknown[1].write(head(foreign, "Transfer-Encoding: chunked"))
        try:
            for _ in range(160):
                unknown[1].write(piece)
                await unknown[1].drain()
        except ConnectionError:
            pass  # cut off in the middle
        else:
            assert await status(unknown[0]) == 413
        for _, writer in (known, unknown):
            writer.close()

    with standby.counting("progress_reports", too_large=2, taken=1):
        run(attack())
        assert standby.report(good) == 200


def test_what_is_no_report_no_http_and_no_tls_is_counted_and_answered(standby: Standby, good: str) -> None:
    async def attack() -> None:
        for nonsense in (
            b"\x00\xff\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST / HTTP/1.1\r\n" + b"A: " + b"x" * 100_000 + b"\r\n\r\n",
        ):
            reader, writer = await connect(standby)
            writer.write(nonsense)
            assert await status(reader) == 400
            writer.close()
        reader, writer = await connect(standby, tls=False)
        writer.write(b"GET / HTTP/1.1\r\nHost: operator\r\n\r\n")
        await reader.read()
        writer.close()

    refusals = standby.counting("progress_connections_refused", no_request=3, no_tls=1)
    with refusals, standby.counting("progress_reports", not_understood=2, not_found=1, taken=1):
        run(attack())
        assert standby.report(good, body=b'{"trainerStatus": ') == 422
        assert standby.report(good, body=b'{"trainerStatus": {"progressPercentage": "much"}}') == 422
        assert standby.report(good, path="/apis") == 404
        assert standby.report(good) == 200


# ---------------------------------------------------------------- how many, how slowly


def test_slow_senders_hold_nobody_up(standby: Standby, good: str) -> None:
    standby.job("other")
    foreign = standby.pod("other")

    async def attack() -> None:
        bodies = [await connect(standby) for _ in range(10)]
        heads = [await connect(standby) for _ in range(40)]
        for _, writer in bodies:
            writer.write(head(foreign, "Content-Length: 100") + b"{")
        for _, writer in heads:
            writer.write(b"POST / HTTP/1.1\r\nHost: ")
        assert await asyncio.to_thread(standby.report, good) == 200
        assert [await status(reader) for reader, _ in bodies] == [400] * 10
        for _, writer in (*bodies, *heads):
            writer.close()

    with (
        standby.counting("progress_connections_refused", no_request=40),
        standby.counting("progress_reports", unread=10, taken=1),
    ):
        run(attack())


def test_a_thousand_connections_at_once_of_one_pod_keep_nobody_else_out(standby: Standby, good: str) -> None:
    async def attack() -> None:
        async with asyncio.TaskGroup() as group:
            held = [group.create_task(asyncio.open_connection("127.0.0.1", standby.port)) for _ in range(1000)]
        assert await asyncio.to_thread(standby.report, good) == 200
        for task in held:
            task.result()[1].close()

    before = standby.counted("progress_connections_refused")
    run(attack())

    def refused() -> dict[str, float]:
        return {
            reason: count - before.get(reason, 0) for reason, count in standby.counted("progress_connections_refused").items()
        }

    retried(lambda: sum(refused().values()) == 1000)
    assert refused()["too_many_of_one"] + refused()["no_tls"] == 1000
    assert refused()["no_tls"] < 500, "most never got as far as TLS"


def test_many_pods_that_only_hold_connections_keep_no_trainer_out(standby: Standby, good: str) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 4096:
        pytest.skip("this machine does not allow a process so many connections")

    async def attack() -> None:
        async with asyncio.TaskGroup() as group:
            held = [
                group.create_task(
                    asyncio.open_connection("127.0.0.1", standby.port, local_addr=(f"127.0.1.{1 + number % 40}", 0))
                )
                for number in range(2400)
            ]
        assert await asyncio.to_thread(standby.report, good) == 200
        for task in held:
            task.result()[1].close()

    run(attack())


def test_the_log_says_nothing_of_tokens_and_nothing_broke(standby: Standby) -> None:
    said = standby.log.read_text()
    assert "token-" not in said
    assert "Traceback" not in said
    assert '"level": "error"' not in said
    assert standby.read("/healthz") == "ok\n"


# ---------------------------------------------------------------- manifests


@pytest.fixture
def as_deep_as_the_api_server() -> Iterator[int]:
    """Levels of JSON that Go reads and writes; the server of these tests does then, too."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(40_000)
    yield 9_900
    sys.setrecursionlimit(before)


def test_a_manifest_as_deep_as_the_api_server_takes_it_blinds_nobody(tmp_path: Path, as_deep_as_the_api_server: int) -> None:
    deep: dict[str, Any] = {}
    for _ in range(as_deep_as_the_api_server):
        deep = {"a": deep}
    with beside(tmp_path) as api:

        def phase() -> object:
            return api.api.objects[FTJS, "ml", "bottomless"]["status"].get("phase")

        with a_process(api.kubeconfig, tmp_path / "log"):
            submit(api, "before")
            retried(lambda: (JOBS, "ml", "before-prepare-1") in api.api.objects)
            submit(api, "bottomless", scheduling={"affinity": deep})
            retried(lambda: phase() == "Failed")
            submit(api, "support")
            retried(lambda: (JOBS, "ml", "support-prepare-1") in api.api.objects)
        assert (JOBS, "ml", "support-prepare-1") in api.api.objects, (tmp_path / "log").read_text()[-3000:]
        assert phase() == "Failed"
        with a_process(api.kubeconfig, tmp_path / "log-again"):
            submit(api, "after")
            retried(lambda: (JOBS, "ml", "after-prepare-1") in api.api.objects)
        assert (JOBS, "ml", "after-prepare-1") in api.api.objects, "the next one lists it"
