"""The adapter over real HTTP, against a server that answers as Kubernetes does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient, Configuration

from finetune_api.errors import ClusterError, Conflict, NotFound, Refused, Taken
from finetune_operator.cluster import KubernetesCluster, Limiter
from finetune_operator.exchange import refusal
from finetune_operator.kinds import CHILD_JOB, CONFIG_MAP, FINE_TUNE_JOB, POD, Ref
from servers.api import Answer, ApiServer

JOBS, PODS, MAPS, FTJS = ("batch/v1", "jobs"), ("v1", "pods"), ("v1", "configmaps"), ("finetune.dev/v1alpha1", "finetunejobs")
REF = Ref(CHILD_JOB, "ml", "a")
Test = Callable[[KubernetesCluster, ApiServer], Awaitable[None]]


def at_an_api(test: Test, **more: Any) -> list[tuple[str, str, int]]:
    """Run a test against a server of its own; returns what was counted."""
    counted: list[tuple[str, str, int]] = []

    async def body() -> None:
        async with ApiServer().serve() as api:
            configuration = Configuration(host=api.url)
            configuration.api_key = {"BearerToken": "Bearer secret"}
            async with ApiClient(configuration) as client:
                limiter = Limiter(1000, 1000, time.monotonic)
                cluster = KubernetesCluster(client, limiter, count=lambda *call: counted.append(call), **more)
                await asyncio.wait_for(test(cluster, api), 60)

    asyncio.run(body())
    return counted


def a_child(name: str = "a", owner: str = "ours") -> dict[str, Any]:
    owners = [{"uid": owner, "controller": True}]
    metadata = {"name": name, "namespace": "ml", "labels": {"l": "1"}, "ownerReferences": owners}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}}


def test_what_is_created_can_be_read_found_and_deleted() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        await cluster.create(a_child())
        found = await cluster.get(REF)
        assert found["metadata"]["labels"] == {"l": "1"}
        (listed,) = await cluster.find(CHILD_JOB, "ml", labels={"l": "1"})
        assert (listed["kind"], listed["apiVersion"]) == ("Job", "batch/v1"), "items of a list do not say it themselves"
        assert await cluster.find(CHILD_JOB, "ml", labels={"l": "2"}) == []
        await cluster.delete(REF, uid=found["metadata"]["uid"])
        with pytest.raises(NotFound, match='"a" not found'):
            await cluster.get(REF)
        _, url, headers, _ = next(r for r in api.requests if r[0] == "POST")
        assert "fieldValidation=Strict" in url
        assert headers["Authorization"] == "Bearer secret"
        assert next(r[3] for r in api.requests if r[0] == "DELETE") == {
            "propagationPolicy": "Background",
            "preconditions": {"uid": found["metadata"]["uid"]},
        }

    counted = at_an_api(test)
    assert counted[0] == ("create", "jobs", 201)
    assert counted[-1] == ("get", "jobs", 404)


def test_long_lists_come_page_by_page() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        for number in range(1203):
            api.put(PODS, {"metadata": {"name": f"p{number}", "labels": {"l": "1"}}})
        assert len(await cluster.find(POD, "ml", labels={"l": "1"})) == 1203
        assert api.counts["list pods"] == 3

    at_an_api(test)


def test_creating_twice_is_creating_once() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        await cluster.create(a_child())
        await cluster.create(a_child())
        assert len(api.objects) == 1

    at_an_api(test)


@pytest.mark.parametrize("theirs", [{"ownerReferences": [{"uid": "theirs", "controller": True}]}, {"ownerReferences": []}])
def test_a_stranger_s_object_is_not_taken_for_ours(theirs: dict[str, Any]) -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        api.put(JOBS, {"metadata": {"name": "a", **theirs}})
        with pytest.raises(Taken, match="Job ml/a exists already and belongs to somebody else"):
            await cluster.create(a_child())

    at_an_api(test)


def test_an_object_that_is_on_its_way_out_is_not_taken_for_created() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        dying = a_child()
        dying["metadata"]["deletionTimestamp"] = "2026-11-30T12:00:00Z"
        api.put(JOBS, dying)
        with pytest.raises(Taken, match="is being deleted"):
            await cluster.create(a_child())

    at_an_api(test)


def test_deleting_is_for_one_very_object() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        await cluster.delete(REF, uid="never-there")
        api.put(JOBS, a_child())
        await cluster.delete(REF, uid="a-predecessor-s")
        assert len(api.objects) == 1

    at_an_api(test)


def test_a_status_is_merged_over_the_version_that_was_read() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        job = api.put(FTJS, {"metadata": {"name": "j"}, "status": {"phase": "Pending", "message": "x", "novelty": 1}})
        ref, version = Ref(FINE_TUNE_JOB, "ml", "j"), job["metadata"]["resourceVersion"]
        patched = await cluster.patch_status(ref, {"phase": "Training", "message": None}, version=version)
        assert patched["status"] == {"phase": "Training", "novelty": 1}
        with pytest.raises(Conflict, match="modified"):
            await cluster.patch_status(ref, {"phase": "Failed"}, version=version)
        _, url, headers, _ = api.requests[0]
        assert url == "/apis/finetune.dev/v1alpha1/namespaces/ml/finetunejobs/j/status?fieldManager=finetune-operator"
        assert headers["Content-Type"] == "application/merge-patch+json"

    at_an_api(test)


def test_progress_is_applied_by_a_manager_of_its_own() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        job = api.put(FTJS, {"metadata": {"name": "j"}})
        await cluster.apply_progress("ml", "j", {"step": 1}, version=job["metadata"]["resourceVersion"])
        method, url, headers, body = api.requests[0]
        assert (method, headers["Content-Type"]) == ("PATCH", "application/apply-patch+yaml")
        assert "fieldManager=finetune-operator-progress" in url
        assert body["status"] == {"progress": {"step": 1}}

    at_an_api(test)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Refused), (403, Refused), (422, Refused), (409, Conflict), (410, ClusterError), (500, ClusterError)],
)
def test_each_refusal_has_its_error_with_the_server_s_word_and_no_secret(status: int, error: type[ClusterError]) -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        api.instead.append(Answer(status))
        with pytest.raises(error) as caught:
            await cluster.get(REF)
        assert (caught.value.status, caught.value.reason) == (status, "Told")
        assert "secret" not in str(caught.value)

    at_an_api(test)


@pytest.mark.parametrize(("said", "kept"), [("7", 7.0), ("86400", 120.0), ("inf", 120.0), ("nan", None), ("-1", None)])
def test_a_wait_that_was_asked_for_is_bounded(said: str, kept: float | None) -> None:
    assert refusal(503, {}, said).retry_after == kept


def test_the_server_s_retry_after_comes_along() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        api.instead.append(Answer(429, headers={"Retry-After": "7"}))
        with pytest.raises(ClusterError) as caught:
            await cluster.get(REF)
        assert caught.value.retry_after == 7.0

    at_an_api(test)


def test_a_proxy_s_page_is_an_error_like_any_other() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        api.instead.append(Answer(502, body=b"<html>Bad gateway</html>"))
        with pytest.raises(ClusterError, match="HTTP 502"):
            await cluster.get(REF)

    at_an_api(test)


def test_no_answer_is_an_error_with_a_name() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        cluster._client.configuration.host = "http://127.0.0.1:1"
        with pytest.raises(ClusterError, match="did not answer") as caught:
            await cluster.get(REF)
        assert caught.value.status == 0
        assert isinstance(caught.value.__cause__, aiohttp.ClientError)

    assert at_an_api(test) == [("get", "jobs", 0)]


def test_a_server_that_hangs_is_given_up() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        async with server:
            cluster._client.configuration.host = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
            with pytest.raises(ClusterError, match="TimeoutError"):
                await cluster.get(REF)

    at_an_api(test, timeout_seconds=0.2)


def test_who_lost_the_lease_reads_and_writes_nothing() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        api.put(JOBS, a_child())
        await cluster.get(REF)
        for write in (cluster.create(a_child("b")), cluster.delete(REF, uid="x"), cluster.patch_status(REF, {}, version="1")):
            with pytest.raises(ClusterError, match="nothing was written"):
                await write
        assert [request[0] for request in api.requests] == ["GET"]

    at_an_api(test, may_write=lambda: False)


def test_a_missing_definition_is_noticed() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        assert await cluster.serves(FINE_TUNE_JOB)
        api.instead.append(Answer(404))
        assert not await cluster.serves(FINE_TUNE_JOB)

    at_an_api(test)


def test_events_are_asked_for_by_the_identity_of_what_they_are_about() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        for number, uid in enumerate(("a", "b", "a")):
            api.put(("v1", "events"), {"metadata": {"name": f"e{number}"}, "involvedObject": {"uid": uid}})
        assert [event["metadata"]["name"] for event in await cluster.events_about("ml", "a")] == ["e0", "e2"]

    at_an_api(test)


def test_calls_beyond_the_budget_wait_their_turn() -> None:
    now = [0.0]
    limiter = Limiter(10, 2, lambda: now[0])

    async def test() -> int:
        through = 0

        async def one() -> None:
            nonlocal through
            await limiter.wait()
            through += 1

        tasks = [asyncio.create_task(one()) for _ in range(5)]
        await asyncio.sleep(0.02)
        first = through
        for task in tasks:
            task.cancel()
        return first

    assert asyncio.run(test()) == 2


def test_a_config_map_of_the_operator_is_patched_over_its_version() -> None:
    async def test(cluster: KubernetesCluster, api: ApiServer) -> None:
        made = api.put(MAPS, {"metadata": {"name": "ca"}, "data": {"a": "1"}})
        ref = Ref(CONFIG_MAP, "ml", "ca")
        await cluster.patch(ref, {"data": {"a": "2"}}, version=made["metadata"]["resourceVersion"])
        assert (await cluster.get(ref))["data"] == {"a": "2"}

    at_an_api(test)
