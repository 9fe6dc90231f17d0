"""Reports over real TLS, from pods that are who they say and from pods that are not."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from builders import NOON, after
from fakes import Clock, FakeCluster, Fault, stamp
from finetune_api import meta
from finetune_api.contract.progress import ProgressReport
from finetune_api.errors import ClusterError
from finetune_operator.kinds import CONFIG_MAP, POD, SECRET, Manifest, Ref
from finetune_operator.membership import Members
from finetune_operator.progress_server import ProgressServer
from finetune_operator.queue import Key
from finetune_operator.reports import Reporter, Reports
from finetune_operator.tls import Certificates

KEY = Key("ml", "support")


@dataclass
class Place:
    """A cluster with one job whose first training attempt runs, and the server."""

    clock: Clock = field(default_factory=Clock)
    results: Counter[str] = field(default_factory=Counter)
    flushed: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    server_settings: dict[str, Any] = field(default_factory=dict)
    cluster: FakeCluster = field(init=False)
    port: int = 0

    def __post_init__(self) -> None:
        self.cluster = FakeCluster(self.clock)
        self.job = self.cluster.submit()
        self.attempts({"stage": "train", "number": 1, "startedAt": stamp(NOON)})
        self.token = self.a_pod("support-train-1", attempt="1")
        self.members = Members(self.cluster, audience="progress", monotonic=self.clock.monotonic)
        self.reports = Reports(
            self.cluster, monotonic=self.clock.monotonic, wall=lambda: after(hours=1), count=lambda r: self.flushed.update([r])
        )
        secret = Ref(SECRET, "finetune-system", "ca")
        clocks = {"clock": self.clock.real, "monotonic": self.clock.monotonic}
        self.certificates = Certificates(self.cluster, secret, "finetune-ca", ("localhost",), **clocks)
        self.server = ProgressServer(
            self.members,
            self.reports,
            monotonic=self.clock.monotonic,
            count=lambda result: self.results.update([result]),
            count_refused=lambda reason: self.cut.update([reason]),
            **self.server_settings,
        )

    def attempts(self, *attempts: Manifest) -> None:
        raw = self.cluster.objects[self.job]
        raw["status"] = {**(raw.get("status") or {}), "attempts": list(attempts)}
        self.cluster.put(raw)

    def a_pod(self, child: str, *, attempt: str, job: str = "support", owner: str | None = None, uid: str | None = None) -> str:
        """A child Job with a pod; returns the pod's token."""
        labels = {meta.JOB_LABEL: job, meta.STAGE_LABEL: "train", meta.ATTEMPT_LABEL: attempt}
        parent = owner or self.cluster.objects[self.job]["metadata"]["uid"]
        stored = self.cluster.put(an_object("batch/v1", "Job", child, labels, parent))
        self.cluster.put(an_object("v1", "Pod", f"{child}-0", labels, uid or stored["metadata"]["uid"]))
        return self.a_token(f"{child}-0")

    def a_token(self, pod: str, *, namespace: str = "ml", audiences: tuple[str, ...] = ("progress",)) -> str:
        uid = self.cluster.objects[Ref(POD, "ml", pod)]["metadata"]["uid"]
        token = f"token-of-{pod}-{namespace}-{'-'.join(audiences)}"
        extra = {"authentication.kubernetes.io/pod-name": [pod], "authentication.kubernetes.io/pod-uid": [uid]}
        user = {"username": f"system:serviceaccount:{namespace}:default", "extra": extra}
        self.cluster.reviews[token] = {"authenticated": True, "audiences": list(audiences), "user": user}
        return token

    async def post(self, body: Any = None, *, token: str | None = None, job: str = "support", raw: bytes | None = None) -> int:
        """One report as a trainer sends it; returns the HTTP status."""
        return await asyncio.to_thread(self._post, a_report() if body is None else body, token or self.token, job, raw)

    def _post(self, body: Any, token: str, job: str, raw: bytes | None) -> int:
        context = ssl.create_default_context(cadata=self.certificates.trusted)
        path = meta.PROGRESS_PATH.format(namespace="ml", name=job)
        request = urllib.request.Request(
            f"https://localhost:{self.port}{path}",
            data=raw if raw is not None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, context=context, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def an_object(api: str, kind: str, name: str, labels: dict[str, str], owner: str) -> Manifest:
    owners = [{"uid": owner, "controller": True}]
    metadata = {"name": name, "namespace": "ml", "labels": labels, "ownerReferences": owners}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": {}}


def a_report(step: int = 10, *, second: int = 0, percent: int = 5, **metrics: float) -> Manifest:
    numbers = {"current_step": step, "total_steps": 100, "loss": 1.25, **metrics}
    return {
        "trainerStatus": {
            "lastUpdatedTime": f"2026-11-30T12:00:{second:02d}.000000+00:00",
            "progressPercentage": percent,
            "estimatedRemainingSeconds": 60,
            "metrics": [{"name": name, "value": str(value)} for name, value in numbers.items()],
        }
    }


def at_a_server(test: Callable[[Place], Awaitable[None]], **settings: Any) -> Place:
    """Run a test against a server of its own."""

    async def body() -> Place:
        place = Place(server_settings=settings)
        await place.certificates.look()
        place.port = await place.server.start("127.0.0.1", 0, place.certificates.context)
        try:
            await asyncio.wait_for(test(place), 20)
        finally:
            await place.server.stop()
        return place

    return asyncio.run(body())


def test_a_report_reaches_the_status() -> None:
    async def test(place: Place) -> None:
        assert await place.post() == 200
        await place.reports.flush()
        progress = place.cluster.status(place.job).progress
        assert progress is not None
        assert (progress.step, progress.total_steps, progress.percent, progress.loss, progress.eta) == (10, 100, 5, 1.25, "1m")

    place = at_a_server(test)
    assert place.results == {"taken": 1}
    assert place.flushed == {"written": 1}


def test_a_token_is_reviewed_once_a_minute_and_its_pod_looked_up_once() -> None:
    async def test(place: Place) -> None:
        for second in range(10):
            assert await place.post(a_report(second=second)) == 200
        assert place.cluster.calls.count("review_token") == 1
        assert sum(call.startswith("get Pod") for call in place.cluster.calls) == 1
        place.clock.pass_by(seconds=61)
        assert await place.post(a_report(second=20)) == 200
        assert place.cluster.calls.count("review_token") == 2

    at_a_server(test)


def test_forged_foreign_and_missing_tokens_are_refused_and_have_no_effect() -> None:
    async def test(place: Place) -> None:
        assert await place.post(token="forged") == 401
        assert await place.post(token=place.a_token("support-train-1-0", audiences=("api",))) == 401
        assert await place.post(token=place.a_token("support-train-1-0", namespace="elsewhere")) == 403
        assert place.reports.newest(KEY) is None

    place = at_a_server(test)
    assert place.results == {"not_authenticated": 2, "not_a_member": 1}


def test_a_pod_of_another_job_or_with_made_up_labels_is_refused() -> None:
    async def test(place: Place) -> None:
        place.cluster.submit("other")
        assert await place.post(job="other") == 403, "its own token, another job"
        assert await place.post(token=place.a_pod("support-train-7", attempt="7", owner="somebody")) == 403
        place.cluster.put(an_object("v1", "Pod", "mole", dict(TRAIN), "nobody"))
        assert await place.post(token=place.a_token("mole")) == 403, "labels alone make no member"
        assert place.reports.newest(KEY) is None

    at_a_server(test)


TRAIN = {meta.JOB_LABEL: "support", meta.STAGE_LABEL: "train", meta.ATTEMPT_LABEL: "1"}


def test_the_token_of_a_pod_that_was_replaced_is_refused() -> None:
    async def test(place: Place) -> None:
        place.cluster.objects[Ref(POD, "ml", "support-train-1-0")]["metadata"]["uid"] = "another"
        assert await place.post() == 403

    at_a_server(test)


def test_bodies_that_are_too_large_or_no_report_are_refused() -> None:
    async def test(place: Place) -> None:
        assert await place.post(raw=b"x" * (64 * 1024 + 1)) == 413
        assert await place.post({"trainerStatus": {"progressPercentage": 5}}) == 422
        assert await place.post(raw=b"[") == 422
        assert await place.post() == 200, "the next one is not held against them"

    place = at_a_server(test)
    assert place.results == {"too_large": 1, "not_understood": 2, "taken": 1}


def test_numbers_that_are_none_are_dropped_and_the_rest_is_kept() -> None:
    async def test(place: Place) -> None:
        assert await place.post(a_report(loss=float("nan"))) == 200
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert (newest.step, newest.loss) == (10, None)

    at_a_server(test)


def test_one_job_that_reports_too_often_is_held_back_and_others_are_not() -> None:
    async def test(place: Place) -> None:
        other = place.cluster.submit("other")
        owner = place.cluster.objects[other]["metadata"]["uid"]
        token = place.a_pod("other-train-1", attempt="1", job="other", owner=owner)
        assert [await place.post() for _ in range(6)] == [200, 200, 200, 429, 429, 429]
        assert await place.post(job="other", token=token) == 200
        place.clock.pass_by(seconds=1)
        assert await place.post() == 200

    at_a_server(test, per_second=1.0, burst=3)


def test_too_many_connections_of_one_address_are_cut_off() -> None:
    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        held = []
        for _ in range(8):
            reader, writer = await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost")
            held.append((reader, writer))
        await asyncio.sleep(0.1)
        assert place.cut == {"too_many_of_one": 4}
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.1)
        assert await place.post() == 200, "room again"

    at_a_server(test, connections=(100, 4))


