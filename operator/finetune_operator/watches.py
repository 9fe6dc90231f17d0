"""kopf as an alarm clock: watch events become keys, and nothing else is taken from them.

Each handler returns None, or kopf would write its result into the object; none of them waits, fails or remembers a body.
kopf does not report deletions that fall into a gap of a watch, and reports an object that lost its label as deleted: so an
event means "look", never "this happened". A DELETED wakes like any other. What is remembered of jobs between events is
compared with each listing: a session of ours tells when kopf lists, for kopf tells nobody, least of all where nothing is left.
"""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import kopf

from finetune_api import meta
from finetune_api.v1alpha1.status import TERMINAL_PHASES
from finetune_operator.census import Census
from finetune_operator.doubts import has_ended
from finetune_operator.held import is_going
from finetune_operator.job_series import JobSeries
from finetune_operator.queue import Key, WorkQueue

_LISTING_SECONDS = 10.0
"""An ended child waits so long for the listing that says its job has ended too, and is then not looked at. So long after a
listing everything that it named has been handled."""


KINDS_WATCHED = 3
"""Jobs, child Jobs and pods: a stream each per namespace."""


@dataclass(slots=True)
class Wakeups:
    """What handlers may touch. kopf copies a memo for each object, so this one says that it is shared.

    Args:
        count: is told the kind of each event.
        census: is told the phase of each job.
        series: is told the status of each job.
    """

    queue: WorkQueue
    count: Callable[[str], None]
    census: Census
    series: JobSeries = field(default_factory=lambda: JobSeries(0))
    ended: set[Key] = field(default_factory=set)
    """Jobs of which nothing more can come: a restart with ten thousand of them asks the API server nothing."""
    gather_seconds: float = 0.3
    """A child's way to running is half a dozen events, and our own write of a status is one: they cost one look together."""
    listing_seconds: float = _LISTING_SECONDS
    suspects: set[Key] = field(default_factory=set)
    """Jobs with ended children in a listing, which will say soon whether they have ended themselves."""
    streams: weakref.WeakSet[aiohttp.ClientResponse] = field(default_factory=weakref.WeakSet)
    """Answers to requests to watch."""
    seen: dict[Key, int] = field(default_factory=dict)
    """What was seen of a live job but its progress: each report is an event, and none of them is news to us."""

    def __copy__(self) -> Wakeups:
        return self

    held: set[Key] = field(default_factory=set)
    """Jobs with a child that was deleted and is still there. The job itself may be gone, and then its walk is told by this."""

    @property
    def open_streams(self) -> int:
        """How many watches there are at this moment."""
        return sum(not stream.closed for stream in self.streams)

    def suspect(self, key: Key) -> None:
        """Look at a job with an ended child, unless it turns out to have ended, too."""
        if key not in self.ended and key not in self.suspects:
            self.suspects.add(key)
            asyncio.get_running_loop().call_later(self.listing_seconds, self._look_at_suspect, key)

    def _look_at_suspect(self, key: Key) -> None:
        self.suspects.discard(key)
        if key not in self.ended:
            self.queue.add(key)

    def forget(self, key: Key) -> None:
        """The job is gone, whoever noticed."""
        self.ended.discard(key)
        self.seen.pop(key, None)
        self.census.forget(key)
        self.series.forget(key)


def listening(
    info: kopf.ConnectionInfo, wakeups: Wakeups, fresh: Callable[[], kopf.ConnectionInfo | None]
) -> kopf.AiohttpSession:
    """kopf's connection as kopf would make it, that tells when jobs are listed and which watches are open.

    A watch follows each listing, on which kopf has handed out all that was listed.

    Args:
        fresh: the login as it is now. A token is renewed every hour, and kopf would learn of it by a refusal.
    """
    listed: set[str | None] = set()

    async def asked(session: Any, context: Any, request: aiohttp.TraceRequestStartParams) -> None:
        if now := fresh():
            request.headers.update(now.as_http_headers())
        if not request.url.path.endswith(f"/{meta.PLURAL}"):
            return
        namespace = _namespace_of(request.url.path)
        if request.url.query.get("watch") != "true":
            listed.add(namespace)
            if "continue" not in request.url.query:
                wakeups.census.doubt(namespace)
        elif namespace in listed:
            listed.discard(namespace)
            asyncio.get_running_loop().call_later(wakeups.listing_seconds, look_for_the_missing, namespace)

    def look_for_the_missing(namespace: str | None) -> None:
        for key in wakeups.census.doubted(namespace):
            wakeups.queue.add(key)

    async def answered(session: Any, context: Any, request: aiohttp.TraceRequestEndParams) -> None:
        if request.url.query.get("watch") == "true" and request.response.status == 200:
            wakeups.streams.add(request.response)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(asked)
    trace.on_request_end.append(answered)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        trace_configs=[trace],
    )
    return kopf.AiohttpSession(
        server=info.server,
        default_namespace=info.default_namespace,
        priority=info.priority,
        expiration=info.expiration,
        aiohttp_session=session,
    )


def _namespace_of(path: str) -> str | None:
    parts = path.split("/")
    return parts[parts.index("namespaces") + 1] if "namespaces" in parts else None


