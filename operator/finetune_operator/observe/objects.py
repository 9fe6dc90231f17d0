"""Child Jobs, pods and Events as the API gives them, read leniently: every field may be absent, and unknown ones are none
of our business."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from finetune_api import meta
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.stages import Stage
from finetune_operator.render.child import Manifest
from finetune_operator.render.pod import CONTAINER

INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
PODS_FIRST = "foregroundDeletion"
"""The finalizer with which the garbage collector ends what an object owns; it takes it off itself."""
_CLOCKS_AGREE = timedelta(minutes=1)
"""A kubelet takes up a pod within seconds. What is less apart shifts no deadline by much."""


def moment(text: str | None) -> datetime | None:
    """A time of Kubernetes, aware."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def first(*moments: datetime | None) -> datetime | None:
    """The earliest that is known."""
    return min((m for m in moments if m is not None), default=None)


def last(*moments: datetime | None) -> datetime | None:
    """The latest that is known."""
    return max((m for m in moments if m is not None), default=None)


def owner_of(manifest: Manifest) -> Manifest:
    """Reference to the object that controls this one; empty if there is none."""
    owners: Iterable[Manifest] = manifest["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), {})


def holders(manifest: Manifest) -> list[str]:
    """The finalizers of an object for which somebody else is waited."""
    return [name for name in manifest["metadata"].get("finalizers") or () if name != PODS_FIRST]


def attempt_of(manifest: Manifest) -> AttemptName | None:
    """The attempt an object belongs to by its labels; None if they do not name one."""
    labels = manifest["metadata"].get("labels") or {}
    stage, number = labels.get(meta.STAGE_LABEL), labels.get(meta.ATTEMPT_LABEL, "")
    if stage not in list(Stage) or not number.isdecimal():
        return None
    return AttemptName(Stage(stage), int(number))


def condition(manifest: Manifest, kind: str) -> Manifest | None:
    """A condition of this type, whatever its status."""
    found: Iterable[Manifest] = (manifest.get("status") or {}).get("conditions") or ()
    return next((c for c in found if c.get("type") == kind), None)


def holds(manifest: Manifest, *kinds: str) -> Manifest | None:
    """The first of these conditions that is True."""
    found = (condition(manifest, kind) for kind in kinds)
    return next((c for c in found if c is not None and c.get("status") == "True"), None)


def is_suspended(job: Manifest) -> bool:
    """Whether a child Job is held back: its controller ends its pods, makes none, and counts none as failed.

    One that has come to its end before is over all the same; one that is let go is held until its controller has taken it up.
    """
    suspended = (job.get("spec") or {}).get("suspend") or holds(job, "Suspended")
    return bool(suspended) and not holds(job, "FailureTarget", "Failed", "SuccessCriteriaMet", "Complete")


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of an attempt."""

    raw: Manifest

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.raw["metadata"].get("name", ""))

    @property
    def uid(self) -> str:
        """Its identity."""
        return str(self.raw["metadata"].get("uid", ""))

    @property
    def node(self) -> str | None:
        """Where it runs."""
        node: str | None = (self.raw.get("spec") or {}).get("nodeName")
        return node

    @property
    def index(self) -> int:
        """Its completion index, from 0."""
        metadata = self.raw["metadata"]
        text = (metadata.get("annotations") or {}).get(INDEX_LABEL) or (metadata.get("labels") or {}).get(INDEX_LABEL) or "0"
        return int(text) if text.isdecimal() else 0

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded, Failed or Unknown."""
        return str(self.status.get("phase") or "Pending")

    @property
    def status(self) -> Manifest:
        """Its status."""
        status: Manifest = self.raw.get("status") or {}
        return status

    @property
    def reason(self) -> str | None:
        """What its kubelet says of all of it, such as Evicted."""
        reason: str | None = self.status.get("reason")
        return reason

    @property
    def container(self) -> Manifest:
        """Status of the trainer's container; empty before a kubelet has looked at it."""
        found = self.status.get("containerStatuses") or ()
        return next((c for c in found if c.get("name") == CONTAINER), found[0] if found else {})

    def _state(self, kind: str) -> Manifest | None:
        state: Manifest | None = (self.container.get("state") or {}).get(kind)
        return state

    @property
    def waiting(self) -> Manifest | None:
        """Why its container does not run yet."""
        return self._state("waiting")

    @property
    def terminated(self) -> Manifest | None:
        """How its container ended."""
        return self._state("terminated")

    @property
    def started_at(self) -> datetime | None:
        """When its container began."""
        return self._by_our_clock((self._state("running") or self._state("terminated") or {}).get("startedAt"))

    @property
    def finished_at(self) -> datetime | None:
        """When its container ended, or when it was known that there is none."""
        told = self._by_our_clock((self.terminated or {}).get("finishedAt"))
        disrupted = holds(self.raw, "DisruptionTarget")
        return told or moment((disrupted or {}).get("lastTransitionTime")) or self.gone_by or self.created_at

    @property
    def created_at(self) -> datetime | None:
        """When it was created."""
        return moment(self.raw["metadata"].get("creationTimestamp"))

    @property
    def placed_at(self) -> datetime | None:
        """When a node was found for it. The API server notes it together with the node's name."""
        placed = condition(self.raw, "PodScheduled") or {}
        return moment(placed.get("lastTransitionTime")) if placed.get("status") == "True" else None

    def _by_our_clock(self, told: str | None) -> datetime | None:
        """A moment of its node's clock in that of the control plane, which all deadlines are counted by.

        Both clocks have noted when the pod came to its node: where they are far apart there, the node's is wrong by as much.
        Nothing of a pod is earlier than that, whatever is told (a runtime says 1970 of what it could not start).
        """
        said, placed = moment(told), self.placed_at or self.created_at
        if said is None or placed is None:
            return said
        ahead = (moment(self.status.get("startTime")) or placed) - placed
        return max(placed, said - ahead if abs(ahead) > _CLOCKS_AGREE else said)

    @property
    def gone_by(self) -> datetime | None:
        """When it has to be gone, the time it was given included; None unless it was told to stop."""
        return moment(self.raw["metadata"].get("deletionTimestamp"))

    @property
    def told_at(self) -> datetime | None:
        """When it was told to stop."""
        given = timedelta(seconds=self.raw["metadata"].get("deletionGracePeriodSeconds") or 0)
        return self.gone_by - given if self.gone_by else None

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it can write any more, as far as its kubelet told."""
        return self.phase in ("Succeeded", "Failed") or self.terminated is not None

    @property
    def has_started(self) -> bool:
        """Whether its container began, also where it has ended since."""
        return self.has_ended or self._state("running") is not None

    @property
    def lost_since(self) -> datetime | None:
        """Since when its node does not answer; None if it does.

        The node's controller says that the pod is not ready; that its container is not, only its kubelet could say.
        """
        ready = condition(self.raw, "Ready") or {}
        if self.has_ended or self._state("running") is None or ready.get("status") == "True" or not self.container.get("ready"):
            return None
        return moment(ready.get("lastTransitionTime"))


def pods_of(job: Manifest, pods: Sequence[Manifest]) -> list[Pod]:
    """The pods of a child Job, in the order of their indexes."""
    own = [Pod(pod) for pod in pods if owner_of(pod).get("uid") == job["metadata"].get("uid")]
    return sorted(own, key=lambda pod: (pod.index, pod.name))


def completed_indexes(job: Manifest) -> set[int]:
    """Indexes of which a pod has succeeded, from words such as `0,2-4`; Kubernetes never runs them again."""
    found: set[int] = set()
    for part in str((job.get("status") or {}).get("completedIndexes") or "").split(","):
        begin, _, end = part.partition("-")
        if begin.isdecimal():
            found |= set(range(int(begin), int(end or begin) + 1))
    return found


def newest_event(events: Sequence[Manifest], uid: str, *reasons: str) -> Manifest | None:
    """The newest Event about an object with one of these reasons."""
    about = [e for e in events if (e.get("involvedObject") or {}).get("uid") == uid and e.get("reason") in reasons]
    return max(about, key=_said_at, default=None)


def event_since(event: Manifest) -> datetime | None:
    """When it was said first."""
    return first(*(moment(event.get(key)) for key in ("firstTimestamp", "eventTime")))


def _said_at(event: Manifest) -> datetime:
    """When it was said last; which field tells depends on who posted it and how often."""
    told = ((event.get("series") or {}).get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((said for text in told if (said := moment(text))), datetime.min.replace(tzinfo=UTC))
