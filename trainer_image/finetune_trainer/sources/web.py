"""https://: one file over the standard library, and the requests with which hub.py downloads.

The token goes to the origin that the user named and nowhere else: file servers love to redirect to a storage host, and
urllib would carry every header along. A redirect from https to http is not followed at all.
"""

from __future__ import annotations

import http.client
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, NoReturn
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from finetune_api.errors import FinetuneError
from finetune_trainer.sources.connection import Headers, failure, is_busy, retry_after
from finetune_trainer.sources.credentials import Credentials
from finetune_trainer.sources.download import Body, Expected, Stale, download
from finetune_trainer.sources.location import Location, has_pattern
from finetune_trainer.sources.patience import Patience

logger = logging.getLogger(__name__)


Refusal = Callable[[int, Headers], FinetuneError]
"""What an answer with this status and these headers means to the user, where trying again cannot help."""

_URL = "/:?=&%@!$'()*+,;~[]"


class _UnsafeRedirect(Exception):
    pass


class _Redirects(HTTPRedirectHandler):
    """Follows redirects; keeps the token within one origin, and never leaves TLS."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if old.scheme == "https" and new.scheme != "https":
            raise _UnsafeRedirect
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and (old.scheme, old.netloc) == (new.scheme, new.netloc) and req.has_header("Authorization"):
            request.add_unredirected_header("Authorization", req.get_header("Authorization") or "")
        return request


@dataclass(frozen=True, slots=True)
class Client:
    """Asks for files on behalf of one URI.

    Args:
        location: the URI, for messages.
        opener: from `client`.
        token: sent as a bearer token to the origin asked, and to no other.
        patience: its timeout counts here.
    """

    location: Location
    opener: OpenerDirector
    token: str | None
    patience: Patience

    def get(self, url: str, offset: int, version: str | None, *, refusal: Refusal) -> Body:
        """Ask for a file from `offset` on.

        Args:
            url: of the file, with its query.
            offset: how many bytes are here already.
            version: strong ETag of what is here; None to go on whatever there is now, where the URL means one content.
            refusal: words an answer that is no success and will not become one.
        Raises: Again if another try may help; Stale if the offset cannot be met; `refusal`'s error; UserError for TLS.
        """
        request = Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "finetune-operator"})
        if offset:
            request.add_header("Range", f"bytes={offset}-")
            if version is not None:
                request.add_header("If-Range", version)
        if self.token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            response = self.opener.open(request, timeout=self.patience.timeout)
        except HTTPError as error:
            error.close()
            if error.code == 416 and version is not None and error.headers.get("Content-Range") == f"bytes */{offset}":
                return Body(read=lambda size: b"", close=error.close, offset=offset, size=offset, version=version)
            raise self._status(error.code, error.headers, refusal) from None
        except _UnsafeRedirect:
            raise self.location.problem("redirects from https to http, which is not followed") from None
        except (http.client.InvalidURL, UnicodeError):
            raise self.location.problem("is no valid address") from None
        except (OSError, http.client.HTTPException) as error:
            self._failed(error)
        return self._body(response, offset, version)

    def _status(self, status: int, headers: Headers, refusal: Refusal) -> Exception:
        if status == 416:
            return Stale()
        if is_busy(status):
            return self.location.again(f"answered with status {status}", after=retry_after(headers))
        return refusal(status, headers)

    def _failed(self, error: Exception) -> NoReturn:
        raise failure(self.location, error) from None

    def _body(self, response: http.client.HTTPResponse, offset: int, version: str | None) -> Body:
        length = response.headers.get("Content-Length")
        if length is None and not response.chunked:
            response.close()
            raise self.location.problem(
                "does not say how long it is, so that a broken connection would look like its end",
                hint="Serve it with Content-Length or in chunks.",
            )
        begins, etag = 0, response.headers.get("ETag")
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            begins = _begin(response.headers.get("Content-Range", ""))
            # A server, or a cache before it, that knows ranges need not know If-Range.
            if begins != offset or (version is not None and etag not in (None, version)):
                response.close()
                raise Stale
        return Body(
            read=lambda size: self._read(response, size),
            close=response.close,
            offset=begins,
            size=begins + int(length) if length is not None else None,
            version=etag if etag and not etag.startswith("W/") else None,
        )

    def _read(self, response: http.client.HTTPResponse, size: int) -> bytes:
        try:
            return response.read(size)
        except (OSError, http.client.HTTPException) as error:
            self._failed(error)


def client(location: Location, credentials: Credentials, patience: Patience, *, token: str | None) -> Client:
    """A client that trusts what the system trusts, or what SSL_CERT_FILE names, and uses the proxies of the environment."""
    bundle = credentials.get("SSL_CERT_FILE")
    try:
        trust = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise location.problem(f"cannot be trusted: SSL_CERT_FILE={bundle} is not readable ({error.strerror})") from None
    return Client(location, build_opener(HTTPSHandler(context=trust), _Redirects()), token, patience)


def _begin(content_range: str) -> int:
    start = content_range.removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else -1


@dataclass(frozen=True, slots=True)
class WebStore:
    """The one file that an https:// URI names."""

    location: Location
    client: Client
    path: str
    revision: str | None = None

    def is_file(self, path: str) -> bool:
        """Always: https has no directories."""
        return True

    def below(self, path: str) -> list[str]:
        """Never asked."""
        raise self.location.problem("names no file", hint="https:// takes one file, such as https://host/data.jsonl.")

    def bring(self, path: str, target: Path, *, stop: Event) -> Path:
        """Download it."""
        logger.info("downloading %s", self.location.shown)
        url = quote(f"{self.location.shown}{self.location.query.partition('#')[0]}", safe=_URL)
        return download(
            self.location,
            lambda offset, version: self.client.get(url, offset, version, refusal=self._refusal),
            target,
            Expected(),
            patience=self.client.patience,
            stop=stop,
        )

    def _refusal(self, status: int, headers: Headers) -> FinetuneError:
        hint = self.location.secret_hint("HTTPS_TOKEN")
        if status == 401:
            said = "does not accept the token" if self.client.token else "asks for a token"
            return self.location.problem(f"{said} (status 401)", hint=hint)
        if status == 403:
            return self.location.problem("may not be read with these credentials (status 403)", hint=hint)
        if status in (404, 410):
            return self.location.problem(f"does not exist (status {status})")
        return self.location.problem(f"answered with status {status}")


def open_web(location: Location, credentials: Credentials, patience: Patience) -> WebStore:
    """The file at an https:// URI.

    Raises: UserError if the URI ends without a file name or holds a pattern.
    """
    if has_pattern(location.path):
        raise location.problem("holds a pattern, but https:// names one file", hint="Give each file a dataset of its own.")
    if not location.path.rpartition("/")[2]:
        raise location.problem("names no file", hint="https:// takes one file, such as https://host/data.jsonl.")
    return WebStore(location, client(location, credentials, patience, token=credentials.get("HTTPS_TOKEN")), location.path)