def test_a_connection_that_says_nothing_is_cut_off() -> None:
    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        reader, writer = await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost")
        writer.write(b"POST / HTTP/1.1\r\nHost: ")
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()

    place = at_a_server(test, connection_seconds=0.2)
    assert place.cut == {"too_long": 1}


def test_an_api_server_that_does_not_answer_is_no_refusal_of_the_token() -> None:
    async def test(place: Place) -> None:
        place.cluster.fault = Fault(len(place.cluster.calls) + 1, "before", ClusterError)
        assert await place.post() == 503
        assert await place.post() == 200

    at_a_server(test)


# ---------------------------------------------------------------- from memory into the status


def test_an_older_report_never_follows_a_newer_one() -> None:
    async def test(place: Place) -> None:
        assert await place.post(a_report(20, second=30)) == 200
        assert await place.post(a_report(10, second=10)) == 200
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert newest.step == 20

    at_a_server(test)


def test_a_pod_whose_clock_is_ahead_reports_as_of_now() -> None:
    async def test(place: Place) -> None:
        report = a_report()
        report["trainerStatus"]["lastUpdatedTime"] = "2036-01-01T00:00:00Z"
        assert await place.post(report) == 200
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert newest.updated_at == after(hours=1)

    at_a_server(test)


def test_a_status_that_cannot_be_read_ends_nothing() -> None:
    async def test(place: Place) -> None:
        await place.post()
        place.cluster.objects[place.job]["status"]["attempts"] = "none"
        await place.reports.flush()

    place = at_a_server(test)
    assert place.flushed == {"error": 1}


