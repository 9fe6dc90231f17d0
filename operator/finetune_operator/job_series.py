"""Series of single jobs, for whoever wants a curve per job and has room for it: off unless the installation switches it on.

A job's name as a label is a series per job. So there are at most as many jobs as were asked for, each for as long as it is
not over; who finds no place is counted and gets one when another job has ended. They are told by the leader, from the
statuses that it watches: with two replicas there is still one series per job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from finetune_api.v1alpha1.status import Phase
from finetune_operator.metrics import PREFIX
from finetune_operator.queue import Key

_LABELS = ("job_namespace", "job_name")
"""`namespace` and `job` are what Prometheus calls the operator itself."""
_FAMILIES = {
    "progress_ratio": "How much of the training of one job is done, 0 to 1.",
    "loss": "Training loss of one job, as reported last.",
    "eta_seconds": "Time left for the training of one job.",
    "restarts": "Attempts of one job after the first of each stage.",
}
_TERMINAL = frozenset(str(phase) for phase in Phase if phase.terminal)


class JobSeries(Collector):
    """What the statuses of jobs say, for at most so many of them.

    Args:
        most: jobs; 0 for none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: dict[Key, dict[str, float]] = {}
        self._left_out: set[Key] = set()

    def note(self, key: Key, status: Mapping[str, Any]) -> None:
        """A job was seen with this status."""
        if self._most == 0:
            return
        if str(status.get("phase")) in _TERMINAL:
            self.forget(key)
        elif key in self._jobs or len(self._jobs) < self._most:
            self._left_out.discard(key)
            self._jobs[key] = _told(status)
        else:
            self._left_out.add(key)

    def forget(self, key: Key) -> None:
        """A job is over or gone."""
        self._jobs.pop(key, None)
        self._left_out.discard(key)

    def collect(self) -> list[GaugeMetricFamily]:
        """All families; of a job those samples that its status knows."""
        if self._most == 0:
            return []
        families = []
        for name, text in _FAMILIES.items():
            family = GaugeMetricFamily(f"{PREFIX}_job_{name}", text, labels=_LABELS)
            for key, told in self._jobs.items():
                if name in told:
                    family.add_metric(key, told[name])
            families.append(family)
        left_out = GaugeMetricFamily(f"{PREFIX}_jobs_without_series", "Jobs that found no place among those with series.")
        left_out.add_metric([], float(len(self._left_out)))
        return [*families, left_out]

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing that has to be asked for when it is registered."""
        return []


def _told(status: Mapping[str, Any]) -> dict[str, float]:
    progress, restarts = status.get("progress") or {}, status.get("restarts") or {}
    percent = progress.get("percent")
    found = {
        "progress_ratio": percent / 100 if isinstance(percent, int | float) else None,
        "loss": progress.get("loss"),
        "eta_seconds": progress.get("etaSeconds"),
        "restarts": restarts.get("total"),
    }
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
