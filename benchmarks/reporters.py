"""Trainers that report: simulated pods do not, so this process does it for them, with a token and an address for each."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from cluster_load import at_once
from our_operator import PROGRESS, Operator

from cluster.kube import Kube
from finetune_api import meta
from finetune_operator.cluster import KubernetesCluster, Limiter
from finetune_operator.exchange import connect

JOBS_OF_AN_ADDRESS = 4


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


async def tokens_of(kubeconfig: Path, namespace: str, pods: list[str]) -> list[str]:
    """A token for each pod, as its kubelet would ask for it."""
    client = await connect(kubeconfig)
    found: dict[int, str] = {}

    async def one(number: int) -> None:
        pod = pods[number]
        spec = {"audiences": ["finetune.dev/progress"], "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod}}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
        request = await client.param_serialize(
            "POST", path, header_params={"Content-Type": "application/json"}, body=body, auth_settings=["BearerToken"]
        )
        answer = await client.call_api(*request)
        found[number] = json.loads(await answer.read())["status"]["token"]

    await at_once(len(pods), one)
    await client.close()
    return [found[number] for number in range(len(pods))]


async def report_for(
    seconds: float, every: float, jobs: list[tuple[str, str]], namespace: str, answers: dict[int, int]
) -> None:
    """Every job reports so often, spread over the time between; as the trainer does, over a connection each time.

    Args:
        answers: gets how many answers of each status there were; 0 is none, which the trainer bears as well.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # its names are those in the cluster
    end = time.monotonic() + seconds
    # Pods have addresses of their own, and the server lets no single one take all connections.
    addresses = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(len(jobs) // JOBS_OF_AN_ADDRESS + 1)]
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, local_addr=(address, 0), force_close=True))
            )
            for address in addresses
        ]

        async def one(number: int, job: str, token: str) -> None:
            session = sessions[number % len(sessions)]
            await asyncio.sleep(every * number / len(jobs))
            step = 0
            while time.monotonic() < end:
                step += 1
                due = time.monotonic() + every
                told = {
                    "progressPercentage": min(99, step),
                    "lastUpdatedTime": _now(),
                    "metrics": [{"name": "current_step", "value": str(step)}, {"name": "total_steps", "value": "1000"}],
                }
                url = f"https://127.0.0.1:{PROGRESS}{meta.PROGRESS_PATH.format(namespace=namespace, name=job)}"
                status = 0
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.post(
                        url, json={"trainerStatus": told}, headers={"Authorization": f"Bearer {token}"}
                    ) as got:
                        status = got.status
                answers[status] = answers.get(status, 0) + 1
                await asyncio.sleep(max(0.0, due - time.monotonic()))

        async with asyncio.TaskGroup() as group:
            for number, (job, token) in enumerate(jobs):
                group.create_task(one(number, job, token))


async def bare_writes(kube: Kube, namespace: str, seconds: float) -> float:
    """Writes of a progress a second, by a loop that thinks nothing: what this API server can take."""
    client = await connect(kube.kubeconfig)
    cluster = KubernetesCluster(client, Limiter(1e6, 1e6, time.monotonic))
    found = [job["metadata"] for job in kube.list("FineTuneJob", namespace=namespace)]
    versions = {job["name"]: job["resourceVersion"] for job in found}
    begun, names = time.perf_counter(), list(versions)

    async def one(number: int) -> None:
        name = names[number]
        told = {"percent": number % 100, "step": number, "totalSteps": 1000, "updatedAt": _now()}
        answer = await cluster.apply_progress(namespace, name, told, version=versions[name])
        versions[name] = answer["metadata"]["resourceVersion"]

    written = 0
    while time.perf_counter() - begun < seconds:
        await at_once(len(names), one)
        written += len(names)
    await client.close()
    return written / (time.perf_counter() - begun)


def ages(kube: Kube, namespace: str) -> list[float]:
    """How old the report in each status is, in seconds; jobs that never reported are left out."""
    now = datetime.now(UTC)
    found = []
    for job in kube.list("FineTuneJob", namespace=namespace):
        at = (job.get("status", {}).get("progress") or {}).get("updatedAt")
        if at:
            found.append((now - datetime.fromisoformat(at.replace("Z", "+00:00"))).total_seconds())
    return sorted(found)


def reporting(kube: Kube, operator: Operator, namespace: str, count: int, seconds: float, limit: float) -> list[str]:
    """A row: jobs, whose pods run, that each report every 5 s.

    Args:
        limit: writes a second of `bare_writes`.
    """
    labels = f"{meta.STAGE_LABEL}=prepare"
    pods = [pod["metadata"] for pod in kube.list("Pod", namespace=namespace, labels=labels)][:count]
    tokens = asyncio.run(tokens_of(kube.kubeconfig, namespace, [pod["name"] for pod in pods]))
    jobs = [(pod["labels"][meta.JOB_LABEL], token) for pod, token in zip(pods, tokens, strict=True)]
    answers: dict[int, int] = {}
    oldest: list[float] = []
    cpu, calls, begun = operator.cpu_seconds, operator.calls(), time.perf_counter()

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(report_for(seconds, 5.0, jobs, namespace, answers))
            while not sending.done():
                await asyncio.sleep(5)
                if time.perf_counter() - begun > 20:  # the first tokens have been looked at
                    oldest.append(await asyncio.to_thread(operator.gauge, "progress_oldest_unwritten_seconds"))

    asyncio.run(both())
    found, wall = ages(kube, namespace), time.perf_counter() - begun
    made = {name: number - calls.get(name, 0) for name, number in operator.calls().items()}
    busiest = ", ".join(f"{name} {number / wall:.0f}/s" for name, number in sorted(made.items(), key=lambda i: -i[1])[:4])
    written = made.get("apply finetunejobs", 0.0) / wall
    refused = sum(number for status, number in answers.items() if status >= 400)
    return [
        f"{count:,}",
        f"{answers.get(200, 0) / wall:.0f}/s ({refused} refused, {answers.get(0, 0)} lost)",
        f"{written:.0f}/s of {limit:.0f}/s",
        f"{found[len(found) // 2]:.1f} s, {found[-1]:.1f} s" if found else "none",
        f"{max(oldest, default=0.0):.1f} s",
        f"{(operator.cpu_seconds - cpu) / wall:.2f}",
        busiest,
    ]
