"""Child Jobs that were deleted and do not go, because somebody's finalizer holds them: an archive, a policy, a bill.

Kubernetes ends a Job's pods when the Job is gone. Until then one that is being deleted counts as one that is there (the garbage
collector's `classifyReferences`), and its pods hold their GPUs for as long as somebody forgets a finalizer. Deleted once more,
with the policy Foreground, its pods go first: the API server sets the finalizer for that on a Job that is being deleted already
(the registry's `deletionFinalizersForGarbageCollection`; only what has a grace period, a pod, is past it), and the collector
acts on its appearance. A Background delete after that one would take it back, so there must be none.
"""

from __future__ import annotations

from collections.abc import Sequence

from finetune_api import meta
from finetune_operator.kinds import Manifest, owner_uid
from finetune_operator.observe.objects import PODS_FIRST


def is_going(child: Manifest) -> bool:
    """Whether a child Job is being deleted."""
    return child["metadata"].get("deletionTimestamp") is not None


def is_child(child: Manifest) -> bool:
    """Whether a Job with our labels belongs to a job, be it one that is gone: labels alone may be written by anybody."""
    return any(
        owner.get("controller") and owner.get("kind") == meta.KIND and str(owner.get("apiVersion")).startswith(f"{meta.GROUP}/")
        for owner in child["metadata"].get("ownerReferences") or ()
    )


def keeps_pods(child: Manifest, pods: Sequence[Manifest]) -> bool:
    """Whether a child Job that is being deleted lets pods run on that nobody has told to stop.

    Asked for before each call: one that has no such pods would be given the finalizer anew whenever the collector takes it off.
    """
    if not is_going(child) or PODS_FIRST in (child["metadata"].get("finalizers") or ()):
        return False
    return any(
        owner_uid(pod) == child["metadata"]["uid"]
        and pod["metadata"].get("deletionTimestamp") is None
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        for pod in pods
    )
