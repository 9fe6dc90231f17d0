"""What a platform team watches, as Prometheus families.

Labels come from closed sets: a job's name as a label would be a series per job for ever. Where a set is small its series are
there from the beginning with 0, or the first failure of its kind would be no increase to Prometheus, and no alert. What is
counted here is counted after it is true, so a conflict that is tried again counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from finetune_api.v1alpha1.status import TERMINAL_PHASES
from finetune_operator.brain.failures import ON_REQUEST, FailureClass
from finetune_operator.brain.stages import Stage
from finetune_operator.brain.transitions import Transition

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "finetune_operator"
_RECONCILE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STAGE_SECONDS = (10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200, 604800)
_STAGES = frozenset(Stage)
_ENDS = {"Completed": "completed", "AttemptFailed": "failed", "AttemptStopped": "stopped"}
_FAILURES = tuple(str(kind) for kind in FailureClass if kind not in ON_REQUEST)
_RECONCILES = ("ok", "conflict", "retry", "bug")
_REPORTS = (
    "taken",
    "no_token",
    "not_authenticated",
    "not_a_member",
    "unchecked",
    "too_many",
    "too_large",
    "unread",
    "not_understood",
    "not_found",
)
_CONNECTIONS = ("too_many", "too_many_of_one", "made_room", "no_tls", "no_request", "too_long")
_FLUSHES = ("written", "older", "stale", "gone", "conflict", "error")


class Metrics:
    """All families of one process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter, that nobody reads
        self._registry = CollectorRegistry()
        self._transitions = self._counter(
            "transitions", "Transitions of jobs, by reason as in their Events.", "reason", "stage"
        )
        self._failures = self._counter(
            "attempt_failures", "Attempts that failed, by class.", "stage", "class", known=product(Stage, _FAILURES)
        )
        self._ends = self._counter("jobs_ended", "Jobs that ended, by phase.", "phase", known=zip(TERMINAL_PHASES, strict=True))
        self._stages = self._histogram(
            "stage_duration_seconds",
            "Time of an attempt at a stage, from its start to its end.",
            _STAGE_SECONDS,
            "stage",
            "result",
            known=product(Stage, _ENDS.values()),
        )
        self._calls = self._counter(
            "api_calls",
            "Calls to the API server but kopf's watches; code 0 means no answer.",
            "verb",
            "resource",
            "code",
        )
        self._reconciles = self._histogram(
            "reconcile_duration_seconds",
            "Time of one reconcile: ok, a conflict with another writer, one to be tried again, or a bug.",
            _RECONCILE_SECONDS,
            "result",
            known=zip(_RECONCILES, strict=True),
        )
        self._reports = self._counter(
            "progress_reports", "Progress reports, by what became of them.", "result", known=zip(_REPORTS, strict=True)
        )
        self._connections = self._counter(
            "progress_connections_refused",
            "Connections to the progress server refused or cut off, by reason.",
            "reason",
            known=zip(_CONNECTIONS, strict=True),
        )
        self._flushes = self._counter(
            "progress_flushes", "Writes of status.progress, by result.", "result", known=zip(_FLUSHES, strict=True)
        )
        self.wakes = self._counter("events", "Watch events, by the kind of their object.", "kind")

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when somebody asks."""
        self._registry.register(_Asked(f"{PREFIX}_{name}", help_text, "", lambda: {"": value()}))

    def watch_each(self, name: str, help_text: str, label: str, values: Callable[[], Mapping[str, float]]) -> None:
        """A gauge with a label.

        Args:
            values: asked at each scrape; from the label's value to the gauge's.
        """
        self._registry.register(_Asked(f"{PREFIX}_{name}", help_text, label, values))

    def add(self, collector: Collector) -> None:
        """Families that are counted elsewhere."""
        self._registry.register(collector)

    def transition(self, transition: Transition) -> None:
        """A transition is true."""
        stage = str(transition.facts.get("stage", ""))
        self._transitions.labels(transition.reason, stage if stage in _STAGES else "").inc()
        if transition.reason == "AttemptFailed":
            self._failures.labels(stage, str(transition.facts.get("class", "Unknown"))).inc()
        if transition.reason in _ENDS and "seconds" in transition.facts:
            self._stages.labels(stage, _ENDS[transition.reason]).observe(float(transition.facts["seconds"]))
        if transition.reason in TERMINAL_PHASES:
            self._ends.labels(transition.reason).inc()

    def call(self, verb: str, resource: str, code: int) -> None:
        """The API server answered, or did not (0)."""
        self._calls.labels(verb, resource, str(code)).inc()

    def reconciled(self, seconds: float, result: str) -> None:
        """A reconcile ended."""
        self._reconciles.labels(result).observe(seconds)

    def report(self, result: str) -> None:
        """A progress report was taken, or why not."""
        self._reports.labels(result).inc()

    def connection_refused(self, reason: str) -> None:
        """A connection to the progress server was refused or cut off."""
        self._connections.labels(reason).inc()

    def flush(self, result: str) -> None:
        """A report was written into a status, or why not."""
        self._flushes.labels(result).inc()

    def exposition(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)

    def value(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """One sample, for tests and probes."""
        return self._registry.get_sample_value(f"{PREFIX}_{name}", labels or {})

    def _counter(self, name: str, help_text: str, *labels: str, known: Iterable[tuple[str, ...]] = ()) -> Counter:
        counter = Counter(f"{PREFIX}_{name}_total", help_text, labels, registry=self._registry)
        for values in known:
            counter.labels(*values)
        return counter

    def _histogram(
        self, name: str, help_text: str, buckets: tuple[float, ...], *labels: str, known: Iterable[tuple[str, ...]] = ()
    ) -> Histogram:
        histogram = Histogram(f"{PREFIX}_{name}", help_text, labels, buckets=buckets, registry=self._registry)
        for values in known:
            histogram.labels(*values)
        return histogram


class _Asked(Collector):
    def __init__(self, name: str, help_text: str, label: str, values: Callable[[], Mapping[str, float]]) -> None:
        self._name, self._help, self._label, self._values = name, help_text, label, values

    def collect(self) -> list[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._help, labels=[self._label] if self._label else [])
        for value_of_label, value in self._values().items():
            family.add_metric([value_of_label] if self._label else [], value)
        return [family]

    def describe(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily(self._name, self._help)]
