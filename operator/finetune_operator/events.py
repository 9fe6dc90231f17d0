"""A transition as an Event that `kubectl describe` shows beneath the job."""

from __future__ import annotations

import hashlib
from datetime import datetime

from finetune_api import meta
from finetune_operator.brain.transitions import Transition
from finetune_operator.kinds import OUR_EVENT, Manifest


def event_of(raw: Manifest, transition: Transition, number: int, reporter: tuple[str, str], now: datetime) -> Manifest:
    """The Event of a transition. Its name follows from what it says, so that saying it twice is saying it once.

    Args:
        raw: the job in which the transition was written.
        number: of the transition among those of this write.
        reporter: controller and instance.
    """
    metadata = raw["metadata"]
    said = f"{metadata['uid']} {metadata['resourceVersion']} {number} {transition.reason}"
    regarding = {
        "apiVersion": meta.API_VERSION,
        "kind": meta.KIND,
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }
    name = f"{metadata['name']}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    return {
        "apiVersion": OUR_EVENT.api_version,
        "kind": OUR_EVENT.name,
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": reporter[0],
        "reportingInstance": reporter[1][:128],
        "regarding": regarding,
        "type": transition.level,
        "reason": transition.reason,
        "action": transition.reason,
        "note": transition.message[:1024],
    }
