"""Gates: bounds that the tuned model must keep before anything is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune_api.contract.summary import GateResult
from finetune_api.v1alpha1.evaluation import METRIC_TRAITS, Gate, Metric
from finetune_trainer.scoring.compare import Difference


@dataclass(frozen=True, slots=True)
class Measured:
    """One test set's metrics."""

    base: Mapping[Metric, float]
    tuned: Mapping[Metric, float]
    differences: Mapping[Metric, Difference]


def judge(gate: Gate, measured: Mapping[str | None, Measured]) -> GateResult:
    """Say whether a gate's bound is kept, with the numbers.

    The difference itself decides, not its interval; the interval stands in the reason, for people to weigh.

    Args:
        gate: the bound.
        measured: by suite; None is the held-out test set.
    """
    where = measured[gate.suite]
    name = f'{gate.metric} on "{gate.suite}"' if gate.suite else str(gate.metric)
    tuned = where.tuned.get(gate.metric)
    if tuned is None:
        return _result(gate, passed=False, reason=f"{name} was not measured: there was nothing to measure it on.")
    if gate.min_value is not None:
        return _result(gate, tuned >= gate.min_value, f"{name} is {tuned:.4g}; at least {gate.min_value:g} is required.")
    if gate.max_value is not None:
        return _result(gate, tuned <= gate.max_value, f"{name} is {tuned:.4g}; at most {gate.max_value:g} is allowed.")
    difference = where.differences.get(gate.metric)
    if difference is None:
        return _result(gate, passed=False, reason=f"{name} of the base model was not measured, so there is no difference.")
    better = -difference.value if METRIC_TRAITS[gate.metric].lower_is_better else difference.value
    course = f"{'improved' if better > 0 else 'got worse'} by {abs(better):.4g}" if better else "did not change"
    moved = (
        f"{name} {course} ({where.base[gate.metric]:.4g} -> {tuned:.4g}, 95 % interval of the difference"
        f" {difference.low:+.4g} to {difference.high:+.4g})"
    )
    if gate.min_improvement is not None:
        return _result(gate, better >= gate.min_improvement, f"{moved}; at least {gate.min_improvement:g} is required.")
    assert gate.max_regression is not None
    return _result(gate, -better <= gate.max_regression, f"{moved}; {_allowed(gate.max_regression)}.")


def _allowed(worse: float) -> str:
    return f"it may get worse by at most {worse:g}" if worse else "it must not get worse"


def _result(gate: Gate, passed: bool, reason: str) -> GateResult:
    return GateResult(metric=str(gate.metric), suite=gate.suite, passed=passed, reason=reason)
