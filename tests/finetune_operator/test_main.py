"""The whole process with kopf in it, on an API server of ours: what wakes it, what ends it, what it leaves."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from builders import a_manifest
from finetune_api import meta
from finetune_api.errors import ClusterError, InvalidSpec
from finetune_operator import main, served
from finetune_operator.census import Census
from finetune_operator.lease import LeaseLost
from finetune_operator.queue import Key, WorkQueue
from finetune_operator.settings import read_settings
from finetune_operator.watches import Wakeups, wake_child, wake_job
from operating import (
    ENVIRONMENT,
    FTJS,
    JOBS,
    LEASES,
    SECRETS,
    a_free_port,
    a_process,
    all_but_the_lease,
    retried,
    submit,
    the,
    until,
    until_calm,
    with_an_operator,
)
from servers.api import Answer, ApiServer
from servers.beside import beside

PODS, WATCHED = ("v1", "pods"), ("finetunejobs", "jobs", "pods")


def scraped(port: int) -> str:
    """What Prometheus would read."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


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
    assert isinstance(error, main.Stopped)
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


def test_a_child_s_change_wakes_its_job(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        child = await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        await until(lambda: any(k[0] == ("events.k8s.io/v1", "events") for k in api.objects), running)
        await until_calm(api)
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


def test_a_job_that_was_deleted_in_a_gap_of_the_watches_is_not_counted_any_more(tmp_path: Path) -> None:
    """One team's are all gone, so that the listing says nothing of them at all."""
    port = a_free_port()

    def counted() -> dict[str, float]:
        families = text_string_to_metric_families(scraped(port))
        return {
            s.labels["phase"]: s.value for f in families for s in f.samples if s.name == "finetune_operator_jobs" and s.value
        }

    async def becomes(expected: dict[str, float], running: asyncio.Task[None]) -> None:
        while await asyncio.to_thread(counted) != expected:
            assert not running.done()
            await asyncio.sleep(0.05)

    def before(api: ApiServer) -> None:
        over = {"observedGeneration": 1, "phase": "Succeeded", "completionTime": "2026-11-30T12:00:00Z"}
        for namespace, name in (("ml", "kept"), ("ml", "gone"), ("team", "gone")):
            manifest = a_manifest(name)
            api.put(FTJS, {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}, "status": over})

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        await becomes({"Succeeded": 3.0, "Preparing": 1.0}, running)
        api.drop(FTJS, "gone", unseen=True)
        api.drop(FTJS, "gone", "team", unseen=True)
        api.drop(FTJS, "support", unseen=True)
        api.expire_watches()
        await becomes({"Succeeded": 1.0}, running)

    own = {"FINETUNE_PROBE_PORT": str(port), "FINETUNE_WATCH_NAMESPACES": '["ml", "team"]'}
    with_an_operator(tmp_path, story, before=before, **own)


def test_a_namespace_that_was_deleted_and_made_anew_is_told_again_whom_to_trust(tmp_path: Path) -> None:
    trust = (("v1", "configmaps"), "finetune-progress-ca")

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1") and the(api, *trust), running)
        await until_calm(api)
        for resource, namespace, name in list(api.objects):
            if namespace == "ml":
                api.drop(resource, name)
        await until_calm(api)
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        assert the(api, *trust)

    with_an_operator(tmp_path, story)


def test_a_namespace_that_is_gone_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    """A team has deleted its namespace, and the operator's Role in it; then it comes back."""
    port = a_free_port()

    def before(api: ApiServer) -> None:
        api.instead.append(Answer(403, 999, "GET", "/namespaces/gone/"))

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        await until_calm(api)
        assert len([url for _, url, _, _ in api.requests if "/namespaces/gone/" in url]) == 1
        assert "finetune_operator_namespaces_left_out 1.0" in await asyncio.to_thread(scraped, port)
        api.instead.clear()
        await asyncio.wait({running}, timeout=50)
        assert running.done()

    own = {"FINETUNE_WATCH_NAMESPACES": '["gone", "ml"]', "FINETUNE_PROBE_PORT": str(port)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(served, "AGAIN_SECONDS", 10.0)
        (error,) = with_an_operator(tmp_path, story, before=before, **own)
    assert isinstance(error, served.NamespaceFound)


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


def test_a_token_that_was_renewed_is_sent_before_the_old_one_is_refused(tmp_path: Path) -> None:
    """The kubelet renews it every hour; kopf alone would notice when it is refused."""

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: all(api.counts[f"watch {what}"] for what in WATCHED), running)
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(kubeconfig.read_text().replace("token: secret", "token: renewed"))
        begun = len(api.requests)
        api.expire_watches()
        await until(lambda: all(api.counts[f"watch {what}"] > 1 for what in WATCHED), running)
        sent = {headers.get("Authorization") for _, url, headers, _ in api.requests[begun:] if "leases" not in url}
        assert sent == {"Bearer renewed"}

    (error,) = with_an_operator(tmp_path, story)
    assert isinstance(error, main.Stopped)


