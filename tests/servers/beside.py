"""The small API server beside a test that is no coroutine: in a thread of its own, with a kubeconfig that names it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from servers.api import Object, Resource
from servers.for_people import ApiForPeople

T = TypeVar("T")


class Beside:
    """A served API. What changes it runs in its thread, since its watchers wait there."""

    def __init__(self, api: ApiForPeople, loop: asyncio.AbstractEventLoop, kubeconfig: Path) -> None:
        self.api, self.kubeconfig = api, kubeconfig
        self._loop = loop

    def do(self, change: Callable[[], T]) -> T:
        """Run something in the server's thread."""

        async def changed() -> T:
            return change()

        return asyncio.run_coroutine_threadsafe(changed(), self._loop).result(60)

    def put(self, resource: Resource, found: Object) -> Object:
        return self.do(lambda: self.api.put(resource, found))

    def drop(self, resource: Resource, name: str, namespace: str = "ml") -> None:
        self.do(lambda: self.api.drop(resource, name, namespace))

    def asked(self, method: str, part: str) -> list[tuple[str, str, dict[str, str], Any]]:
        """Requests of a method whose URL holds this."""
        return [request for request in self.api.requests if request[0] == method and part in request[1]]


@contextmanager
def beside(folder: Path) -> Iterator[Beside]:
    """Serve until the end of the block."""
    loop = asyncio.new_event_loop()
    begun, stop = threading.Event(), asyncio.Event()
    api = ApiForPeople()

    async def body() -> None:
        async with api.serve():
            begun.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(body(),), daemon=True)
    thread.start()
    assert begun.wait(60), "the server does not begin"
    try:
        yield Beside(api, loop, write_kubeconfig(folder, api.url))
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


def write_kubeconfig(folder: Path, url: str, *, namespace: str = "ml", **user: Any) -> Path:
    """A kubeconfig with the contexts `here` and `there`."""
    contexts = [
        {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": namespace}},
        {"name": "there", "context": {"cluster": "c", "user": "u", "namespace": "elsewhere"}},
    ]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user or {"token": "secret"}}],
        "contexts": contexts,
        "current-context": "here",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
