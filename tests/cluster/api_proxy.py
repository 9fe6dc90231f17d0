"""An API server that lies: a proxy before the real one that refuses, delays, cuts and loses answers by rule.

Everything that a client may meet in a bad week can be asked for: conflicts and expired lists that are none, too many requests,
errors of the server, watches that end in the middle or go silent, and writes that were carried out although the answer was
lost. Requests that no rule names pass through unchanged, with the caller's own token or, if it shows none, as the cluster's
administrator.

    with lying_api(machine) as api:
        api.rules.append(Lie(methods="POST", path="/jobs$", status=409, times=1))
        run_something(kubeconfig=api.kubeconfig)      # on this machine
        env = api.environment                         # or in a pod
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import re
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from cluster.machine import Machine

_CONTROL_PLANE = "10.200.0.1"
_REASONS = {
    403: "Forbidden",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass
class Lie:
    """What happens to the requests that it fits: after `skip` of them, for `times` of them."""

    methods: str = "GET POST PUT PATCH DELETE"
    """Divided by blanks."""
    path: str = ""
    """A regular expression, found anywhere in the path without its query."""
    watch: bool | None = None
    """True: watches alone; False: all but watches."""
    skip: int = 0
    times: int = 1_000_000
    delay: float = 0
    """Seconds before anything happens."""
    status: int | None = None
    """Answered instead of asking the real server."""
    reason: str | None = None
    """As in AlreadyExists, where a status has several."""
    retry_after: int | None = None
    """Seconds, said with the status."""
    hang_up: bool = False
    """The connection is closed without an answer, the real server not asked."""
    lose_answer: bool = False
    """The real server carries it out; the connection is closed without an answer."""
    error_event: int | None = None
    """A watch begins as asked, and its first event is an ERROR with this code."""
    cut_after_events: int | None = None
    """A watch ends in the middle after so many events, without a last chunk."""
    silent_after_events: int | None = None
    """A watch says nothing more after so many events and stays open."""

    def fits(self, method: str, path: str, *, watch: bool) -> bool:
        """Whether this request is meant, and counts it."""
        if method not in self.methods.split() or not re.search(self.path, path) or self.watch not in (None, watch):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return self.times >= 0


@dataclass
class LyingApi:
    """A running proxy. `rules` may be changed at any time; the first that fits counts."""

    kubeconfig: Path
    """For clients on this machine, as the administrator."""
    port: int
    rules: list[Lie] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path with query of each request, in order."""
    watches: set[socket.socket] = field(default_factory=set)
    """Connections on which a watch is being answered."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a pod takes the proxy for the API server."""
        return {"KUBERNETES_SERVICE_HOST": _CONTROL_PLANE, "KUBERNETES_SERVICE_PORT": str(self.port)}

    def drop_watches(self) -> None:
        """Every watch that is being answered ends now, as when a load balancer restarts."""
        for connection in list(self.watches):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def rule_for(self, method: str, path: str, *, watch: bool) -> Lie | None:
        """The first rule that fits."""
        return next((rule for rule in self.rules if rule.fits(method, path, watch=watch)), None)


@contextmanager
def lying_api(machine: Machine) -> Iterator[LyingApi]:
    """Start a proxy; it listens on the machine's loopback and, at the same port, where pods find the API server."""
    pki = machine.state / "pki"
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    real = re.search(r'server: "https://127\.0\.0\.1:(\d+)"', (pki / "admin.kubeconfig").read_text())
    assert real is not None
    real_port = int(real[1])

    outside = socket.create_server(("127.0.0.1", 0))
    port = outside.getsockname()[1]
    inside = _listen_in_namespace("ft-cp", (_CONTROL_PLANE, port))
    text = (pki / "admin.kubeconfig").read_text().replace(f"127.0.0.1:{real_port}", f"127.0.0.1:{port}")
    with tempfile.TemporaryDirectory(prefix="lying-api-") as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.write_text(text)
        api = LyingApi(kubeconfig, port)

        class Bound(_Handler):
            lying = api
            upstream = real_port
            administrator = _client(pki, "admin")
            nobody = _client(pki, None)

        servers = [_server(listening, Bound, tls) for listening in (outside, inside)]
        try:
            yield api
        finally:
            api.drop_watches()
            for server in servers:
                server.shutdown()
                server.server_close()


