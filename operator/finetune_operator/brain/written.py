"""The job as evidence: what was asked for, in the form in which it can be asked for again."""

from __future__ import annotations

from typing import Any

from finetune_api.v1alpha1.job import FineTuneJob

_OF_PODS = {"pod_template", "scheduling", "workspace", "network", "run_policy"}
"""Blocks that decide where and how long a job runs and not what comes of it. A pod's environment may hold passwords."""


def as_written(job: FineTuneJob) -> dict[str, Any]:
    """The manifest with its defaults of this version, without blocks for the pods and without queries of URIs.

    A query may be a signature that opens the file to whoever reads the report.
    """
    spec = job.spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_OF_PODS)
    return {
        "apiVersion": job.api_version,
        "kind": job.kind,
        "metadata": {"name": job.name},
        "spec": _without_queries(spec),
    }


def _without_queries(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _without_queries(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_queries(inner) for inner in value]
    return value.split("?")[0] if key == "uri" and isinstance(value, str) else value
