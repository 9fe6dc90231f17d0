"""A progress report in the words of the status, whoever took it: the operator's server or that of a local run."""

from __future__ import annotations

from datetime import UTC

from finetune_api.contract import progress as wire
from finetune_api.v1alpha1.status import Progress


def to_progress(report: wire.TrainerStatus) -> Progress:
    """A report in the words of the status, rounded."""
    numbers = report.numbers()
    step, total = numbers.get(wire.METRIC_STEP), numbers.get(wire.METRIC_TOTAL_STEPS)
    eta = whole(report.estimated_remaining_seconds)
    return Progress(
        step=whole(step),
        total_steps=whole(total),
        percent=report.progress_percentage,
        epoch=_rounded(numbers.get(wire.METRIC_EPOCH), 2),
        loss=_rounded(numbers.get(wire.METRIC_LOSS), 4),
        learning_rate=_significant(numbers.get(wire.METRIC_LEARNING_RATE)),
        tokens_per_second=_rounded(numbers.get(wire.METRIC_TOKENS_PER_SECOND), 1),
        eta_seconds=eta,
        eta=duration(eta) if eta is not None else None,
        resumed_from_step=whole(numbers.get(wire.METRIC_RESUMED_FROM_STEP)) or None,
        updated_at=report.last_updated_time.astimezone(UTC),
    )


def duration(seconds: float) -> str:
    """A time span as people say it: 45s, 14m, 3h05m, 2d04h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def whole(value: float | None) -> int | None:
    """A count; nothing where a report says what no count can be, because the API server would refuse the whole status."""
    return int(value) if value is not None and 0 <= value < 2**53 else None


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
