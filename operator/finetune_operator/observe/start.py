"""Why an attempt does not run yet, in words, and on which of two clocks.

Waiting for room is no failure and may take days on a busy cluster; an image, volume or permission that is missing will be
missing tomorrow too. Kubernetes tells the two apart in six different places: the Job, its Events, a pod's conditions, the
state of its container, the pod's Events, and the words themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from finetune_operator.brain.observation import AttemptState
from finetune_operator.observe.objects import Pod, condition, event_since, holds, moment, newest_event
from finetune_operator.render.child import Manifest

_NEVER_HEALS = ("InvalidImageName", "ErrImageNeverPull")
_PULLS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "SignatureValidationFailed",
    "RegistryUnavailable",
    *_NEVER_HEALS,
)
_ORDINARY = ("ContainerCreating", "PodInitializing")
_MOUNTS = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
_ROOT = "image will run as root"
_FORBIDDEN_FOR_GOOD = ("violates PodSecurity", "no PriorityClass with name", "error looking up service account")
_CLAIM_TROUBLE = re.compile(r"persistentvolumeclaim|PersistentVolumeClaim|volume node affinity|available persistent volumes")
_PLACED_ELSEWHERE = "volume node affinity conflict"
_CREATING = re.compile(r'^Error creating: (?:pods "[^"]*" is forbidden: )?')
_PREPARED_ELSEWHERE = (
    "; the workspace lies where prepare ran: give every stage nodes of one zone (spec.scheduling), or a storage class that"
    " several nodes can mount"
)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why something has not started."""

    state: AttemptState
    why: str
    since: datetime | None
    hopeless: bool = False
    """It cannot start as it is, however long one waits."""
    ordinary: bool = False
    """Nothing is wrong so far: every start looks like this for a moment."""

    @property
    def weight(self) -> tuple[bool, bool, bool]:
        """What is reported where pods wait for different things: the worst."""
        return self.hopeless, not self.ordinary, self.state is AttemptState.BLOCKED


def why_not_running(child: Manifest, pods: Sequence[Pod], events: Sequence[Manifest]) -> Wait | None:
    """Why not all pods of a child Job that is not suspended have started; None if they have."""
    spec, status = child.get("spec") or {}, child.get("status") or {}
    created = moment(child["metadata"].get("creationTimestamp"))
    waits = [wait for pod in pods if not pod.has_started and (wait := _pod(pod, events))]
    missing = int(spec.get("parallelism") or 1) - len(pods)
    if missing > 0:
        waits.append(_missing(child, events, moment(status.get("startTime")) or created))
    return max(waits, key=lambda wait: wait.weight, default=None)


def suspension(child: Manifest) -> Wait:
    """What a child Job waits for that is suspended."""
    queue = (child["metadata"].get("labels") or {}).get("kueue.x-k8s.io/queue-name")
    why = f'admission by the queue "{queue}"' if queue else "its child Job to be resumed; somebody has suspended it"
    since = moment((holds(child, "Suspended") or {}).get("lastTransitionTime"))
    return Wait(AttemptState.WAITING, why, since or moment(child["metadata"].get("creationTimestamp")))


def _missing(child: Manifest, events: Sequence[Manifest], since: datetime | None) -> Wait:
    """Pods that the Job's controller could not create: the Job's status looks healthy, only its Events say why."""
    event = newest_event(events, str(child["metadata"].get("uid")), "FailedCreate")
    if event is None:
        return Wait(AttemptState.WAITING, "its pods to be created", since, ordinary=True)
    said = str(event.get("message") or "pods cannot be created")
    why = _CREATING.sub("", said)
    since = event_since(event) or since
    if "exceeded quota" in said:
        return Wait(AttemptState.WAITING, why, since)
    return Wait(AttemptState.BLOCKED, why, since, hopeless=any(sign in said for sign in _FORBIDDEN_FOR_GOOD))


def _pod(pod: Pod, events: Sequence[Manifest]) -> Wait:
    placed = condition(pod.raw, "PodScheduled") or {}
    since = moment(placed.get("lastTransitionTime")) or pod.created_at
    if placed.get("status") != "True":
        return _unplaced(placed, since)
    waiting = pod.waiting or {}
    reason, said = str(waiting.get("reason") or "ContainerCreating"), str(waiting.get("message") or "")
    if reason in _PULLS:
        image = pod.container.get("image") or "its image"
        return Wait(
            AttemptState.BLOCKED, _words(f"the image {image} cannot be pulled ({reason})", said), since, reason in _NEVER_HEALS
        )
    if reason not in _ORDINARY:
        return Wait(AttemptState.BLOCKED, _words(f"its container cannot be created ({reason})", said), since, _ROOT in said)
    event = newest_event(events, pod.uid, *_MOUNTS)
    if event:
        return Wait(AttemptState.BLOCKED, str(event.get("message") or event.get("reason")), since)
    where = f" on {pod.node}" if pod.node else ""
    why = f"its containers to start{where}: images are pulled and volumes mounted"
    return Wait(AttemptState.BLOCKED, why, since, ordinary=True)


def _unplaced(placed: Manifest, since: datetime | None) -> Wait:
    said = str(placed.get("message") or "")
    if placed.get("reason") == "SchedulingGated":
        return Wait(AttemptState.WAITING, _words("a scheduling gate to be lifted", said), since)
    if _CLAIM_TROUBLE.search(said):
        hint = _PREPARED_ELSEWHERE if _PLACED_ELSEWHERE in said else ""
        return Wait(AttemptState.BLOCKED, f"{said.rstrip('.')}{hint}", since)
    return Wait(AttemptState.WAITING, f"room: {said.rstrip('.')}" if said else "a node", since, ordinary=not said)


def _words(what: str, said: str) -> str:
    return f"{what}: {said.rstrip('.')}" if said else what
