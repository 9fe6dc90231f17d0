"""kopf as an alarm clock: watch events become keys, and nothing else is taken from them.

Each handler returns None, or kopf would write its result into the object; none of them waits, fails or remembers a body.
kopf does not report deletions that fall into a gap of a watch, and reports an object that lost its label as deleted: so an
event means "look", never "this happened". A DELETED wakes like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import kopf

from finetune_api import meta
from finetune_api.v1alpha1.status import Phase
from finetune_operator.doubts import has_ended
from finetune_operator.queue import Key, WorkQueue

_LISTING_SECONDS = 10.0
"""An ended child waits so long for the listing that says its job has ended too, and is then not looked at."""


@dataclass(slots=True)
class Wakeups:
    """What handlers may touch. kopf copies a memo for each object, so this one says that it is shared.

    Args:
        count: is told the kind of each event.
    """

    queue: WorkQueue
    count: Callable[[str], None]
    ended: set[Key] = field(default_factory=set)
    """Jobs of which nothing more can come: a restart with ten thousand of them asks the API server nothing."""
    seen: dict[Key, int] = field(default_factory=dict)
    """What was seen of a live job but its progress: each report is an event, and none of them is news to us."""

    def __copy__(self) -> Wakeups:
        return self


def register(registry: kopf.OperatorRegistry, login: Callable[..., kopf.ConnectionInfo | None]) -> None:
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
        listed = event["type"] is None
        wake_child(memo, Key(namespace or "", labels[meta.JOB_LABEL]), "jobs", settled=listed and has_ended(dict(body)))

    @kopf.on.event("", "v1", "pods", labels={meta.JOB_LABEL: kopf.PRESENT}, registry=registry)
    async def wake_for_pod(
        *, memo: Any, body: Mapping[str, Any], namespace: str | None, labels: Mapping[str, str], **event: Any
    ) -> None:
        ended = (body.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        wake_child(memo, Key(namespace or "", labels[meta.JOB_LABEL]), "pods", settled=event["type"] is None and ended)


def wake_job(wakeups: Wakeups, key: Key, body: Mapping[str, Any], event: str | None) -> None:
    """A job is there or gone. One that has ended and is not to be removed needs nothing any more.

    Args:
        event: kopf's type of it. MODIFIED is of interest unless it is a report's; None, a listing, always is.
    """
    wakeups.count(meta.PLURAL)
    if event == "DELETED":
        wakeups.ended.discard(key)
        wakeups.seen.pop(key, None)
        wakeups.queue.add(key)
        return
    status, policy = body.get("status") or {}, (body.get("spec") or {}).get("runPolicy") or {}
    phase = status.get("phase")
    over = phase in _TERMINAL and status.get("completionTime") and policy.get("ttlSecondsAfterFinished") is None
    if over and key in wakeups.ended:
        return
    if over:
        wakeups.ended.add(key)
        wakeups.seen.pop(key, None)
        wakeups.queue.drop(key)
        return
    wakeups.ended.discard(key)
    known, wakeups.seen[key] = wakeups.seen.get(key), _all_but_progress(body)
    if event == "MODIFIED" and known == wakeups.seen[key]:
        return
    urgent = (body.get("metadata") or {}).get("generation") != status.get("observedGeneration")
    wakeups.queue.add(key, urgent=urgent)


def wake_child(wakeups: Wakeups, key: Key, kind: str, *, settled: bool) -> None:
    """A child Job or a pod changed.

    Args:
        settled: it was listed, not changed, and has ended: of interest only if its job has not.
    """
    wakeups.count(kind)
    if not settled:
        wakeups.queue.add(key)
    elif key not in wakeups.ended:
        wakeups.queue.add_after(key, _LISTING_SECONDS)


def _all_but_progress(body: Mapping[str, Any]) -> int:
    metadata, status = body.get("metadata") or {}, body.get("status") or {}
    told = {name: value for name, value in status.items() if name != "progress"}
    shown = (metadata.get("uid"), metadata.get("generation"), metadata.get("deletionTimestamp"), told)
    return hash(json.dumps(shown, sort_keys=True, default=str))


_TERMINAL = frozenset(phase for phase in Phase if phase.terminal)


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
