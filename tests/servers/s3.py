"""An object store: moto's, behind a door that remembers requests and answers some of them as a real store does in trouble.

moto checks no signatures, so what a store says to wrong keys has to be said here, in the words of the real ones.
"""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import boto3  # type: ignore[import-untyped]  # has no annotations
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

KEYS = {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret"}

_STATUS = {
    "SignatureDoesNotMatch": 403,
    "InvalidAccessKeyId": 403,
    "AccessDenied": 403,
    "ExpiredToken": 400,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "PermanentRedirect": 301,
    "InternalError": 500,
    "SlowDown": 503,
}


@dataclass
class Trouble:
    """An error for requests with one of these methods, divided by blanks, whose path begins so: after `skip` of them, for
    `times` of them."""

    methods: str
    path: str
    code: str
    times: int = 1_000_000
    skip: int = 0


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        pass


class S3Server:
    """Serves until the `with` ends.

    `asked` holds "METHOD /bucket/key" of every request with the test's keys, `shown` the key and the session token of every
    request; `trouble` the errors to give; `cuts` how many further objects end in
    the middle; `before` is called with each request before it is answered.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.shown: list[tuple[str, str | None]] = []
        self.trouble: list[Trouble] = []
        self.cuts = 0
        self.before: Callable[[str], None] = lambda request: None
        self._store = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which a client finds it."""
        return {"AWS_ENDPOINT_URL": self.url, **KEYS}

    def client(self) -> Any:
        """A client of the test's own."""
        return self._client

    @cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="other-key",
            aws_secret_access_key="other-secret",
        )

    def __enter__(self) -> Self:
        self._thread.start()
        urllib.request.urlopen(f"{self.url}/moto-api/reset", data=b"").close()  # it keeps buckets while the process lives
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        key = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
        self.shown.append((key, environ.get("HTTP_X_AMZ_SECURITY_TOKEN")))
        own = key == KEYS["AWS_ACCESS_KEY_ID"]
        if own:
            query = environ.get("QUERY_STRING", "")
            self.asked.append(request + (f"?{query}" if query else ""))
            self.before(request)
        for trouble in self.trouble:
            if own and environ["REQUEST_METHOD"] in trouble.methods.split() and environ["PATH_INFO"].startswith(trouble.path):
                if trouble.skip:
                    trouble.skip -= 1
                elif trouble.times:
                    trouble.times -= 1
                    return self._refuse(trouble.code, environ, start)
        answer: Iterable[bytes] = self._store(environ, start)
        if own and self.cuts and environ["REQUEST_METHOD"] == "GET" and "list-type" not in environ["QUERY_STRING"]:
            self.cuts -= 1
            return _half(answer)
        return answer

    def _refuse(self, code: str, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>no</Message>'
            "<RequestId>1</RequestId><HostId>1</HostId></Error>"
        ).encode()
        empty = environ["REQUEST_METHOD"] == "HEAD"
        start(
            f"{_STATUS[code]} No", [("Content-Type", "application/xml"), ("Content-Length", "0" if empty else str(len(body)))]
        )
        return [b"" if empty else body]


def _half(answer: Iterable[bytes]) -> Iterator[bytes]:
    data = b"".join(answer)
    yield data[: len(data) // 2]
    raise ConnectionAbortedError