def register(registry: kopf.OperatorRegistry, login: Callable[..., Awaitable[kopf.AiohttpSession | None]]) -> None:
    """Hang the handlers into a registry."""
    kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(login)

    @kopf.on.event(meta.GROUP, meta.VERSION, meta.PLURAL, registry=registry)
    async def wake_for_job(
        *, memo: Any, body: Mapping[str, Any], namespace: str | None, name: str | None, **event: Any
    ) -> None:
        wake_job(memo, Key(namespace or "", name or ""), body, event["type"])

    @kopf.on.event("batch", "v1", "jobs", labels={meta.JOB_LABEL: kopf.PRESENT}, registry=registry)
    async def wake_for_child(
        *, memo: Any, body: Mapping[str, Any], namespace: str | None, labels: Mapping[str, str], **event: Any
    ) -> None:
        status, is_listed = body.get("status") or {}, event["type"] is None
        # Of a Job that goes on, an ended pod is news; in a listing only the end of the whole Job may be left unread.
        ended = has_ended(dict(body)) or (not is_listed and bool(status.get("failed") or status.get("succeeded")))
        key = Key(namespace or "", labels[meta.JOB_LABEL])
        if event["type"] != "DELETED" and is_going(dict(body)):
            memo.held.add(key)
        wake_child(memo, key, "jobs", event["type"], ended=ended)

    @kopf.on.event("", "v1", "pods", labels={meta.JOB_LABEL: kopf.PRESENT}, registry=registry)
    async def wake_for_pod(
        *, memo: Any, body: Mapping[str, Any], namespace: str | None, labels: Mapping[str, str], **event: Any
    ) -> None:
        ended = (body.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        wake_child(memo, Key(namespace or "", labels[meta.JOB_LABEL]), "pods", event["type"], ended=ended)


def wake_job(wakeups: Wakeups, key: Key, body: Mapping[str, Any], event: str | None) -> None:
    """A job is there or gone. One that has ended and is not to be removed needs nothing any more.

    Args:
        event: kopf's type of it. MODIFIED is of interest unless it is a report's; None, a listing, always is.
    """
    wakeups.count(meta.PLURAL)
    if event == "DELETED":
        wakeups.forget(key)
        wakeups.queue.add(key)
        return
    status, policy = body.get("status") or {}, (body.get("spec") or {}).get("runPolicy") or {}
    phase = status.get("phase")
    wakeups.census.note(key, phase)
    wakeups.series.note(key, status)
    generation = (body.get("metadata") or {}).get("generation")
    is_told = status.get("observedGeneration", generation) == generation
    if phase in TERMINAL_PHASES and status.get("completionTime") and policy.get("ttlSecondsAfterFinished") is None and is_told:
        # What is still to be done for it, a child to be stopped or an Event to be posted, stays in the queue.
        wakeups.ended.add(key)
        wakeups.seen.pop(key, None)
        return
    wakeups.ended.discard(key)
    known, wakeups.seen[key] = wakeups.seen.get(key), _all_but_progress(body)
    if event == "MODIFIED" and known == wakeups.seen[key]:
        return
    urgent = generation != status.get("observedGeneration")
    wakeups.queue.add(key, urgent=urgent, within=0.0 if urgent or event != "MODIFIED" else wakeups.gather_seconds)


def wake_child(wakeups: Wakeups, key: Key, kind: str, event: str | None, *, ended: bool) -> None:
    """A child Job or a pod changed.

    Args:
        event: kopf's type of it; None is a listing.
        ended: the pod, or one of the Job's. What has ended by the time of a listing is of interest only if its job has not.
    """
    wakeups.count(kind)
    if not key.name:  # a label without a value names no job, and a request without a name would list them all
        return
    if ended and event is None:
        wakeups.suspect(key)
        return
    # What is deleted with its job, a dozen objects, is one look.
    at_once = ended or (event == "DELETED" and key in wakeups.seen)
    wakeups.queue.add(key, within=0.0 if at_once else wakeups.gather_seconds)


def _all_but_progress(body: Mapping[str, Any]) -> int:
    metadata, status = body.get("metadata") or {}, body.get("status") or {}
    told = {name: value for name, value in status.items() if name != "progress"}
    shown = (metadata.get("uid"), metadata.get("generation"), metadata.get("deletionTimestamp"), told)
    return hash(json.dumps(shown, sort_keys=True, default=str))


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf would copy and compare each body twice for handlers that we do not have: half of its cost per event."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> None:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Nothing is kept on the objects: GitOps tools own them."""


class _NoProgress(kopf.ProgressStorage):
    """kopf's own bookkeeping on the objects, of which there is none."""

    def fetch(self, *, key: Any, body: Any) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        """Nothing is kept on the objects."""

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        """Nothing is kept on the objects."""

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        """Nothing is kept on the objects."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def kopf_settings() -> kopf.OperatorSettings:
    """kopf's settings. Each differs from the default for a measured reason."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # no watches on CRDs and namespaces, and no RBAC for them
    settings.posting.enabled = False  # we post our own, on transitions
    settings.peering.standalone = True  # a stranger's peering object would freeze us
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.queueing.idle_timeout = 0.2  # each object keeps two tasks and its body so long; at 5 s 10,000 take 230 MB
    settings.watching.chunk_size = 200  # a listing in one piece peaks at four times the memory
    settings.watching.label_selectors["v1", "pods"] = meta.JOB_LABEL
    settings.watching.label_selectors["batch", "v1", "jobs"] = meta.JOB_LABEL
    settings.networking.request_timeout, settings.networking.connect_timeout = 30, 10
    return settings
