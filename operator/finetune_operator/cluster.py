"""What the operator asks of the API server: dicts in, dicts out, one method per intention, within a budget of calls.

Whatever is not success arrives as one of our errors (exchange.py), and nothing is written by a process that no longer leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from finetune_api.errors import ClusterError, Conflict, NotFound, Taken
from finetune_operator.exchange import JSON, Client, Query, exchange
from finetune_operator.kinds import EVENT, FINE_TUNE_JOB, TOKEN_REVIEW, Kind, Manifest, Ref, owner_uid, ref_of

FIELD_MANAGER = "finetune-operator"
PROGRESS_MANAGER = "finetune-operator-progress"
"""Writes status.progress alone, as a second field manager beside the one that writes the rest of the status."""

_MERGE, _APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
_PAGE = 500


class Limiter:
    """A token bucket: so many calls a second, more in a burst. Callers are served in order.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._left, self._at = burst, clock()
        self._lock = asyncio.Lock()

    async def wait(self) -> None:
        """Until there is room for one more call."""
        async with self._lock:
            self._refill()
            while self._left < 1:
                await asyncio.sleep((1 - self._left) / self._rate)
                self._refill()
            self._left -= 1

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now


class KubernetesCluster:
    """The calls that the operator makes, and no others.

    Args:
        client: of the kubernetes package, as `connect` makes it.
        may_write: asked before each write, after any wait: a process that was paused learns here that it no longer leads.
        count: is told verb, plural and HTTP status of each call.
        timeout_seconds: for one request.
    """

    def __init__(
        self,
        client: Client,
        limiter: Limiter,
        *,
        may_write: Callable[[], bool] = lambda: True,
        count: Callable[[str, str, int], None] = lambda verb, plural, status: None,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._client, self._limiter, self._may_write, self._count = client, limiter, may_write, count
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=5)

    async def get(self, ref: Ref) -> Manifest:
        """Read one object. Raises: NotFound."""
        return await self._call("get", ref.kind, _path(ref))

    async def find(self, kind: Kind, namespace: str, *, labels: Mapping[str, str]) -> list[Manifest]:
        """Read all that carry these labels, as they are now: a cached answer could bring a finished step back."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        return await self._list(kind, namespace, (("labelSelector", selector),))

    async def lists(self, kind: Kind, namespace: str) -> None:
        """Whether these may be listed here, tried out. Raises: Refused, NotFound."""
        await self._call("list", kind, kind.path(namespace), None, (("limit", "1"),))

    async def events_about(self, namespace: str, uid: str) -> list[Manifest]:
        """The Events about one object."""
        return await self._list(EVENT, namespace, (("fieldSelector", f"involvedObject.uid={uid}"),))

    async def create(self, manifest: Manifest) -> None:
        """Create once; one of the same owner that is already there is success, unless it is on its way out.

        Raises: Taken if the name belongs to another owner's object or one that is being deleted; Refused.
        """
        ref = ref_of(manifest)
        query = (("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict"))
        try:
            await self._call("create", ref.kind, ref.kind.path(ref.namespace or None), manifest, query)
        except Conflict as error:
            if error.reason != "AlreadyExists":
                raise
            try:
                found = await self.get(ref)
            except NotFound:
                raise Conflict(f"{ref} was deleted this very moment", status=409) from None
            ending = found["metadata"].get("deletionTimestamp") is not None
            if ending or owner_uid(found) is None or owner_uid(found) != owner_uid(manifest):
                why = "is being deleted" if ending else "belongs to somebody else"
                raise Taken(f"{ref} exists already and {why}", status=409, reason="AlreadyExists") from None

    async def delete(self, ref: Ref, *, uid: str, pods_first: bool = False) -> None:
        """Delete this very object and, in the background, what it owns; already gone is success.

        Both must be said: by default a deleted Job leaves its pods running, and a name alone may be somebody else's by now.

        Args:
            pods_first: also of an object that is being deleted and held: what it owns goes before it.
        """
        options = {"propagationPolicy": "Foreground" if pods_first else "Background", "preconditions": {"uid": uid}}
        try:
            await self._call("delete", ref.kind, _path(ref), options)
        except NotFound:
            return
        except Conflict:
            found = await self._uid(ref)
            if found == uid:
                raise

    async def patch_status(self, ref: Ref, status: Manifest, *, version: str) -> Manifest:
        """Merge into the status, if nobody wrote since this version. Raises: Conflict."""
        body = {"metadata": {"resourceVersion": version}, "status": status}
        return await self._call("patch", ref.kind, _path(ref, "status"), body, (("fieldManager", FIELD_MANAGER),), _MERGE)

    async def patch(self, ref: Ref, body: Manifest, *, version: str) -> Manifest:
        """Merge into an object of the operator's own, if nobody wrote since this version. Raises: Conflict."""
        body = {**body, "metadata": {**body.get("metadata", {}), "resourceVersion": version}}
        return await self._call("patch", ref.kind, _path(ref), body, (("fieldManager", FIELD_MANAGER),), _MERGE)

    async def apply_progress(self, namespace: str, name: str, progress: Manifest, *, version: str) -> Manifest:
        """Write status.progress, if nobody wrote the job since this version. Raises: Conflict."""
        ref = Ref(FINE_TUNE_JOB, namespace, name)
        body = {
            "apiVersion": ref.kind.api_version,
            "kind": ref.kind.name,
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": version},
            "status": {"progress": progress},
        }
        query = (("fieldManager", PROGRESS_MANAGER), ("force", "true"))
        return await self._call("apply", ref.kind, _path(ref, "status"), body, query, _APPLY)

    async def serves(self, kind: Kind) -> bool:
        """Whether the server knows this kind: kopf would wait for a missing one without a word."""
        try:
            answer = await self._call("get", kind, f"/apis/{kind.api_version}")
        except NotFound:
            return False
        return any(resource.get("name") == kind.plural for resource in answer.get("resources") or ())

    async def review_token(self, token: str, audience: str) -> Manifest:
        """What the API server says of a token: the status of a TokenReview."""
        body = {"apiVersion": TOKEN_REVIEW.api_version, "kind": TOKEN_REVIEW.name}
        spec = {"token": token, "audiences": [audience]}
        answer = await self._call("create", TOKEN_REVIEW, TOKEN_REVIEW.path(), {**body, "spec": spec}, asks=True)
        status: Manifest = answer.get("status") or {}
        return status

    async def _uid(self, ref: Ref) -> str | None:
        try:
            found: str = (await self.get(ref))["metadata"]["uid"]
        except NotFound:
            return None
        return found

    async def _list(self, kind: Kind, namespace: str, query: Query) -> list[Manifest]:
        found: list[Manifest] = []
        more = ""
        while True:
            page: Query = (*query, ("limit", str(_PAGE)), *((("continue", more),) if more else ()))
            answer = await self._call("list", kind, kind.path(namespace), None, page)
            # The items of a list carry neither kind nor apiVersion.
            found += [{"apiVersion": kind.api_version, "kind": kind.name, **item} for item in answer.get("items") or ()]
            more = (answer.get("metadata") or {}).get("continue") or ""
            if not more:
                return found

    async def _call(
        self,
        verb: str,
        kind: Kind,
        path: str,
        body: Any = None,
        query: Query = (),
        content: str = JSON,
        *,
        asks: bool = False,
    ) -> Manifest:
        """One request. Raises: ClusterError.

        Args:
            asks: a POST that changes nothing, such as a review.
        """
        await self._limiter.wait()
        if verb not in ("get", "list") and not asks and not self._may_write():
            raise ClusterError("leadership was lost; nothing was written", reason="NotLeader")
        try:
            status, answer = await exchange(
                self._client, _METHODS[verb], path, body, query, content=content, limit=self._timeout
            )
        except ClusterError as error:
            self._count(verb, kind.plural, error.status)
            raise
        self._count(verb, kind.plural, status)
        return answer


_METHODS = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH", "apply": "PATCH", "delete": "DELETE"}


def _path(ref: Ref, subresource: str | None = None) -> str:
    return ref.kind.path(ref.namespace or None, ref.name, subresource)
