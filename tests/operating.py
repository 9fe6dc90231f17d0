"""A whole operator beside a story: the process with kopf in it, its client and its servers, on an API server of ours."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from builders import a_manifest
from finetune_operator import main
from finetune_operator.settings import Settings, read_settings
from servers.api import ApiServer
from servers.beside import Beside

FTJS, JOBS = ("finetune.dev/v1alpha1", "finetunejobs"), ("batch/v1", "jobs")
LEASES, SECRETS = ("coordination.k8s.io/v1", "leases"), ("v1", "secrets")
PODS = ("v1", "pods")
WATCHED = ("finetunejobs", "jobs", "pods")
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
    folder: Path, story: Story, *, before: Callable[[ApiServer], None] = lambda api: None, **environment: str
) -> list[BaseException]:
    """Run an operator beside a story, then stop it; returns what it ended with. `environment` is added to its own.

    In a thread and an event loop of its own, as in a process of its own: kopf ends with the cancellation of every task of its
    loop that is younger than itself. A connection of a server there would stay open and never answer again, and the operator
    would give its lease back to nobody.
    """

    async def body() -> list[BaseException]:
        async with ApiServer().serve() as api:
            before(api)
            stop, loops = asyncio.Event(), list[asyncio.AbstractEventLoop]()
            settings = settings_for(api, folder, environment)

            async def operate() -> None:
                loops.append(asyncio.get_running_loop())
                await main.Operator(settings, stop).run()

            running = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(operate())))
            try:
                await asyncio.wait_for(story(api, running), 400)
            finally:
                if not running.done():
                    loops[0].call_soon_threadsafe(stop.set)
                await asyncio.wait({running}, timeout=120)
            error = running.exception()
            return list(error.exceptions) if isinstance(error, BaseExceptionGroup) else [error] if error else []

    return asyncio.run(body())


def settings_for(api: ApiServer, folder: Path, environment: Mapping[str, str]) -> Settings:
    cluster = {"name": "c", "cluster": {"server": api.url}}
    user = {"name": "u", "user": {"token": "secret"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "users": [user], "contexts": [context]}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump({**config, "current-context": "x"}))
    return read_settings({**ENVIRONMENT, **environment, "FINETUNE_KUBECONFIG": str(path)})


async def until(what: Callable[[], Any], running: asyncio.Task[None] | None = None) -> Any:
    """What it is as soon as it is anything; the operator's own error if that ends first."""
    while not (found := what()):
        if running is not None and running.done():
            running.result()
        await asyncio.sleep(0.02)
    return found


def all_but_the_lease(api: ApiServer) -> dict[str, int]:
    """Requests so far, by what was asked."""
    return {what: count for what, count in api.counts.items() if not what.endswith(" leases")}


async def until_calm(api: ApiServer) -> None:
    """Until nothing but the lease was asked for in a second of looks: a busy machine may sleep through some."""
    known, looks = all_but_the_lease(api), 0
    while looks < 50:
        await asyncio.sleep(0.02)
        found = all_but_the_lease(api)
        known, looks = found, looks + 1 if found == known else 0


def submit(api: ApiServer | Beside, name: str = "support", **spec: Any) -> None:
    """kubectl apply."""
    api.put(FTJS, {**a_manifest(name, **spec), "status": {"observedGeneration": 0}})


def the(api: ApiServer, resource: tuple[str, str], name: str, namespace: str = "ml") -> dict[str, Any] | None:
    """An object, if it is there."""
    return api.objects.get((resource, namespace, name))


def scraped(port: int) -> str:
    """What Prometheus would read."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


async def scraped_when(port: int, *words: str) -> str:
    """What Prometheus would read as soon as it holds all the words, or after half a minute: what is missing shows then."""
    text = ""
    for _ in range(300):
        text = await asyncio.to_thread(scraped, port)
        if all(word in text for word in words):
            break
        await asyncio.sleep(0.1)
    return text


def retried(what: Callable[[], Any], seconds: float = 180.0) -> None:
    """Until it is true and raises nothing, as far as that is to be had in this time: the caller looks once more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            if what():
                return
        time.sleep(0.05)


@contextmanager
def a_process(kubeconfig: Path, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """An operator in a process of its own, which has to end well when it is told to."""
    command = [sys.executable, "-m", "finetune_operator.main"]
    said = {**os.environ, **ENVIRONMENT, "FINETUNE_KUBECONFIG": str(kubeconfig), **environment}
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=said, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.terminate()
            code = process.wait(120)
    assert code == 0