@pytest.mark.parametrize("_", range(3))
def test_a_login_that_is_refused_ends_the_operator(tmp_path: Path, _: int) -> None:
    """More than once: whether kopf ends by itself then depends on what its watchers are doing."""

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: all(api.counts[f"watch {what}"] for what in WATCHED), running)
        api.instead.append(Answer(401, 9, "GET", "finetunejobs?"))
        api.expire_watches()
        await asyncio.wait({running}, timeout=50)
        assert running.done()

    (error,) = with_an_operator(tmp_path, story)
    assert isinstance(error, ClusterError)
    assert error.status == 401


def test_an_api_server_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    """As after an outage in which the leader has ended: ended again, it would be started again ever more rarely."""

    def away(api: ApiServer) -> None:
        api.instead.append(Answer(503, 2, "GET", "/apis/finetune.dev/v1alpha1"))
        api.instead.append(Answer(500, 1, "GET", "/secrets/"))

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)

    (error,) = with_an_operator(tmp_path, story, before=away)
    assert isinstance(error, main.Stopped)


def test_told_to_stop_while_it_waits_for_the_api_server_it_stops(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: api.requests, running)

    (error,) = with_an_operator(tmp_path, story, before=lambda api: api.instead.append(Answer(503, 9999)))
    assert isinstance(error, main.Stopped)


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
        [sys.executable, "-m", "finetune_operator.main"], env=said, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert lines[-1]["message"] == "ends on an error, to be started again"
    assert "traceback" in lines[-1]


def test_a_leader_that_has_lost_a_watch_for_good_ends(tmp_path: Path) -> None:
    """Whatever kopf does meanwhile: here it would wait for ever for a server that is busy."""

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: all(api.counts[f"watch {what}"] for what in WATCHED), running)
        await asyncio.sleep(12)
        assert not running.done(), "whoever has all watches lives on"
        api.instead.append(Answer(429, 9999, "GET", "/pods?"))
        api.expire_watches()
        await asyncio.wait({running}, timeout=45)
        assert running.done()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(main, "BLIND_SECONDS", 8.0)
        (error,) = with_an_operator(tmp_path, story)
    assert isinstance(error, ClusterError)
    assert "a watch was missing" in error.message


