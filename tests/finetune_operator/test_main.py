"""The whole process with kopf in it, on an API server of ours: what wakes it, what ends it, what it leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import a_manifest
from finetune_api.errors import ClusterError, InvalidSpec
from finetune_operator import main
from finetune_operator.lease import LeaseLost
from finetune_operator.queue import Key, WorkQueue
from finetune_operator.settings import Settings, read_settings
from finetune_operator.watches import Wakeups, wake_child, wake_job
from servers.api import Answer, ApiServer

FTJS, JOBS = ("finetune.dev/v1alpha1", "finetunejobs"), ("batch/v1", "jobs")
LEASES, SECRETS = ("coordination.k8s.io/v1", "leases"), ("v1", "secrets")
ENVIRONMENT = {
    "FINETUNE_NAMESPACE": "system",
    "FINETUNE_POD_NAME": "operator-0",
    "FINETUNE_TRAINER_IMAGE": "trainer",
    "FINETUNE_OPERATOR_LABELS": '{"app": "finetune-operator"}',
    "FINETUNE_PROBE_PORT": "0",
    "FINETUNE_PROGRESS_PORT": "0",
}
Story = Callable[[ApiServer, "asyncio.Task[None]"], Awaitable[None]]


def with_an_operator(
    folder: Path, story: Story, *, before: Callable[[ApiServer], None] = lambda api: None
) -> list[BaseException]:
    """Run an operator beside a story, then stop it; returns what it ended with."""

    async def body() -> list[BaseException]:
        async with ApiServer().serve() as api:
            before(api)
            stop = asyncio.Event()
            running = asyncio.create_task(main.Operator(settings_for(api, folder), stop).run())
            try:
                await asyncio.wait_for(story(api, running), 20)
            finally:
                stop.set()
                await asyncio.wait({running}, timeout=20)
            error = running.exception()
            return list(error.exceptions) if isinstance(error, BaseExceptionGroup) else [error] if error else []

    return asyncio.run(body())


def settings_for(api: ApiServer, folder: Path) -> Settings:
    cluster = {"name": "c", "cluster": {"server": api.url}}
    user = {"name": "u", "user": {"token": "secret"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "users": [user], "contexts": [context]}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump({**config, "current-context": "x"}))
    return read_settings({**ENVIRONMENT, "FINETUNE_KUBECONFIG": str(path)})


async def until(what: Callable[[], Any], running: asyncio.Task[None] | None = None) -> Any:
    while not (found := what()):
        if running is not None and running.done():
            running.result()
        await asyncio.sleep(0.02)
    return found


def submit(api: ApiServer, name: str = "support") -> None:
    api.put(FTJS, {**a_manifest(name), "status": {"observedGeneration": 0}})


def the(api: ApiServer, resource: tuple[str, str], name: str, namespace: str = "ml") -> dict[str, Any] | None:
    return api.objects.get((resource, namespace, name))


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
        await asyncio.sleep(0.3)
        before = sum(api.counts.values())
        await asyncio.sleep(1)
        assert sum(api.counts.values()) - before <= 2, "idle, it only renews its lease"

    (error,) = with_an_operator(tmp_path, story)
    assert isinstance(error, main.Stopped)
    lease = the(seen[0], LEASES, "finetune-operator", "system")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    foreign = [
        o for (r, _, _), o in seen[0].objects.items() if r == FTJS and set(o["metadata"]) & {"finalizers", "annotations"}
    ]
    assert not foreign, "kopf writes nothing into the objects"


def test_a_child_s_change_wakes_its_job(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        child = await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        await until(lambda: any(k[0] == ("events.k8s.io/v1", "events") for k in api.objects), running)
        await asyncio.sleep(0.3)
        failed = {
            "type": "Failed",
            "status": "True",
            "reason": "BackoffLimitExceeded",
            "lastTransitionTime": "2026-11-30T12:00:00Z",
        }
        api.put(JOBS, {**child, "status": {"conditions": [{**failed, "type": "FailureTarget"}, failed]}})
        await until(lambda: the(api, JOBS, "support-prepare-2"), running)

    with_an_operator(tmp_path, story)


def test_after_a_gap_in_the_watches_everything_is_looked_at_anew(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        api.expire_watches()
        submit(api, "meanwhile")
        await until(lambda: the(api, JOBS, "meanwhile-prepare-1"), running)

    with_an_operator(tmp_path, story)


def test_busy_answers_are_waited_out(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        api.instead += [
            Answer(429, 1, "POST", "/jobs", {"Retry-After": "1"}),
            Answer(500, 1, "PATCH", "finetunejobs"),
            Answer(409, 1, "PATCH", "finetunejobs"),
        ]
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        assert api.counts["post jobs"] == 1

    with_an_operator(tmp_path, story)


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
    assert isinstance(error, main.Stopped)


def test_a_leader_that_lost_the_lease_ends(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        lease = await until(lambda: the(api, LEASES, "finetune-operator", "system"), running)
        api.put(LEASES, {**lease, "spec": {**lease["spec"], "holderIdentity": "another"}})
        await asyncio.wait({running}, timeout=15)
        assert running.done()

    errors = with_an_operator(tmp_path, story)
    assert [type(error) for error in errors] == [LeaseLost]


def test_without_the_definition_it_says_so_and_ends(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await asyncio.wait({running}, timeout=5)

    def missing(api: ApiServer) -> None:
        api.instead.append(Answer(404, 99, "GET", "/apis/finetune.dev/v1alpha1"))

    (error,) = with_an_operator(tmp_path, story, before=missing)
    assert isinstance(error, ClusterError)
    assert "install the CRD first" in error.message


# ---------------------------------------------------------------- what wakes


def test_a_restart_asks_nothing_about_jobs_that_have_ended() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)
        wakeups = Wakeups(queue, lambda kind: None)
        over = {"status": {"phase": "Succeeded", "completionTime": "2026-11-30T12:00:00Z"}, "metadata": {"generation": 1}}
        wake_child(wakeups, Key("ml", "a"), "jobs", settled=True)
        wake_job(wakeups, Key("ml", "a"), over, None)
        wake_child(wakeups, Key("ml", "a"), "pods", settled=True)
        assert (queue.depth, len(queue._later)) == (0, 0)
        wake_child(wakeups, Key("ml", "a"), "jobs", settled=False)
        assert queue.depth == 1, "a child that still runs is looked at"
        wake_job(wakeups, Key("ml", "b"), {**over, "spec": {"runPolicy": {"ttlSecondsAfterFinished": 60}}}, None)
        wake_job(wakeups, Key("ml", "a"), over, "DELETED")
        assert Key("ml", "a") not in wakeups.ended, "a new job of its name is a new job"
        assert queue.depth == 2, "one that is to be removed too"

    asyncio.run(test())


def test_a_report_wakes_nobody_and_everything_else_does() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)
        wakeups, key = Wakeups(queue, lambda kind: None), Key("ml", "a")

        async def wakes(body: dict[str, Any], event: str | None = "MODIFIED") -> bool:
            wake_job(wakeups, key, body, event)
            if queue.depth == 0:
                return False
            queue.done(await queue.get() or key)
            return True

        job = {"metadata": {"uid": "u", "generation": 1}, "status": {"phase": "Training", "observedGeneration": 1}}
        reported = {**job, "status": {**job["status"], "progress": {"step": 7}}}
        assert await wakes(job, None)
        assert not await wakes(reported)
        assert await wakes(reported, None), "a listing after a gap says nothing of what was missed"
        assert await wakes({**reported, "metadata": {"uid": "u", "generation": 2}})
        assert await wakes({**reported, "status": {**reported["status"], "phase": "Pending"}})

    asyncio.run(test())


# ---------------------------------------------------------------- settings


def test_every_wrong_setting_is_named_at_once() -> None:
    wrong = {
        **ENVIRONMENT,
        "FINETUNE_WORKERS": "many",
        "FINETUNE_WROKERS": "4",
        "FINETUNE_OPERATOR_LABELS": "app=x",
        "FINETUNE_NAMESPACE": "",
    }
    with pytest.raises(InvalidSpec) as caught:
        read_settings(wrong)
    assert {problem.field for problem in caught.value.problems} == {
        "FINETUNE_WORKERS",
        "FINETUNE_WROKERS",
        "FINETUNE_OPERATOR_LABELS",
        "FINETUNE_NAMESPACE",
    }


def test_settings_reach_what_is_rendered() -> None:
    settings = read_settings(
        {**ENVIRONMENT, "FINETUNE_DNS_LABELS": json.dumps({"k8s-app": "coredns"}), "FINETUNE_FS_GROUP": "0"}
    )
    assert settings.render.progress_url == "https://finetune-operator-progress.system.svc:8443"
    assert settings.render.dns_labels == {"k8s-app": "coredns"}
    assert settings.render.fs_group is None
    assert settings.render.storage_class_name is None
