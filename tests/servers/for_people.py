"""What a person's tools ask of an API server besides what an operator does: logs, commands in containers, rights, metadata
alone, trying without keeping."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from servers.api import RESOURCES, ApiServer, Object, Resource, _refusal

RESOURCES.update(
    {
        ("v1", "nodes"): "Node",
        ("v1", "resourcequotas"): "ResourceQuota",
        ("v1", "limitranges"): "LimitRange",
        ("v1", "serviceaccounts"): "ServiceAccount",
        ("apps/v1", "deployments"): "Deployment",
        ("storage.k8s.io/v1", "storageclasses"): "StorageClass",
        ("scheduling.k8s.io/v1", "priorityclasses"): "PriorityClass",
        ("node.k8s.io/v1", "runtimeclasses"): "RuntimeClass",
    }
)


@dataclass(eq=False)
class PodLog:
    """What a container says: lines, each begun with its time. Whoever follows gets what comes until it is over."""

    lines: list[bytes] = field(default_factory=list)
    over: bool = True
    cut_after: int | None = None
    """Break the connection after so many lines, once."""


class ApiForPeople(ApiServer):
    """The server, with these besides."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[str, PodLog] = {}
        self.denied: set[tuple[str, str]] = set()
        """Verb and resource, as in ("create", "pods/exec"), that nobody may."""
        self.reports: dict[str, bytes] = {}
        """Files that a command in a container packs and writes to its standard output."""
        self.instead_of_reports: bytes | None = None
        self.new_pods: Object = {"phase": "Running", "containerStatuses": [{"name": "trainer", "state": {"running": {}}}]}
        """Status that a pod has from the beginning."""

    async def _route(self, request: web.Request, body: Any) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts[-1] == "selfsubjectaccessreviews":
            asked = body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            allowed = (asked["verb"], resource) not in self.denied
            return web.json_response({**body, "status": {"allowed": allowed}}, status=201)
        if parts == ["version"]:
            return web.json_response({"gitVersion": "v1.36.0"})
        if parts[0] == "apis" and len(parts) == 2:
            known = sorted({api for api, _ in RESOURCES if api.startswith(f"{parts[1]}/")})
            versions = [{"version": api.partition("/")[2]} for api in known]
            return web.json_response({"versions": versions}) if known else _refusal(404, "NotFound")
        if parts[:3] == ["api", "v1", "namespaces"] and len(parts) == 4:
            there = self.objects.get((("v1", "namespaces"), "", parts[3]))
            return web.json_response(there) if there else _refusal(404, "NotFound")
        if request.query.get("dryRun") == "All":
            return web.json_response(body)
        if parts[-1] == "log":
            return await self._log(request, parts[-2])
        if parts[-1] == "exec":
            return await self._exec(request)
        found = await super()._route(request, body)
        if "PartialObjectMetadata" in request.headers.get("Accept", "") and found.status == 200:
            assert isinstance(found, web.Response)
            whole = json.loads(found.body or b"{}")  # type: ignore[arg-type]
            return web.json_response({"kind": "PartialObjectMetadata", "metadata": whole["metadata"]})
        return found

    def _create(self, resource: Resource, namespace: str, body: Object) -> web.Response:
        metadata = body["metadata"]
        if "generateName" in metadata:
            metadata["name"] = metadata.pop("generateName") + str(next(self._numbers))
        if resource == ("v1", "pods"):
            body["status"] = self.new_pods
        return super()._create(resource, namespace, body)

    async def _log(self, request: web.Request, pod: str) -> web.StreamResponse:
        log = self.logs.get(pod)
        if log is None:
            return _refusal(400, "BadRequest", f'container "trainer" in pod "{pod}" is waiting to start')
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        since = request.query.get("sinceTime", "")[:19].encode()
        sent = 0
        while True:
            while sent < len(log.lines):
                if log.lines[sent][:19] >= since:
                    await response.write(log.lines[sent] + b"\n")
                sent += 1
                if sent == log.cut_after:
                    log.cut_after = None
                    assert request.transport is not None
                    request.transport.close()
                    return response
            if log.over or request.query.get("follow") != "true":
                return response
            await asyncio.sleep(0.01)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        content = self.instead_of_reports if self.instead_of_reports is not None else packed(self.reports)
        for begin in range(0, len(content), 1000):
            await socket.send_bytes(b"\x01" + content[begin : begin + 1000])
        await socket.send_bytes(b"\x03" + json.dumps({"status": "Success"}).encode())
        await socket.close()
        return socket


def packed(files: dict[str, bytes]) -> bytes:
    """A compressed tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
