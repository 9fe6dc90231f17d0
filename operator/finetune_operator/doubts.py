"""Which children's Events are worth reading.

Some refusals stand nowhere but in an Event: a quota or Pod Security keeps a Job's pods from being made, a missing Secret keeps
a pod in ContainerCreating, and the objects themselves look healthy. Reading all Events of all children would be a search per
walk; these functions name the few children that nothing else explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from finetune_operator.held import is_going
from finetune_operator.kinds import Manifest, owner_uid


def has_ended(child: Manifest) -> bool:
    """Whether a child Job is over, with all its pods."""
    conditions = (child.get("status") or {}).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def in_doubt(jobs: Sequence[Manifest], pods: Sequence[Manifest]) -> list[tuple[str, datetime]]:
    """What only Events explain, and since when: a Job that lacks pods, a pod whose containers do not come."""
    found = []
    for child in jobs:
        spec, status = child.get("spec") or {}, child.get("status") or {}
        have = sum(owner_uid(pod) == child["metadata"]["uid"] for pod in pods)
        started = status.get("startTime")
        lacks = have < (spec.get("parallelism") or 1) and not spec.get("suspend")
        if started and lacks and not has_ended(child) and not is_going(child):
            found.append((child["metadata"]["uid"], _time(started)))
    for pod in pods:
        status = pod.get("status") or {}
        placed = [c for c in status.get("conditions") or () if c["type"] == "PodScheduled" and c["status"] == "True"]
        waiting = [c.get("state", {}).get("waiting", {}).get("reason") for c in status.get("containerStatuses") or ()]
        if status.get("phase") == "Pending" and placed and (not waiting or "ContainerCreating" in waiting):
            # Not status.startTime: that is of the node's clock, and one that is ahead would be asked about hours later.
            since = placed[0].get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
            found.append((pod["metadata"]["uid"], _time(since)))
    return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
