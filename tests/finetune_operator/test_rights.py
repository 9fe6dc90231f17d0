"""The chart grants what the operator asks for in a whole life: nothing is missing, and nothing is there to be misused."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from builders import a_result
from finetune_api import meta
from finetune_api.contract.result import encode
from finetune_operator.tls import LABELS
from operating import FTJS, JOBS, LEASES, SECRETS, submit, the, until, with_an_operator
from ports import a_free_port
from reporting import a_report
from rights import RELEASE, SYSTEM, Grant, granted, needed
from servers.api import Answer, ApiServer

PODS, CONFIG_MAPS, EVENTS = ("v1", "pods"), ("v1", "configmaps"), ("events.k8s.io/v1", "events")
CA = f"{RELEASE}-progress-ca"
LONG_AGO = "2020-01-01T00:00:00Z"
AS_IN_THE_CHART = {"FINETUNE_CA_CONFIG_MAP": CA, "FINETUNE_CA_SECRET": CA, "FINETUNE_LEASE_NAME": RELEASE}


class Watched:
    """One job and the steps that people, nodes and pods take in its life."""

    def __init__(self, api: ApiServer, running: asyncio.Task[None], port: int) -> None:
        self.api, self.running, self.port = api, running, port

    async def child(self, stage: str, number: int) -> dict[str, Any]:
        found: dict[str, Any] = await until(lambda: the(self.api, JOBS, f"support-{stage}-{number}"), self.running)
        return found

    async def phase(self, wanted: str) -> None:
        await until(lambda: (the(self.api, FTJS, "support") or {})["status"].get("phase") == wanted, self.running)

    async def said(self, reason: str) -> None:
        events = self.api.objects
        await until(lambda: any(k[0] == EVENTS and e["reason"] == reason for k, e in tuple(events.items())), self.running)

    def policy(self, **policy: Any) -> None:
        job = the(self.api, FTJS, "support")
        assert job is not None
        self.api.put(FTJS, {**job, "spec": {**job["spec"], "runPolicy": policy}})

    def lose_an_answer(self, part: str) -> None:
        self.api.instead.append(Answer(500, 1, "POST", part, done=True))

    async def pod(self, stage: str, number: int, status: dict[str, Any]) -> dict[str, Any]:
        child = await self.child(stage, number)
        owners = [{"uid": child["metadata"]["uid"], "controller": True}]
        metadata = {"name": f"{stage}-{number}-pod", "labels": child["metadata"]["labels"], "ownerReferences": owners}
        return self.api.put(PODS, {"metadata": metadata, "status": status})

    async def finish(self, stage: str, number: int) -> None:
        ended = {"exitCode": 0, "message": encode(a_result(stage)), "finishedAt": "2026-11-30T12:00:00Z"}
        containers = [{"name": "trainer", "state": {"terminated": ended}}]
        await self.pod(stage, number, {"phase": "Succeeded", "containerStatuses": containers})
        over = {"conditions": [{"type": "Complete", "status": "True"}], "startTime": "2026-11-30T12:00:00Z"}
        self.api.put(JOBS, {**await self.child(stage, number), "status": over})

    async def report(self, pod: dict[str, Any]) -> int:
        """One report of this pod to the operator; the HTTP status."""
        names = {"pod-name": [pod["metadata"]["name"]], "pod-uid": [pod["metadata"]["uid"]]}
        extra = {f"authentication.kubernetes.io/{name}": value for name, value in names.items()}
        user = {"username": "system:serviceaccount:ml:default", "extra": extra}
        self.api.reviews["good"] = {"authenticated": True, "audiences": ["finetune.dev/progress"], "user": user}
        secret = the(self.api, SECRETS, CA, SYSTEM)
        assert secret is not None
        return await asyncio.to_thread(_post, self.port, base64.b64decode(secret["data"]["current.crt"]).decode())


def _post(port: int, trusted: str) -> int:
    context = ssl.create_default_context(cadata=trusted)
    context.check_hostname = False  # its names are those in the cluster
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
    path = meta.PROGRESS_PATH.format(namespace="ml", name="support")
    connection.request("POST", path, json.dumps(a_report()), {"Authorization": "Bearer good"})
    status = connection.getresponse().status
    connection.close()
    return status


def a_life(folder: Path) -> list[Grant]:
    """What was needed from the first start of an operator until its job was removed: it lacks pods, is suspended, loses its
    status, reports, and answers of the API server get lost on the way."""
    port, seen = a_free_port(), list[ApiServer]()

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        seen.append(api)
        job = Watched(api, running, port)
        submit(api, resources={"nodes": 2})
        child = await job.child("prepare", 1)
        api.put(JOBS, {**child, "status": {"startTime": LONG_AGO}})
        await until(lambda: api.counts["list events"], running)
        job.policy(suspend=True)
        await job.phase("Suspended")
        stored = the(api, FTJS, "support")
        assert stored is not None
        forgotten = {**stored["metadata"], "creationTimestamp": LONG_AGO}
        api.put(FTJS, {**stored, "metadata": forgotten, "status": {"observedGeneration": 0}})
        await job.phase("Suspended")
        job.lose_an_answer("/events.k8s.io/")
        job.policy()
        job.lose_an_answer("/services")
        await job.finish("prepare", 1)
        await job.child("train", 1)
        reporting = await job.pod("train", 1, {"phase": "Running"})
        assert await job.report(reporting) == 200
        await until(lambda: (the(api, FTJS, "support") or {})["status"].get("progress"), running)
        job.lose_an_answer("/configmaps")
        await job.finish("train", 1)
        job.lose_an_answer("/batch/v1/")
        await job.finish("evaluate", 1)
        await job.finish("publish", 1)
        await job.phase("Succeeded")
        await job.said("Succeeded")
        job.policy(ttlSecondsAfterFinished=0)
        await until(lambda: the(api, FTJS, "support") is None, running)
        await until(lambda: api.counts["patch leases"], running)

    with_an_operator(folder, story, **AS_IN_THE_CHART, FINETUNE_PROGRESS_PORT=str(port))
    return needs(seen[0])


def a_second_life(folder: Path) -> list[Grant]:
    """What an operator of one namespace needs that finds a Secret without a key and trust in an authority of long ago."""
    seen: list[ApiServer] = []

    def before(api: ApiServer) -> None:
        seen.append(api)
        api.put(SECRETS, {"metadata": {"name": CA, "namespace": SYSTEM}, "data": {}})
        api.put(CONFIG_MAPS, {"metadata": {"name": CA, "labels": LABELS}, "data": {"ca.crt": "old"}})

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)

    with_an_operator(folder, story, before=before, **AS_IN_THE_CHART, FINETUNE_WATCH_NAMESPACES='["ml"]')
    return needs(seen[0])


def needs(api: ApiServer) -> list[Grant]:
    found = [needed(method, url) for method, url, _, _ in api.requests]
    return [need for need in found if need is not None]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Grant], list[Grant]]:
    folder = tmp_path_factory.mktemp("operator")
    return a_life(folder), a_second_life(folder)


def test_everything_that_is_asked_for_is_granted(lives: tuple[list[Grant], list[Grant]]) -> None:
    for asked, grants in zip(lives, (granted(), granted(namespaces=("ml",))), strict=True):
        missing = {need for need in asked if not any(grant.allows(need) for grant in grants)}
        assert not missing


def test_everything_that_is_granted_is_asked_for(lives: tuple[list[Grant], list[Grant]]) -> None:
    asked = [need for life in lives for need in life]
    idle = {grant for grant in granted() if not any(grant.allows(need) for need in asked)}
    assert not idle


def test_no_secret_but_the_operator_s_own_is_ever_asked_for(lives: tuple[list[Grant], list[Grant]]) -> None:
    asked = {(need.where, need.name) for life in lives for need in life if need.resource == "secrets"}
    assert asked == {(SYSTEM, CA), (SYSTEM, "")}, "and the one without a name is its creation"
    grants = granted() | granted(namespaces=("ml",))
    assert {(g.where, g.name) for g in grants if g.resource == "secrets" and g.verb != "create"} == {(SYSTEM, CA)}
    assert {g.where for g in grants if g.resource == "secrets"} == {SYSTEM}
    assert not [g for g in grants if "*" in (g.group, g.resource, g.verb)]


def test_a_grant_for_one_name_does_not_cover_a_creation_or_a_list() -> None:
    one = Grant(SYSTEM, "", "secrets", "get", "a")
    assert one.allows(Grant(SYSTEM, "", "secrets", "get", "a"))
    assert not one.allows(Grant(SYSTEM, "", "secrets", "get", "b"))
    assert not one.allows(Grant("ml", "", "secrets", "get", "a"))
    assert not Grant("", "", "secrets", "list", "a").allows(Grant("", "", "secrets", "list"))


def test_the_operator_s_lease_is_its_own(lives: tuple[list[Grant], list[Grant]]) -> None:
    named = {(need.where, need.name) for life in lives for need in life if need.resource == LEASES[1]}
    assert named == {(SYSTEM, RELEASE), (SYSTEM, "")}
