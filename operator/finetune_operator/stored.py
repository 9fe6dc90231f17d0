"""The resource as the API server keeps it: read leniently, written as the smallest change.

A merge patch of the whole status would put back an older progress report, and would be a write even where nothing changed.
So what was read and what is to be are both brought into the server's form, and the difference alone is sent.
"""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError

from finetune_api.errors import InvalidSpec, Problem
from finetune_api.nesting import TOO_DEEP, too_deep
from finetune_api.problems import problems_of
from finetune_api.v1alpha1.job import FineTuneJob, FineTuneJobSpec, ObjectMeta
from finetune_api.v1alpha1.status import FineTuneJobStatus
from finetune_operator.kinds import Manifest


def unread(raw: Manifest) -> tuple[FineTuneJob, InvalidSpec | None]:
    """The job that the server holds, and what is wrong with its spec.

    An invalid spec gets past the server's schema only from a newer or older CRD, or where a part is "as in a pod" and nested
    without end; its job still has a name and a status.
    """
    deep = too_deep({"spec": raw.get("spec")})
    if deep is not None:
        return _without_spec(raw), InvalidSpec([Problem(deep, TOO_DEEP)])
    try:
        return FineTuneJob.model_validate(raw), None
    except ValidationError as error:
        return _without_spec(raw), InvalidSpec(problems_of(error, raw, ""))


def _without_spec(raw: Manifest) -> FineTuneJob:
    return FineTuneJob.model_construct(
        api_version="finetune.dev/v1alpha1",
        kind="FineTuneJob",
        metadata=ObjectMeta.model_validate(raw["metadata"]),
        status=FineTuneJobStatus.model_validate(raw.get("status") or {}),
        spec=FineTuneJobSpec.model_construct(),  # type: ignore[call-arg]  # its limits alone are read
    )


def changes(before: FineTuneJobStatus, after: FineTuneJobStatus) -> Manifest:
    """The merge patch (RFC 7386) from one status to the next; empty if nothing is worth a write.

    Progress has a writer of its own: here it is left alone or, when an attempt begins or ends, taken away.
    """
    stored = _stored(before)
    if before.start_time is None:  # nothing was written yet: the zeros of the counters are news, and a column of kubectl get
        stored.pop("restarts", None)
    patch = _difference(stored, _stored(after))
    if before.progress is not None and after.progress is None:
        patch["progress"] = None
    return patch


def _stored(status: FineTuneJobStatus) -> Manifest:
    """A status in the server's form, without what moves with each report: of an attempt that runs on, its last step.

    Of one that is being stopped it is written with the reason: its progress is taken away, and then nothing else tells it.
    """
    found: Manifest = status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"progress"})
    for attempt in found.get("attempts", ()):
        if "finishedAt" not in attempt and "reason" not in attempt:
            attempt.pop("lastStep", None)
    return found


def _difference(before: Manifest, after: Manifest) -> Manifest:
    patch: Manifest = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old != new:
            patch[name] = _difference(old, new) if isinstance(old, dict) and isinstance(new, dict) else new
    return patch


def merged(target: Any, patch: Any) -> Any:
    """What a merge patch makes of an object."""
    if not isinstance(patch, dict):
        return patch
    result = copy.copy(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
