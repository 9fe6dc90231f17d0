"""A server on 127.0.0.1 in a thread of the test, which remembers what it was asked and misbehaves as it is told."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request that came in; the header names in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


@dataclass
class Manners:
    """How files are sent. Change it while the server runs."""

    refusals: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    """Status and headers of the next answers, one for each request, before it behaves again."""
    cuts: int = 0
    """In how many further answers the connection ends in the middle of the body; -1: in all."""
    ranges: bool = True
    """Whether it goes on where it is asked to."""
    asks_if_range: bool = True
    """Whether it looks at If-Range, and does not go on in the middle of another version."""
    etags: bool = True
    """Whether files have ETags."""
    chunked: bool = False
    """Whether bodies come in chunks, without a length."""
    endless: bool = False
    """Whether bodies come without a length and end with the connection."""
    hangs: bool = False
    """Whether it takes requests and never answers."""


class LocalServer:
    """Serves until the `with` ends. `answer` is given the handler for each request.

    In a pod it listens for others and is known by the name of a service.
    """

    def __init__(
        self,
        answer: Callable[[Handler], None],
        *,
        tls: ssl.SSLContext | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
        name: str = "127.0.0.1",
    ) -> None:
        self._name = name
        self.asked: list[Asked] = []
        self.manners = Manners()
        self.closing = threading.Event()
        self._scheme = "http" if tls is None else "https"

        class Bound(Handler):
            server_of_test = self
            answer_of_test = (answer,)

        self._server = ThreadingHTTPServer(address, Bound)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is no error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._name}:{self.port}"

    def paths(self, method: str = "GET") -> list[str]:
        """Paths that were asked for, in order."""
        return [asked.path for asked in self.asked if asked.method == method]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_of_test: ClassVar[LocalServer]
    answer_of_test: ClassVar[tuple[Callable[[Handler], None]]]
    timeout = 20

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        pass

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, unquote(parts.path), parse_qs(parts.query), headers)
        server = self.server_of_test
        server.asked.append(self.asked)
        if server.manners.hangs:
            server.closing.wait()
            self.close_connection = True
        elif server.manners.refusals:
            self.read()
            status, more = server.manners.refusals.popleft()
            self.send(status, headers=more)
        else:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
                self.answer_of_test[0](self)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # the base class names them so

    def read(self) -> bytes:
        """The body of the request."""
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_file(self, data: bytes, etag: str) -> None:
        """A file, or the rest of it, with the server's manners."""
        manners = self.server_of_test.manners
        start = 0
        ranged = self.headers.get("Range")
        same = not manners.asks_if_range or self.headers.get("If-Range") in (None, etag)
        if ranged and manners.ranges and same:
            start = int(ranged.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                return self.send(416, headers={"Content-Range": f"bytes */{len(data)}"})
        body = data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if manners.etags:
            self.send_header("ETag", etag)
        if manners.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif not manners.endless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if manners.chunked:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        self.close_connection = manners.endless
        if manners.cuts:
            manners.cuts -= manners.cuts > 0
            body = body[: max(len(body) // 2, 1)]
            self.close_connection = True
        self.wfile.write(body)
        return None
