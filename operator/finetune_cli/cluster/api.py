"""What the command line asks of an API server, and how its answers read to a person.

It shares the operator's one way of asking (finetune_operator.exchange) and not its verbs: a person may read more
than the operator does, writes almost nothing, and wants one sentence where the operator wants a class of error.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from finetune_api.errors import ClusterError, NotFound, UserError
from finetune_cli.cluster.kinds import ACCESS_REVIEW
from finetune_cli.cluster.login import Login
from finetune_operator.exchange import exchange, refusal
from finetune_operator.kinds import FINE_TUNE_JOB, POD, Kind, Manifest

MANAGER = "finetune-cli"
Query = tuple[tuple[str, str], ...]
_JSON, _APPLY = "application/json", "application/apply-patch+yaml"
_METADATA_ALONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PAGE = 500
_WATCH_SECONDS = 300


class Api:
    """One API server, as one person."""

    def __init__(self, login: Login, *, timeout_seconds: float = 30.0) -> None:
        self.client = login.client
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=5)
        self.namespace = login.namespace
        self.place = login.place

    # ------------------------------------------------------------ reading

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest:
        """One object. Raises: NotFound."""
        return {**await self._ask("GET", kind.path(namespace, name), kind=kind)}

    async def find(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest | None:
        """One object, None if there is none."""
        try:
            return await self.get(kind, name, namespace)
        except NotFound:
            return None

    async def metadata(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest | None:
        """Metadata of one object, None if there is none. What it holds is not sent: a Secret's values stay where they are."""
        try:
            found = await self._ask("GET", kind.path(namespace, name), kind=kind, accept=_METADATA_ALONE)
        except NotFound:
            return None
        metadata: Manifest = found.get("metadata") or {}
        return metadata

    async def find_all(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None, fields: str = ""
    ) -> list[Manifest]:
        """All objects of a kind, of one namespace or of all."""
        found, _ = await self._list(kind, namespace, _selecting(labels, fields))
        return found

    async def follow(self, kind: Kind, namespace: str | None = None, *, name: str = "") -> AsyncIterator[list[Manifest]]:
        """All objects of a kind, as they are and again after every change, until the reader has enough.

        A server that goes away in between is waited for: five minutes, then it is an error.
        """
        query = _selecting(None, f"metadata.name={name}" if name else "")
        failures = 0
        while True:
            try:
                found, version = await self._list(kind, namespace, query)
                known = {_key(one): one for one in found}
                yield list(known.values())
                failures = 0
                async for event in self._watch(kind, namespace, (*query, ("resourceVersion", version))):
                    changed = event.get("object") or {}
                    if event.get("type") == "ERROR":  # the version is too old: list anew
                        break
                    if event.get("type") == "BOOKMARK":
                        continue
                    if event.get("type") == "DELETED":
                        known.pop(_key(changed), None)
                    else:
                        known[_key(changed)] = changed
                    yield list(known.values())
            except ClusterError as error:
                failures += 1
                if failures == 1 and not may_pass(error):
                    raise
                if failures > 60 or not may_pass(error):
                    raise
                await asyncio.sleep(5)

    async def log(self, namespace: str, pod: str, *, follow: bool, since: str = "") -> AsyncIterator[bytes]:
        """Lines of a pod's log, each begun with its time as RFC 3339.

        Args:
            since: RFC 3339; earlier lines are left out, those of the same second may come again.
        Raises: ClusterError, also in the middle.
        """
        query: Query = (("timestamps", "true"), ("follow", "true" if follow else "false"))
        if since:
            query = (*query, ("sinceTime", since))
        async with self._stream(POD.path(namespace, pod, "log"), query) as chunks:
            async for line in _lines(chunks):
                yield line

    async def may(self, verb: str, kind: Kind, namespace: str, subresource: str = "") -> bool:
        """Whether this person may do that, as the server itself judges."""
        group = kind.api_version.rpartition("/")[0]
        attributes = {"verb": verb, "group": group, "resource": kind.plural, "namespace": namespace, "subresource": subresource}
        body = {"apiVersion": ACCESS_REVIEW.api_version, "kind": ACCESS_REVIEW.name, "spec": {"resourceAttributes": attributes}}
        answer = await self._ask("POST", ACCESS_REVIEW.path(), body)
        return bool((answer.get("status") or {}).get("allowed"))

    async def version(self) -> str:
        """What the server calls itself, such as v1.36.0."""
        return str((await self._ask("GET", "/version")).get("gitVersion") or "")

    async def serves(self, api_version: str) -> bool:
        """Whether the server knows an API group in this version."""
        try:
            await self._ask("GET", f"/apis/{api_version}")
        except NotFound:
            return False
        return True

    async def versions(self, group: str) -> list[str]:
        """In which versions the server serves an API group; none if it does not know it."""
        try:
            answer = await self._ask("GET", f"/apis/{group}")
        except NotFound:
            return []
        return [str(one.get("version")) for one in answer.get("versions") or ()]

    # ------------------------------------------------------------ writing

    async def create(self, kind: Kind, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create an object; dry run: have the server check all it would check, and keep nothing."""
        query: Query = (("fieldManager", MANAGER), *((("dryRun", "All"),) if dry_run else ()))
        return await self._ask("POST", kind.path(manifest["metadata"]["namespace"]), manifest, query)

    async def try_apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """What the server would make of an apply; nothing is kept."""
        metadata = manifest["metadata"]
        query: Query = (("fieldManager", MANAGER), ("force", "true"), ("dryRun", "All"), ("fieldValidation", "Strict"))
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._ask("PATCH", path, manifest, query, content=_APPLY, kind=kind)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete this very object at once; already gone is success."""
        options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._ask("DELETE", kind.path(namespace, name), options)
        except NotFound:
            return

    # ------------------------------------------------------------ one request

    async def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Query = (),
        *,
        content: str = _JSON,
        accept: str = _JSON,
        kind: Kind | None = None,
    ) -> Manifest:
        try:
            _, answer = await exchange(
                self.client, method, path, body, query, content=content, accept=accept, limit=self._timeout
            )
        except NotFound as error:
            if kind is FINE_TUNE_JOB and error.reason == "Unknown":  # no Status object: the path itself is not known
                raise _not_installed(self.place) from None
            raise
        return answer

    async def _list(self, kind: Kind, namespace: str | None, query: Query) -> tuple[list[Manifest], str]:
        found: list[Manifest] = []
        more = ""
        while True:
            page: Query = (*query, ("limit", str(_PAGE)), *((("continue", more),) if more else ()))
            answer = await self._ask("GET", kind.path(namespace), None, page, kind=kind)
            found += [{"apiVersion": kind.api_version, "kind": kind.name, **item} for item in answer.get("items") or ()]
            metadata = answer.get("metadata") or {}
            more = metadata.get("continue") or ""
            if not more:
                return found, str(metadata.get("resourceVersion") or "")

    async def _watch(self, kind: Kind, namespace: str | None, query: Query) -> AsyncIterator[Manifest]:
        further: Query = (("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", str(_WATCH_SECONDS)))
        async with self._stream(kind.path(namespace), (*query, *further)) as chunks:
            async for line in _lines(chunks):
                if event := _json(line):
                    yield event

    @asynccontextmanager
    async def _stream(self, path: str, query: Query) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer as it comes in, for as long as it comes."""
        request = await self.client.param_serialize(
            "GET", path, query_params=list(query), header_params={"Accept": "*/*"}, auth_settings=["BearerToken"]
        )
        try:
            answer = await self.client.call_api(*request, _request_timeout=aiohttp.ClientTimeout(total=None, sock_connect=5))
            response = answer.response
            if response.status >= 300:
                raise refusal(response.status, _json(await response.read()), response.headers.get("Retry-After"))
            try:
                yield response.content.iter_any()
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterError(f"the API server did not answer: {type(error).__name__}", reason=type(error).__name__) from error

    def explained(self, error: ClusterError) -> UserError:
        """An answer in one sentence for a person."""
        match error.status:
            case 0:
                return UserError(f"the API server of {self.place} does not answer: {_trouble(error)}")
            case 401:
                return UserError(f"the login to {self.place} is not valid or has expired", hint="Log in again, as for kubectl.")
            case 403:
                said = error.message.partition("is forbidden: ")[2] or error.message
                return UserError(f"not allowed: {said}", hint="Ask for a role that may, or name another namespace with -n.")
            case 404:
                return UserError(error.message)
            case _:
                return UserError(f"the API server of {self.place} answered {error.status}: {error.message}")


def _not_installed(place: str) -> UserError:
    return UserError(
        f"{place} knows no FineTuneJobs: the definition is not installed",
        hint="Install the operator's chart (helm/finetune-operator), which brings it.",
    )


def may_pass(error: ClusterError) -> bool:
    """Whether the same question may be answered later."""
    return error.status in (0, 410, 429) or error.status >= 500


def _trouble(error: ClusterError) -> str:
    """Why there was no answer, without the library's words."""
    cause = error.__cause__
    inner = getattr(cause, "os_error", None) or cause
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(inner, ssl.SSLError | ssl.CertificateError) or isinstance(cause, aiohttp.ClientSSLError):
        return "its certificate is not trusted, or its TLS is of another kind"
    if isinstance(cause, TimeoutError):
        return "it did not answer in time"
    if isinstance(inner, ConnectionRefusedError):
        return "connection refused"
    return str(getattr(inner, "strerror", None) or error.reason or "the connection broke")


def _selecting(labels: Mapping[str, str] | None, fields: str) -> Query:
    chosen = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
    pairs = (("labelSelector", chosen), ("fieldSelector", fields))
    return tuple((name, value) for name, value in pairs if value)


def _key(manifest: Manifest) -> tuple[str, str]:
    metadata = manifest.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _json(text: bytes) -> Manifest:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines, without their ends. aiohttp's own reader refuses lines beyond a limit."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest
