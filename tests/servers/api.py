"""An API server small enough to read: objects, versions, owners, watches, and every answer that a real one gives when it is
busy, behind, or against it. Schemas, field ownership and RBAC are for a real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from finetune_operator.stored import merged

Object = dict[str, Any]
Resource = tuple[str, str]
RESOURCES: dict[Resource, str] = {
    ("v1", "pods"): "Pod",
    ("v1", "namespaces"): "Namespace",
    ("v1", "configmaps"): "ConfigMap",
    ("v1", "services"): "Service",
    ("v1", "secrets"): "Secret",
    ("v1", "events"): "Event",
    ("v1", "persistentvolumeclaims"): "PersistentVolumeClaim",
    ("batch/v1", "jobs"): "Job",
    ("networking.k8s.io/v1", "networkpolicies"): "NetworkPolicy",
    ("events.k8s.io/v1", "events"): "Event",
    ("coordination.k8s.io/v1", "leases"): "Lease",
    ("finetune.dev/v1alpha1", "finetunejobs"): "FineTuneJob",
}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


@dataclass
class Answer:
    """What is said instead of the truth, so many times, to requests of this method whose URL holds this part."""

    status: int
    times: int = 1
    method: str = ""
    part: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    done: bool = False
    """Carried out all the same, as when the true answer is lost."""


@dataclass(eq=False)
class Watcher:
    resource: Resource
    selector: str
    name: str = ""
    lines: asyncio.Queue[Object | None] = field(default_factory=asyncio.Queue)


class ApiServer:
    """The server. `url` is set while it serves."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Resource, str, str], Object] = {}
        self.instead: list[Answer] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.counts: Counter[str] = Counter()
        self.watchers: list[Watcher] = []
        self.reviews: dict[str, Object] = {}
        """Token to the status of its TokenReview."""
        self.url = ""
        self._numbers = itertools.count(1000)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[ApiServer]:
        """Serve on a port of the loopback."""
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = "http://127.0.0.1:{1}".format(*runner.addresses[0][:2])
        try:
            yield self
        finally:
            for watcher in self.watchers:
                watcher.lines.put_nowait(None)
            await runner.cleanup()

    def put(self, resource: Resource, found: Object) -> Object:
        """Write an object and tell the watchers."""
        metadata = found.setdefault("metadata", {})
        number = str(next(self._numbers))
        key = (resource, metadata.setdefault("namespace", "ml"), metadata["name"])
        old = self.objects.get(key)
        metadata.setdefault("uid", old["metadata"]["uid"] if old else f"uid-{number}")
        # As of now: whoever reads it has the machine's clock, and would think a fixed time far past or not yet come.
        metadata.setdefault("creationTimestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        metadata["resourceVersion"] = number
        known = old["metadata"]["generation"] if old else 0
        metadata["generation"] = known + (old is None or old.get("spec") != found.get("spec"))
        found.setdefault("apiVersion", resource[0])
        found.setdefault("kind", RESOURCES[resource])
        self.objects[key] = found
        self._tell(resource, "ADDED" if old is None else "MODIFIED", found)
        return found

    def drop(self, resource: Resource, name: str, namespace: str = "ml", *, unseen: bool = False) -> None:
        """Delete an object; unseen: in a gap of the watches."""
        found = self.objects.pop((resource, namespace, name))
        if not unseen:
            self._tell(resource, "DELETED", found)

    def expire_watches(self) -> None:
        """410: every watch has to list again."""
        gone = {"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "too old resource version"}
        for watcher in self.watchers:
            watcher.lines.put_nowait({"type": "ERROR", "object": gone})
            watcher.lines.put_nowait(None)

    def _tell(self, resource: Resource, what: str, found: Object) -> None:
        for watcher in self.watchers:
            named = watcher.name in ("", found["metadata"]["name"])
            if watcher.resource == resource and named and _matches(found, watcher.selector):
                watcher.lines.put_nowait({"type": what, "object": found})

    def _catch_up(self, watcher: Watcher, version: int) -> None:
        """What was written between the listing of this version and the watch."""
        for (resource, *_), found in self.objects.items():
            named = watcher.name in ("", found["metadata"]["name"])
            later = int(found["metadata"]["resourceVersion"]) > version
            if resource == watcher.resource and named and later and _matches(found, watcher.selector):
                watcher.lines.put_nowait({"type": "MODIFIED", "object": found})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        parsed = json.loads(body) if body else None
        self.requests.append((request.method, str(request.rel_url), dict(request.headers), parsed))
        for lie in self.instead:
            if lie.times and lie.method in ("", request.method) and lie.part in str(request.rel_url):
                lie.times -= 1
                if lie.done:
                    await self._route(request, parsed)
                return web.Response(status=lie.status, headers=lie.headers, body=lie.body or _status(lie.status, "Told"))
        return await self._route(request, parsed)

    async def _route(self, request: web.Request, body: Any) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts in (["api"], ["apis"], ["version"]):
            return web.json_response(_roots(parts[0]))
        api, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        if not rest:
            return _discovery(api)
        namespace = rest[1] if rest[0] == "namespaces" else ""
        rest = rest[2:] if namespace else rest
        resource, name = (api, rest[0]), rest[1] if len(rest) > 1 else ""
        sub = rest[2] if len(rest) > 2 else ""
        if rest == ["tokenreviews"]:
            self.counts["post tokenreviews"] += 1
            return web.json_response({**body, "status": self.reviews.get(body["spec"]["token"], {})}, status=201)
        if resource not in RESOURCES:
            return _refusal(404, "NotFound")
        watching = request.query.get("watch") == "true"
        verb = {"GET": "get" if name else "watch" if watching else "list"}.get(request.method, request.method.lower())
        self.counts[f"{verb} {rest[0]}"] += 1
        if verb == "watch":
            return await self._watch(request, resource)
        if verb == "list":
            return self._list(request, resource, namespace)
        if verb == "post":
            return self._create(resource, namespace, body)
        key = (resource, namespace, name)
        if key not in self.objects:
            return _refusal(404, "NotFound", f'{rest[0]} "{name}" not found')
        if verb == "get":
            return web.json_response(self.objects[key])
        if verb == "delete":
            return self._delete(resource, key, body or {})
        return self._patch(resource, key, sub, body)

    def _list(self, request: web.Request, resource: Resource, namespace: str) -> web.Response:
        selector = request.query.get("labelSelector", "")
        found = [
            o for (r, ns, _), o in self.objects.items() if r == resource and namespace in ("", ns) and _matches(o, selector)
        ]
        if name := _name_alone(request):
            found = [o for o in found if o["metadata"]["name"] == name]
        if "involvedObject.uid=" in request.query.get("fieldSelector", ""):
            uid = request.query["fieldSelector"].partition("=")[2]
            found = [o for o in found if o["involvedObject"]["uid"] == uid]
        limit, start = int(request.query.get("limit") or 0) or len(found) or 1, int(request.query.get("continue") or 0)
        more = str(start + limit) if start + limit < len(found) else ""
        page = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in found[start : start + limit]]
        metadata = {"resourceVersion": str(next(self._numbers)), "continue": more}
        body = {"kind": f"{RESOURCES[resource]}List", "apiVersion": resource[0], "metadata": metadata, "items": page}
        return web.json_response(body)

    async def _watch(self, request: web.Request, resource: Resource) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watcher = Watcher(resource, request.query.get("labelSelector", ""), _name_alone(request))
        self.watchers.append(watcher)
        self._catch_up(watcher, int(request.query.get("resourceVersion") or next(self._numbers)))
        try:
            while (line := await watcher.lines.get()) is not None:
                await response.write(json.dumps(line).encode() + b"\n")
        except ConnectionError:
            pass
        finally:
            self.watchers.remove(watcher)
        return response

    def _create(self, resource: Resource, namespace: str, body: Object) -> web.Response:
        if (resource, namespace, body["metadata"]["name"]) in self.objects:
            return _refusal(409, "AlreadyExists", f'{resource[1]} "{body["metadata"]["name"]}" already exists')
        body["metadata"]["namespace"] = namespace
        return web.json_response(self.put(resource, body), status=201)

    def _delete(self, resource: Resource, key: tuple[Resource, str, str], options: Object) -> web.Response:
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != self.objects[key]["metadata"]["uid"]:
            return _refusal(409, "Conflict", "Precondition failed: UID in precondition")
        self.drop(resource, key[2], key[1])
        return web.json_response({"kind": "Status", "status": "Success"})

    def _patch(self, resource: Resource, key: tuple[Resource, str, str], sub: str, body: Object) -> web.Response:
        version = body.get("metadata", {}).pop("resourceVersion", None)
        if version and version != self.objects[key]["metadata"]["resourceVersion"]:
            return _refusal(409, "Conflict", "the object has been modified")
        change = {"status": body.get("status")} if sub == "status" else {k: v for k, v in body.items() if k != "status"}
        return web.json_response(self.put(resource, merged(self.objects[key], change)))


def _matches(found: Object, selector: str) -> bool:
    labels = found["metadata"].get("labels") or {}
    terms = [term.partition("=") for term in selector.split(",") if term]
    return all(labels.get(name) == value if equals else name in labels for name, equals, value in terms)


def _name_alone(request: web.Request) -> str:
    """The one object that is asked for; empty if all are."""
    fields = request.query.get("fieldSelector", "")
    return fields.partition("=")[2] if fields.startswith("metadata.name=") else ""


def _roots(what: str) -> Object:
    groups = sorted({api for api, _ in RESOURCES if "/" in api})
    versions = [(api.partition("/")[0], {"groupVersion": api, "version": api.partition("/")[2]}) for api in groups]
    if what == "apis":
        return {"groups": [{"name": name, "versions": [v], "preferredVersion": v} for name, v in versions]}
    return {"versions": ["v1"], "major": "1", "minor": "36"}


def _discovery(api: str) -> web.Response:
    found = []
    for (version, plural), kind in RESOURCES.items():
        if version == api:
            entry = {"singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": VERBS}
            found += [{"name": plural, **entry}, {"name": f"{plural}/status", **entry}]
    if not found:
        return _refusal(404, "NotFound")
    return web.json_response({"kind": "APIResourceList", "groupVersion": api, "resources": found})


def _status(code: int, reason: str, message: str = "") -> bytes:
    said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}
    return json.dumps(said).encode()


def _refusal(code: int, reason: str, message: str = "") -> web.Response:
    return web.Response(status=code, body=_status(code, reason, message), content_type="application/json")