def test_without_the_definition_it_says_so_and_ends(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await asyncio.wait({running}, timeout=5)

    def missing(api: ApiServer) -> None:
        api.instead.append(Answer(404, 99, "GET", "/apis/finetune.dev/v1alpha1"))

    (error,) = with_an_operator(tmp_path, story, before=missing)
    assert isinstance(error, ClusterError)
    assert "install the CRD first" in error.message


def test_jobs_that_have_ended_cost_watches_and_the_lease_alone(tmp_path: Path) -> None:
    """Ended before the operator began, ended under its eyes, seen anew after a gap in the watches: nobody looks at them."""

    def before(api: ApiServer) -> None:
        for number in range(30):
            phase = ("Succeeded", "Rejected", "Failed")[number % 3]
            over = {"observedGeneration": 1, "phase": phase, "completionTime": "2026-11-30T12:00:00Z"}
            job = api.put(FTJS, {**a_manifest(f"ended-{number}"), "status": over})
            labels = {meta.JOB_LABEL: f"ended-{number}", meta.STAGE_LABEL: "prepare", meta.ATTEMPT_LABEL: "1"}
            owners = [{"uid": job["metadata"]["uid"], "controller": True}]
            metadata = {"name": f"ended-{number}-prepare-1", "labels": labels, "ownerReferences": owners}
            done = {"conditions": [{"type": "Complete", "status": "True"}]}
            api.put(JOBS, {"metadata": dict(metadata), "status": done})
            api.put(PODS, {"metadata": dict(metadata), "status": {"phase": "Succeeded"}})

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: all(api.counts[f"watch {what}"] for what in WATCHED), running)
        await until_calm(api)
        asked = [url for method, url, _, _ in api.requests if "ended-" in url or method not in ("GET", "POST", "PATCH")]
        assert asked == []
        submit(api, "wrong", model={"uri": "file://model"})
        await until(lambda: (the(api, FTJS, "wrong") or {})["status"].get("completionTime"), running)
        await until_calm(api)
        begun = len(api.requests)
        await asyncio.sleep(3)
        api.expire_watches()
        await until(lambda: all(api.counts[f"watch {what}"] > 1 for what in WATCHED), running)
        await until_calm(api)
        await asyncio.sleep(1)
        touched = [(method, url) for method, url, _, _ in api.requests[begun:]]
        assert {(method, url.partition("?")[0]) for method, url in touched} <= {
            ("GET", "/apis/finetune.dev/v1alpha1/finetunejobs"),
            ("GET", "/apis/batch/v1/jobs"),
            ("GET", "/api/v1/pods"),
            ("GET", "/apis/coordination.k8s.io/v1/namespaces/system/leases/finetune-operator"),
            ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/system/leases/finetune-operator"),
        }
        # A listing each, in one page, and a watch each.
        assert sum("leases" not in url for _, url in touched) == 2 * len(WATCHED)

    with_an_operator(tmp_path, story, before=before)


# ---------------------------------------------------------------- what wakes


def test_a_restart_asks_nothing_about_jobs_that_have_ended() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)
        wakeups = Wakeups(queue, lambda kind: None, Census(asyncio.get_running_loop().time), gather_seconds=0.0)
        over = {"status": {"phase": "Succeeded", "completionTime": "2026-11-30T12:00:00Z"}, "metadata": {"generation": 1}}
        wake_child(wakeups, Key("ml", "a"), "jobs", None, ended=True)
        wake_job(wakeups, Key("ml", "a"), over, None)
        wake_child(wakeups, Key("ml", "a"), "pods", None, ended=True)
        assert (queue.depth, len(queue._later)) == (0, 0)
        wake_child(wakeups, Key("ml", "a"), "jobs", None, ended=False)
        assert queue.depth == 1, "a child that still runs is looked at"
        wake_job(wakeups, Key("ml", "b"), {**over, "spec": {"runPolicy": {"ttlSecondsAfterFinished": 60}}}, None)
        wake_job(wakeups, Key("ml", "a"), over, "DELETED")
        assert Key("ml", "a") not in wakeups.ended, "a new job of its name is a new job"
        assert queue.depth == 2, "one that is to be removed too"

    asyncio.run(test())


def test_a_report_wakes_nobody_and_everything_else_does() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)
        wakeups, key = (
            Wakeups(queue, lambda kind: None, Census(asyncio.get_running_loop().time), gather_seconds=0.0),
            Key("ml", "a"),
        )

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


def test_what_is_on_its_way_is_looked_at_once_and_what_has_ended_at_once() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)
        wakeups, key = (
            Wakeups(queue, lambda kind: None, Census(asyncio.get_running_loop().time), gather_seconds=0.05),
            Key("ml", "a"),
        )

        async def look() -> None:
            queue.done(await asyncio.wait_for(queue.get(), 5) or key)

        for _ in range(3):
            wake_child(wakeups, key, "pods", "MODIFIED", ended=False)
        assert queue.depth == 0, "it waits for what comes next"
        await look()
        await asyncio.sleep(0.1)
        assert queue.depth == 0, "three events, one look"
        for event, ended in (("MODIFIED", True), ("DELETED", False)):
            wake_child(wakeups, key, "pods", event, ended=ended)
            assert queue.depth == 1, "an end is looked at without waiting"
            await look()

    asyncio.run(test())


def test_an_event_that_may_wait_does_not_shorten_the_pause_after_a_failure() -> None:
    async def test() -> None:
        queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 1.0, first_seconds=60)
        key = Key("ml", "a")
        queue.add(key)
        queue.failed(await queue.get() or key)
        queue.add(key, within=0.01)
        await asyncio.sleep(0.05)
        assert queue.depth == 0

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
