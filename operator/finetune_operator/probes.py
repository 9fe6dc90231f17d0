"""What the kubelet and Prometheus ask: is this process alive, may it be sent reports, what has it done.

A standby runs no kopf and a leader's health is not kopf's alone, so this server is ours and runs in both roles. Healthy means
that the event loop answers and no worker has hung; ready, that reports can be taken: both are true of a standby.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from finetune_operator.listening import listen
from finetune_operator.metrics import CONTENT_TYPE, Metrics

Check = Callable[[], str | None]
"""What is wrong, in words; None if nothing is."""


class ProbeServer:
    """/healthz, /readyz and /metrics, without TLS.

    Args:
        healthy: asked for /healthz; what it says makes the kubelet restart the process.
        ready: asked for /readyz; what it says takes the replica out of the Service.
    """

    def __init__(self, metrics: Metrics, *, healthy: Check, ready: Check) -> None:
        self._metrics, self._healthy, self._ready = metrics, healthy, ready
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/healthz", self._answer(self._healthy))
        app.router.add_get("/readyz", self._answer(self._ready))
        app.router.add_get("/metrics", self._scrape)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.SockSite(self._runner, listen(host, port))
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    @staticmethod
    def _answer(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            wrong = check()
            return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200)

        return answer

    async def _scrape(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})