def _client(pki: Path, user: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    if user is not None:
        context.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")
    return context


def _server(listening: socket.socket, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = tls.wrap_socket(listening, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is no error
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def _listen_in_namespace(name: str, address: tuple[str, int]) -> socket.socket:
    """A socket belongs to the network namespace of the thread that made it, whoever uses it later."""
    made: list[socket.socket] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{name}") as namespace:  # noqa: PTH123  # a descriptor is needed, not a text
            if libc.setns(namespace.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        made.append(socket.create_server(address))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lying: ClassVar[LyingApi]
    upstream: ClassVar[int]
    administrator: ClassVar[ssl.SSLContext]
    nobody: ClassVar[ssl.SSLContext]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        pass

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        watch = "watch=true" in query or "watch=1" in query or "watch=True" in query
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.lying.asked.append((self.command, self.path))
        lie = self.lying.rule_for(self.command, path, watch=watch) or Lie()
        time.sleep(lie.delay)
        if lie.hang_up:
            self._hang_up()
        elif lie.status is not None:
            self._refuse(lie)
        elif lie.error_event is not None:
            self._begin(200, "application/json", None)
            self._chunk(json.dumps({"type": "ERROR", "object": _status(lie.error_event, None)}).encode() + b"\n")
            self._chunk(b"")
        else:
            self._pass_on(body, lie, watch=watch)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  # the base class names them so

    def _pass_on(self, body: bytes, lie: Lie, *, watch: bool) -> None:
        shown = "Authorization" in self.headers
        real = http.client.HTTPSConnection(
            "127.0.0.1", self.upstream, context=self.nobody if shown else self.administrator, timeout=None if watch else 60
        )
        passing = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "accept-encoding")
        }
        try:
            real.request(self.command, self.path, body or None, passing)
            answer = real.getresponse()
            if lie.lose_answer:
                answer.read()
                self._hang_up()
            elif watch and answer.status == 200:
                self._watch(answer, lie)
            else:
                data = answer.read()
                self._begin(answer.status, answer.headers.get("Content-Type", "application/json"), len(data))
                self.wfile.write(data)
        except OSError:
            self._hang_up()
        finally:
            real.close()

    def _watch(self, answer: http.client.HTTPResponse, lie: Lie) -> None:
        self.lying.watches.add(self.connection)
        try:
            self._begin(200, answer.headers.get("Content-Type", "application/json"), None)
            if lie.cut_after_events is None and lie.silent_after_events is None:
                while data := answer.read1(65536):
                    self._chunk(data)
                self._chunk(b"")
                return
            limit = lie.silent_after_events if lie.cut_after_events is None else lie.cut_after_events
            for _ in range(limit or 0):
                self._chunk(answer.readline())
            if lie.silent_after_events is not None:
                self.connection.settimeout(None)
                self.rfile.read(1)  # until the client, or drop_watches, gives up
            self._hang_up()
        finally:
            self.lying.watches.discard(self.connection)

    def _refuse(self, lie: Lie) -> None:
        assert lie.status is not None
        data = json.dumps(_status(lie.status, lie.reason)).encode()
        self._begin(lie.status, "application/json", len(data), lie.retry_after)
        self.wfile.write(data)

    def _begin(self, status: int, content_type: str, length: int | None, retry_after: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _status(code: int, reason: str | None) -> dict[str, object]:
    said = reason or _REASONS.get(code, "Unknown")
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "code": code,
        "reason": said,
        "message": f"{said}: a lie of the test's proxy",
    }
