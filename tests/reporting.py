"""A progress server over real TLS on a cluster in memory, with one job whose pod may report."""

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

from builders import NOON, after
from fakes import Clock, FakeCluster, stamp
from finetune_api import meta
from finetune_operator.kinds import POD, SECRET, Manifest, Ref
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
            with urllib.request.urlopen(request, context=context, timeout=60) as answer:
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
            await asyncio.wait_for(test(place), 120)
        finally:
            await place.server.stop()
        return place

    return asyncio.run(body())


def place_reporter(cluster: FakeCluster, name: str) -> Reporter:
    ref = cluster.submit(name)
    raw = cluster.objects[ref]
    raw["status"]["attempts"] = [{"stage": "train", "number": 1}]
    return Reporter(Key("ml", name), raw["metadata"]["uid"], "train", 1)
