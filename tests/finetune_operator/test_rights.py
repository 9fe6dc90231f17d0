"""The chart grants the verbs that the operator uses: none is missing, and none is there to be misused."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.client import ApiClient, Configuration

from builders import a_manifest, a_node, a_result
from fakes import Clock
from finetune_api.contract.result import encode
from finetune_operator.cluster import KubernetesCluster, Limiter
from finetune_operator.queue import Key
from finetune_operator.reconcile import Reconciler
from finetune_operator.render import RenderSettings
from servers.api import ApiServer

CHART = Path(__file__).parents[2] / "helm" / "finetune-operator" / "templates" / "_helpers.tpl"
Right = tuple[str, str, str]
"""API group, resource, verb."""
WATCHED = {("finetune.dev", "finetunejobs"), ("batch", "jobs"), ("", "pods")}
FTJS, JOBS, PODS = ("finetune.dev/v1alpha1", "finetunejobs"), ("batch/v1", "jobs"), ("v1", "pods")
SETTINGS = RenderSettings(
    trainer_image="trainer",
    machine=a_node(),
    operator_namespace="system",
    operator_labels={"app": "finetune-operator"},
    progress_url="https://progress",
    progress_port=8443,
    ca_config_map="ca",
    token_audience="progress",
)


def granted() -> set[Right]:
    """What the chart says about the namespaces of jobs."""
    text = CHART.read_text(encoding="utf-8")
    found = re.search(r'define "finetune.jobRules" -}}\n(.*?)\n{{- end }}', text, re.DOTALL)
    assert found
    rules: list[dict[str, Any]] = yaml.safe_load(re.sub(r"{{.*?}}", "name", found[1]))
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(api: ApiServer) -> Iterator[Right]:
    """The rights that the requests of a life needed."""
    for method, url, _, _ in api.requests:
        parts = url.partition("?")[0].strip("/").split("/")
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        rest = rest[2:]
        name = len(rest) > 1
        resource = "/".join((rest[0], *rest[2:]))
        verb = {"GET": "get" if name else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}[method]
        yield group, resource, verb


def live(api: ApiServer, clock: Clock, reconciler: Reconciler) -> Any:
    """A job that is suspended, continues, waits for a quota, succeeds, loses its status once and is removed in the end."""

    async def walk() -> None:
        for _ in range(4):
            await reconciler.reconcile(Key("ml", "support"))

    def job() -> dict[str, Any]:
        return api.objects[FTJS, "ml", "support"]

    def finish(stage: str, number: int) -> None:
        child = api.objects[JOBS, "ml", f"support-{stage}-{number}"]
        labels = child["metadata"]["labels"]
        owner = [{"uid": child["metadata"]["uid"], "controller": True}]
        ended = {"exitCode": 0, "message": encode(a_result(stage)), "finishedAt": "2026-11-30T12:00:00Z"}
        status = {"phase": "Succeeded", "containerStatuses": [{"name": "trainer", "state": {"terminated": ended}}]}
        metadata = {"name": f"{stage}-{number}-pod", "labels": labels, "ownerReferences": owner}
        api.put(PODS, {"metadata": metadata, "status": status})
        over = [{"type": "Complete", "status": "True"}]
        api.put(JOBS, {**child, "status": {"conditions": over, "startTime": "2026-11-30T12:00:00Z"}})

    async def story() -> None:
        await walk()
        child = api.objects[JOBS, "ml", "support-prepare-1"]
        api.put(JOBS, {**child, "status": {"startTime": "2026-11-30T12:00:00Z"}})
        clock.pass_by(minutes=2)
        await walk()  # no pods: the Events are asked
        api.put(FTJS, {**job(), "spec": {**job()["spec"], "runPolicy": {"suspend": True, "ttlSecondsAfterFinished": 0}}})
        await walk()
        api.put(FTJS, {**job(), "status": {"observedGeneration": 0}})
        await walk()
        api.put(FTJS, {**job(), "spec": {**job()["spec"], "runPolicy": {"ttlSecondsAfterFinished": 0}}})
        await walk()
        for stage in ("prepare", "train", "evaluate", "publish"):
            finish(stage, 1)
            await walk()
        assert (FTJS, "ml", "support") not in api.objects, "it has come to its end and was removed"

    return story()


def test_the_chart_grants_what_is_used_and_nothing_else() -> None:
    async def body() -> set[Right]:
        clock = Clock()
        async with ApiServer().serve() as api, ApiClient(Configuration(host=api.url)) as client:
            cluster = KubernetesCluster(client, Limiter(1000, 1000, time.monotonic))

            async def ready(namespace: str) -> None:
                """The certificates' ConfigMap: tests of its own."""

            manifest = a_manifest("support", resources={"nodes": 2})
            api.put(FTJS, {**manifest, "status": {"observedGeneration": 0}})
            await live(api, clock, Reconciler(cluster, SETTINGS, clock, ready, lambda key, transition: None))
            return set(used(api))

    rights = asyncio.run(body())
    rights |= {(group, resource, verb) for group, resource in WATCHED for verb in ("list", "watch")}
    # Create answers AlreadyExists for what was made before a crash; then it is read to see whose it is.
    rights |= {(group, resource, "get") for group, resource, verb in rights if verb == "create"}
    rights |= {("", "configmaps", "patch")}  # that of the certificates, by name
    rights |= {("", "pods", "get")}  # whose token it is that reports
    assert granted() == rights
    assert not any(resource == "secrets" for _, resource, _ in rights), "a user's secret is never read"
