"""What a platform team watches, as Prometheus families.

Labels come from closed sets: a job's name as a label would be a series per job for ever. What is counted here is counted
after it is true, so a conflict that is tried again counts once.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from finetune_operator.brain.stages import Stage
from finetune_operator.brain.transitions import Transition

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "finetune_operator"
_RECONCILE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STAGES = frozenset(Stage)


class Metrics:
    """All families of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._transitions = self._counter(
            "transitions", "Transitions of jobs, by reason as in their Events.", "reason", "stage"
        )
        self._failures = self._counter("attempt_failures", "Attempts that failed, by class.", "stage", "class")
        self._ends = self._counter("jobs_ended", "Jobs that ended, by phase.", "phase")
        self._calls = self._counter("api_calls", "Calls to the API server; code 0 means no answer.", "verb", "resource", "code")
        self._reconciles = Histogram(
            f"{_PREFIX}_reconcile_seconds",
            "Time of one reconcile.",
            ["result"],
            buckets=_RECONCILE_SECONDS,
            registry=self._registry,
        )
        self._reports = self._counter("progress_reports", "Progress reports, by what became of them.", "result")
        self._connections = self._counter("progress_connections_refused", "Connections cut off, by reason.", "reason")
        self._flushes = self._counter("progress_flushes", "Writes of status.progress, by result.", "result")
        self.wakes = self._counter("events", "Watch events that woke a job.", "kind")

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when somebody asks."""
        self._registry.register(_Asked(f"{_PREFIX}_{name}", help_text, value))

    def transition(self, transition: Transition) -> None:
        """A transition is true."""
        stage = str(transition.facts.get("stage", ""))
        self._transitions.labels(transition.reason, stage if stage in _STAGES else "").inc()
        if transition.reason == "AttemptFailed":
            self._failures.labels(stage, str(transition.facts.get("class", "Unknown"))).inc()
        if transition.reason in ("Succeeded", "Rejected", "Failed"):
            self._ends.labels(transition.reason).inc()

    def call(self, verb: str, resource: str, code: int) -> None:
        """The API server answered, or did not (0)."""
        self._calls.labels(verb, resource, str(code)).inc()

    def reconciled(self, seconds: float, result: str) -> None:
        """A reconcile ended: ok, retry or bug."""
        self._reconciles.labels(result).observe(seconds)

    def report(self, result: str) -> None:
        """A progress report was taken, or why not."""
        self._reports.labels(result).inc()

    def connection_refused(self, reason: str) -> None:
        """A connection to the progress server was cut off."""
        self._connections.labels(reason).inc()

    def flush(self, result: str) -> None:
        """A report was written into a status, or why not."""
        self._flushes.labels(result).inc()

    def exposition(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)

    def value(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """One sample, for tests and probes."""
        return self._registry.get_sample_value(f"{_PREFIX}_{name}", labels or {})

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}_total", help_text, labels, registry=self._registry)


class _Asked(Collector):
    def __init__(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        self._name, self._help, self._value = name, help_text, value

    def collect(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily(self._name, self._help, value=self._value())]

    def describe(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily(self._name, self._help)]
