"""Trainers report here: Kubeflow Trainer's protocol (KEP-2779), which transformers speaks by itself, over TLS.

Everything in the cluster may connect, so everything is bounded: connections in all and per address, their life, the body,
the reports of one job. Who comes too often is turned away before TLS costs anything, whoever has brought no report makes room
for others, and who reports is settled before the body is read. What is refused is counted and costs the others nothing; a
report that is lost costs nothing either, for the next one says it all.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable

from aiohttp import web
from pydantic import ValidationError

from finetune_api import meta
from finetune_api.contract.progress import MAX_BODY_BYTES, ProgressReport
from finetune_api.errors import ClusterError
from finetune_operator.doorman import Doorman, Guarded
from finetune_operator.listening import listen
from finetune_operator.membership import Members, NotAMember, NotAuthenticated
from finetune_operator.queue import Key
from finetune_operator.reports import Reports

_BODY_SECONDS = 5.0
_HANDSHAKE_SECONDS = 5.0
_FAREWELL_SECONDS = 1.0
"""For the other side's end of TLS. asyncio gives it half a minute, in which whoever is through would keep its place."""
_BREATH_SECONDS = 0.1
"""After a connection that could not be taken, for want of file descriptors say."""
_KEPT_JOBS = 20_000


class ProgressServer:
    """Takes reports, on every replica, leader or not.

    Args:
        monotonic: seconds that only rise.
        count: is told what became of each report, in a word of a closed set.
        count_refused: is told why a connection was cut off.
        connections: at the same time, in all and from one address.
        connection_seconds: longest life of a connection; a report takes milliseconds.
        per_second: reports of one job, in the mean; several times that in a burst.
    """

    def __init__(
        self,
        members: Members,
        reports: Reports,
        *,
        monotonic: Callable[[], float],
        count: Callable[[str], None] = lambda result: None,
        count_refused: Callable[[str], None] = lambda reason: None,
        connections: tuple[int, int] = (2000, 64),
        connection_seconds: float = 30.0,
        per_second: float = 2.0,
        burst: int = 20,
    ) -> None:
        self._members, self._reports, self._monotonic, self._count = members, reports, monotonic, count
        self._doorman = Doorman(*connections, connection_seconds, count_refused)
        self._rate = _RatePerJob(per_second, burst)
        self._runner: web.AppRunner | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._greeting: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> int:
        """Listen; returns the port."""
        # One TLS record, the most that TLS hands out at once; for every connection of this process. asyncio sets 256 KiB aside
        # for each, so a thousand trainers took 360 MB. There is no other knob, and a test notices if this one goes.
        sslproto.SSLProtocol.max_size = 16 * 1024
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(meta.PROGRESS_PATH, self._answer)
        app.router.add_route("*", "/{path:.*}", self._answer_elsewhere)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=5, shutdown_timeout=1)
        await self._runner.setup()
        listener = listen(host, port, backlog=1024)
        listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(listener, tls))
        bound: int = listener.getsockname()[1]
        return bound

    async def until_broken(self) -> None:
        """Until nobody is let in any more, which no probe would show. Raises: why; CancelledError where it was told to stop."""
        assert self._accepting is not None
        await self._accepting

    async def stop(self) -> None:
        """Stop listening; reports that are being read are taken."""
        for task in (self._accepting, *self._greeting):
            if task:
                task.cancel()
        if self._runner:
            await self._runner.cleanup()

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext) -> None:
        """Let connections in one by one: asyncio's own server would shake hands with everybody first."""
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    connection, peer = await loop.sock_accept(listener)
                except OSError:
                    await asyncio.sleep(_BREATH_SECONDS)
                    continue
                refusal = self._doorman.enter(str(peer[0]))
                if refusal:
                    self._doorman.refused(refusal)
                    connection.close()
                    continue
                assert self._runner is not None
                assert self._runner.server is not None
                guarded = Guarded(self._runner.server(), self._doorman, str(peer[0]))
                guarded.greeting = asyncio.create_task(self._greet(guarded, connection, tls))
                self._greeting.add(guarded.greeting)
                guarded.greeting.add_done_callback(self._greeting.discard)

    async def _greet(self, guarded: Guarded, connection: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: guarded,
                connection,
                ssl=tls,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_FAREWELL_SECONDS,
            )
        except OSError:  # also what TLS and its time limit raise
            self._doorman.refused("no_tls")
        finally:
            if not guarded.was_let_in:
                guarded.leave()

    async def _answer_elsewhere(self, request: web.Request) -> web.Response:
        return self._say(request, 404, "not_found")

    async def _answer(self, request: web.Request) -> web.Response:
        return self._say(request, *await self._take(request))

    def _say(self, request: web.Request, status: int, result: str, retry_after: int = 0) -> web.Response:
        self._count(result)
        self._doorman.heard(request.protocol, took_report=status == 200)
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        if status != 200:
            headers["Connection"] = "close"  # the body may be unread
        kind = {"kind": "Status", "apiVersion": "v1", "status": "Success" if status == 200 else "Failure"}
        return web.json_response({**kind, "code": status, "reason": result}, status=status, headers=headers)

    async def _take(self, request: web.Request) -> tuple[int, str, int]:
        key = Key(request.match_info["namespace"], request.match_info["name"])
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return 401, "no_token", 0
        if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
            return 413, "too_large", 0
        try:
            async with asyncio.timeout(_BODY_SECONDS * 2):
                reporter = await self._members.reporter(token, key)
        except NotAuthenticated:
            return 401, "not_authenticated", 0
        except NotAMember:
            return 403, "not_a_member", 0
        except (ClusterError, TimeoutError):
            return 503, "unchecked", 5
        if not self._rate.allows(key, self._monotonic()):
            return 429, "too_many", 1
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return 413, "too_large", 0
        except (TimeoutError, web.HTTPException, OSError):
            return 400, "unread", 0
        try:
            report = ProgressReport.model_validate_json(body)
        except ValidationError:
            return 422, "not_understood", 0
        self._reports.take(reporter, report.trainer_status)
        return 200, "taken", 0


class _RatePerJob:
    """A token bucket per job."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._buckets: dict[Key, tuple[float, float]] = {}

    def allows(self, key: Key, now: float) -> bool:
        left, at = self._buckets.pop(key, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._per_second)
        allowed = left >= 1
        if len(self._buckets) >= _KEPT_JOBS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key] = (left - 1 if allowed else left, now)
        return allowed
