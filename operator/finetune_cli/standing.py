"""How jobs stand, as rows: the same columns for jobs of this machine and of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.reports import duration

HEADER = ("NAME", "PHASE", "PROGRESS", "ETA", "BASE", "TUNED", "VERDICT", "RESTARTS", "AGE")


def row(job: FineTuneJob, now: datetime, *, namespace: bool = False) -> tuple[str, ...]:
    """The cells of one job.

    Args:
        now: aware, UTC.
        namespace: begin with the namespace.
    """
    status, evaluation = job.status, job.status.evaluation
    score = evaluation.score if evaluation else None
    progress = status.progress
    begun = job.metadata.creation_timestamp or status.start_time
    cells = (
        job.name,
        str(status.phase or "Pending"),
        f"{progress.percent}%" if progress and progress.percent is not None else "",
        (progress.eta if progress and progress.percent != 100 else None) or "",
        f"{score.base:g}" if score and score.base is not None else "",
        f"{score.tuned:g}" if score else "",
        (evaluation.verdict or "") if evaluation else "",
        str(status.restarts.total),
        duration(max(0.0, (now - begun).total_seconds())) if begun else "",
    )
    return (job.metadata.namespace or "", *cells) if namespace else cells


def table(jobs: Sequence[FineTuneJob], now: datetime, *, namespaces: bool = False, width: int | None = None) -> list[str]:
    """A line per job below a header.

    Args:
        namespaces: show whose namespace each is in.
        width: columns of the terminal; a table that is a little too wide for it is drawn closer. None: no terminal.
    """
    header = ("NAMESPACE", *HEADER) if namespaces else HEADER
    return aligned([header, *(row(job, now, namespace=namespaces) for job in jobs)], width=width)


def aligned(rows: Sequence[Sequence[str]], *, width: int | None = None, indent: str = "") -> list[str]:
    """Rows as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    close = width is not None and len(indent) + sum(widths) + 2 * (len(widths) - 1) > width
    gap = " " if close else "  "
    return [indent + gap.join(cell.ljust(size) for cell, size in zip(line, widths, strict=True)).rstrip() for line in rows]