def test_a_job_is_written_every_few_seconds_at_most() -> None:
    async def test(place: Place) -> None:
        for second in range(5):
            await place.post(a_report(second, second=second))
            await place.reports.flush()
            place.clock.pass_by(seconds=1)
        assert place.flushed == {"written": 1}
        place.clock.pass_by(seconds=1)
        await place.reports.flush()
        assert place.flushed == {"written": 2}
        assert sum(call.startswith("get FineTuneJob") for call in place.cluster.calls) == 2, "once for membership, once to look"

    at_a_server(test)


def test_what_an_attempt_says_that_is_over_gets_nowhere() -> None:
    async def test(place: Place) -> None:
        await place.post()
        over = {"stage": "train", "number": 1, "startedAt": stamp(NOON), "finishedAt": stamp(NOON), "reason": "Stall"}
        place.attempts(over, {"stage": "train", "number": 2})
        await place.reports.flush()
        assert place.cluster.status(place.job).progress is None

    place = at_a_server(test)
    assert place.flushed == {"stale": 1}


def test_an_attempt_that_ends_between_two_writes_does_not_get_the_second() -> None:
    async def test(place: Place) -> None:
        await place.post()
        await place.reports.flush()
        over = {"stage": "train", "number": 1, "startedAt": stamp(NOON), "finishedAt": stamp(NOON), "reason": "Stall"}
        raw = place.cluster.objects[place.job]
        raw["status"].pop("progress")
        place.attempts(over, {"stage": "train", "number": 2})
        await place.post(a_report(50, second=40))
        place.clock.pass_by(seconds=6)
        await place.reports.flush()
        await place.reports.flush()
        assert place.cluster.status(place.job).progress is None

    place = at_a_server(test)
    assert place.flushed == {"written": 1, "conflict": 1, "stale": 1}


