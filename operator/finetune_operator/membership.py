"""Whether a token speaks for an attempt of a job.

Signature, audience and namespace are not enough: then any pod of the namespace could report for any job. So the pod that the
API server names must be the one that exists, of the child Job that exists, of the job in the request. What the server says
of a token is believed for a minute; whose pod it is never changes and is asked once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from finetune_api import meta
from finetune_api.errors import FinetuneError, NotFound
from finetune_operator.kinds import CHILD_JOB, FINE_TUNE_JOB, POD, Manifest, Ref, owner_uid
from finetune_operator.queue import Key
from finetune_operator.reports import Reporter

_BELIEVED_SECONDS = 60.0
_REFUSED_SECONDS = 10.0
"""A wrong token is remembered too, or it could be used to make the API server work."""
_KEPT = 20_000
_POD_NAME, _POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"


class NotAuthenticated(FinetuneError):
    """The token is forged, expired, for somebody else, or of a pod that is gone."""


class NotAMember(FinetuneError):
    """The token is good, but its pod is no pod of this job."""


class Reviewer(Protocol):
    """What membership needs of the cluster."""

    async def get(self, ref: Ref) -> Manifest:
        """Read one object. Raises: NotFound."""

    async def review_token(self, token: str, audience: str) -> Manifest:
        """The status of a TokenReview."""


@dataclass(frozen=True, slots=True)
class _Pod:
    namespace: str
    name: str
    uid: str


class Members:
    """Answers from memory where it may.

    Args:
        audience: for which tokens must be made.
        monotonic: seconds that only rise.
    """

    def __init__(self, cluster: Reviewer, *, audience: str, monotonic: Callable[[], float]) -> None:
        self._cluster, self._audience, self._monotonic = cluster, audience, monotonic
        self._tokens: dict[bytes, tuple[float, _Pod | None]] = {}
        self._members: dict[str, Reporter | None] = {}

    async def reporter(self, token: str, key: Key) -> Reporter:
        """Who reports with this token for this job.

        Raises: NotAuthenticated, NotAMember; ClusterError if the API server cannot be asked.
        """
        pod = await self._pod(token)
        if pod is None:
            raise NotAuthenticated("the token is not valid here")
        if pod.uid not in self._members:
            _make_room(self._members)
            self._members[pod.uid] = await self._membership(pod)
        member = self._members[pod.uid]
        if member is None or member.key != key:
            raise NotAMember("the pod is none of this job's")
        return member

    async def _pod(self, token: str) -> _Pod | None:
        digest, now = hashlib.sha256(token.encode(errors="replace")).digest(), self._monotonic()
        known = self._tokens.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        pod = _pod_of(await self._cluster.review_token(token, self._audience), self._audience)
        _make_room(self._tokens)
        self._tokens[digest] = (now + (_BELIEVED_SECONDS if pod else _REFUSED_SECONDS), pod)
        return pod

    async def _membership(self, pod: _Pod) -> Reporter | None:
        """Up the owners: pod, child Job, job. Labels alone can be written by anybody who may create a pod."""
        try:
            found = await self._cluster.get(Ref(POD, pod.namespace, pod.name))
            labels = found["metadata"].get("labels") or {}
            job, stage, attempt = (labels.get(label, "") for label in (meta.JOB_LABEL, meta.STAGE_LABEL, meta.ATTEMPT_LABEL))
            if found["metadata"]["uid"] != pod.uid or not (job and stage and attempt.isdecimal()):
                return None
            child = await self._cluster.get(Ref(CHILD_JOB, pod.namespace, f"{job}-{stage}-{attempt}"))
            owner = await self._cluster.get(Ref(FINE_TUNE_JOB, pod.namespace, job))
        except NotFound:
            return None
        if owner_uid(found) != child["metadata"]["uid"] or owner_uid(child) != owner["metadata"]["uid"]:
            return None
        return Reporter(Key(pod.namespace, job), owner["metadata"]["uid"], stage, int(attempt))


def _pod_of(review: Manifest, audience: str) -> _Pod | None:
    """The pod for which a token was made; None if the review says no, or the token was made for no pod."""
    if not review.get("authenticated") or audience not in (review.get("audiences") or ()):
        return None
    user = review.get("user") or {}
    parts = str(user.get("username") or "").split(":")
    extra = user.get("extra") or {}
    name, uid = (extra.get(field) or [None] for field in (_POD_NAME, _POD_UID))
    if parts[:2] != ["system", "serviceaccount"] or len(parts) != 4 or not (name[0] and uid[0]):
        return None
    return _Pod(parts[2], name[0], uid[0])


def _make_room(memory: dict[Any, Any]) -> None:
    while len(memory) >= _KEPT:
        del memory[next(iter(memory))]
