"""A whole operator with kopf in it: which changes reach it, also those that kopf does not tell, and what idle costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from builders import a_manifest
from finetune_api import meta
from operating import FTJS, JOBS, PODS, WATCHED, scraped, submit, the, until, until_calm, with_an_operator
from ports import a_free_port
from servers.api import Answer, ApiServer


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


def test_the_pods_of_a_held_child_are_ended_though_its_job_is_gone(tmp_path: Path) -> None:
    """Somebody's finalizer holds the child Job, and its pods would run on for as long: nobody but us looks."""

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        child = await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        await until_calm(api)
        owners = [{"kind": "Job", "name": "support-prepare-1", "uid": child["metadata"]["uid"], "controller": True}]
        pod = {"name": "support-prepare-1-0-x", "labels": child["metadata"]["labels"], "ownerReferences": owners}
        api.put(PODS, {"metadata": pod, "status": {"phase": "Running"}})
        api.drop(FTJS, "support")
        held = {"deletionTimestamp": "2026-11-30T12:00:00Z", "finalizers": ["archive.example/keep"]}
        api.put(JOBS, {**child, "metadata": {**child["metadata"], **held}})
        await until(lambda: api.counts["delete jobs"], running)
        (asked,) = [body for method, _, _, body in api.requests if method == "DELETE"]
        assert asked["propagationPolicy"] == "Foreground"
        assert asked["preconditions"] == {"uid": child["metadata"]["uid"]}

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