def test_what_another_replica_wrote_later_stays() -> None:
    async def test(place: Place) -> None:
        await place.post(a_report(10, second=10))
        raw = place.cluster.objects[place.job]
        raw["status"]["progress"] = {"step": 30, "updatedAt": "2026-11-30T12:00:30Z"}
        await place.reports.flush()
        progress = place.cluster.status(place.job).progress
        assert progress is not None
        assert progress.step == 30

    place = at_a_server(test)
    assert place.flushed == {"older": 1}


def test_the_time_left_after_a_resume_counts_the_steps_of_this_attempt_alone() -> None:
    async def test(place: Place) -> None:
        await place.post(a_report(80, second=0))
        await place.post(a_report(90, second=50))
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert newest.eta_seconds == 50, "10 steps took 50 s, and 10 are left"

    at_a_server(test)


def test_more_jobs_than_a_second_may_write_take_turns() -> None:
    clock = Clock()
    cluster = FakeCluster(clock)
    written: list[str] = []
    reports = Reports(cluster, monotonic=clock.monotonic, wall=lambda: after(hours=1), per_second=3)
    place = Place()
    for number in range(7):
        reporter = place_reporter(cluster, f"job-{number}")
        reports.take(reporter, ProgressReport.model_validate(a_report()).trainer_status)

    async def turns() -> None:
        for _ in range(3):
            before = len(cluster.statuses)
            await reports.flush()
            written.append(str(len(cluster.statuses) - before))
            clock.pass_by(seconds=1)

    asyncio.run(turns())
    assert written == ["3", "3", "1"]
    assert place.cluster.statuses == []


def place_reporter(cluster: FakeCluster, name: str) -> Reporter:
    ref = cluster.submit(name)
    raw = cluster.objects[ref]
    raw["status"]["attempts"] = [{"stage": "train", "number": 1}]
    return Reporter(Key("ml", name), raw["metadata"]["uid"], "train", 1, "pod")


# ---------------------------------------------------------------- certificates


def test_every_namespace_is_told_whom_to_trust_and_only_once() -> None:
    async def test(place: Place) -> None:
        for _ in range(3):
            await place.certificates.publish("ml")
        assert place.cluster.objects[Ref(CONFIG_MAP, "ml", "finetune-ca")]["data"] == {"ca.crt": place.certificates.trusted}
        assert [call.split()[0] for call in place.cluster.calls if "ConfigMap" in call] == ["get", "create"]

    at_a_server(test)


def test_a_stranger_s_config_map_is_left_alone() -> None:
    async def test(place: Place) -> None:
        stranger = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "finetune-ca", "namespace": "ml"}}
        place.cluster.put({**stranger, "data": {"theirs": "1"}})
        with pytest.raises(ClusterError, match="belongs to somebody else"):
            await place.certificates.publish("ml")
        assert place.cluster.objects[Ref(CONFIG_MAP, "ml", "finetune-ca")]["data"] == {"theirs": "1"}

    at_a_server(test)


def test_two_replicas_share_one_authority() -> None:
    async def test(place: Place) -> None:
        arguments = (place.cluster, place.certificates.secret, "finetune-ca", ("localhost",))
        second = Certificates(*arguments, clock=place.clock.real, monotonic=place.clock.monotonic)
        await second.look()
        assert second.trusted == place.certificates.trusted

    at_a_server(test)


def test_a_pod_meets_no_signer_it_was_not_told_of() -> None:
    """Over four years of looking every hundred days: whoever signs today was trusted at the last look already."""
    clock = Clock()

    async def test() -> None:
        cluster = FakeCluster(clock)
        one = Certificates(cluster, Ref(SECRET, "s", "ca"), "ca", ("localhost",), clock=clock, monotonic=clock.monotonic)
        await one.look()
        signers = set()
        trusted = one.trusted
        for _ in range(15):
            clock.pass_by(days=100)
            await one.look()
            assert one._authority is not None
            assert one._authority.current.certificate in trusted
            assert one.seconds_left() > 0
            signers.add(one._authority.current.certificate)
            trusted = one.trusted
        assert len(signers) >= 3, "it is renewed at all"

    asyncio.run(test())


def test_the_certificate_is_renewed_while_the_server_runs() -> None:
    async def test(place: Place) -> None:
        first = place.certificates._certificate
        assert await place.post() == 200
        await place.certificates.look()
        assert place.certificates._certificate is first
        place.clock.ahead = 25 * 86400
        await place.certificates.look()
        assert place.certificates._certificate is not first

    at_a_server(test)
