"""One job, told to somebody who was woken by it: where it stands, what broke and where, what came out, what to ask next.

The status holds everything that was written down about a job, and a person needs a tenth of it at a time. So the sentence
that explains comes first, what is undecided is left out, and each attempt that failed brings its own words.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime
from io import StringIO

from finetune_api.contract.data_words import entity, reason
from finetune_api.contract.summary import DataSummary, OutputSummary
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, ConditionType, Phase
from finetune_cli.console import progress_text
from finetune_cli.standing import aligned
from finetune_operator.brain.reports import duration
from finetune_operator.brain.status import COMPLETED

_USUAL_WIDTH = 100
_MOST_WIDTH = 120


def story(job: FineTuneJob, now: datetime, *, width: int | None = None, place: str = "") -> list[str]:
    """The lines about one job.

    Args:
        now: aware, UTC.
        width: columns of the terminal; None: no terminal.
        place: the cluster, in a person's words.
    """
    room = min(width or _USUAL_WIDTH, _MOST_WIDTH)
    lines = [*_head(job, now, place, room)]
    for title, part in (
        ("Conditions", _conditions(job, now)),
        ("Attempts", _attempts(job, now, room)),
        ("Data", _data(job.status.data)),
        ("", _scores(job, room)),
        ("Output", _output(job.status.output)),
    ):
        told = list(part)
        if told:
            lines += ["", *([title] if title else []), *told]
    return lines


def _head(job: FineTuneJob, now: datetime, place: str, room: int) -> Iterator[str]:
    status = job.status
    namespace = f" in namespace {job.metadata.namespace}" if job.metadata.namespace else ""
    yield f"{job.name}: {status.phase or Phase.PENDING}{namespace}{f', {place}' if place else ''}"
    if job.metadata.deletion_timestamp:
        yield "It is being deleted."
    message = status.message or "Nobody has looked at it yet. If that lasts, no operator serves this namespace."
    yield from textwrap.wrap(message, room)
    if status.progress is not None:
        told = status.progress.updated_at
        ago = f", reported {_ago(told, now)}" if told else ""
        yield from textwrap.wrap(f"{progress_text(status.progress)}{ago}", room)
    revision = status.facts.model.revision if status.facts and status.facts.model else None
    model = getattr(job.spec, "model", None)  # a spec that this version cannot read is empty (stored.unread)
    if model is not None:
        yield f"Model {model.uri}{f' at {revision[:12]}' if revision else ''}"
    if status.start_time:
        began = f"Began {status.start_time:%Y-%m-%d %H:%M} UTC ({_ago(status.start_time, now)})"
        end = status.completion_time
        yield f"{began}, ended after {_span(status.start_time, end)}." if end else f"{began}."
    counts = status.restarts
    if counts.total:
        of = f"{counts.charged} of {job.spec.run_policy.max_restarts} charged"
        smaller = f", {counts.out_of_memory} with a smaller plan" if counts.out_of_memory else ""
        yield f"Restarts: {counts.total} ({of}{smaller})."


def _conditions(job: FineTuneJob, now: datetime) -> Iterator[str]:
    """Those that hold, and a manifest that was not accepted. What the message above says already is not said again."""
    rows = []
    for one in job.status.conditions:
        if one.status == "True" or (one.type == ConditionType.ACCEPTED and one.status == "False"):
            said = "" if one.message == job.status.message else " ".join(one.message.split())
            rows.append((one.type, one.status, one.reason, _ago(one.last_transition_time, now), said))
    if rows:
        yield from aligned(rows, indent="  ")


def _attempts(job: FineTuneJob, now: datetime, room: int) -> Iterator[str]:
    attempts = job.status.attempts
    if not attempts:
        return
    header = ("STAGE", "ATTEMPT", "END", "CODE", "CHARGED", "STEPS", "TOOK", "NODE")
    lines = aligned([header, *(_attempt(attempt, now) for attempt in attempts)], width=room, indent="  ")
    yield lines[0]
    for attempt, line in zip(attempts, lines[1:], strict=True):
        yield line
        if attempt.message and attempt.reason != COMPLETED:
            yield from textwrap.wrap(attempt.message, room, initial_indent=" " * 6, subsequent_indent=" " * 6)
        if attempt.pod and attempt.reason != COMPLETED:
            yield f"      pod {attempt.pod}"


def _attempt(attempt: Attempt, now: datetime) -> tuple[str, ...]:
    failed = attempt.reason not in (None, COMPLETED)
    begin, end = attempt.resumed_from_step, attempt.last_step
    steps = f"{begin or 0} to {end}" if end else f"from {begin}" if begin else ""
    return (
        attempt.stage,
        str(attempt.number),
        attempt.reason or "running",
        str(attempt.exit_code) if attempt.exit_code is not None else "",
        ("yes" if attempt.charged else "no") if failed and attempt.finished_at else "",
        steps,
        _span(attempt.started_at, attempt.finished_at or now) if attempt.started_at else "",
        attempt.node or "",
    )


def _data(data: DataSummary | None) -> Iterator[str]:
    if data is None:
        return
    counts, split = data.examples, data.split
    dropped = sorted(counts.dropped_by_reason.items(), key=lambda item: -item[1])
    why = f" (left out: {'; '.join(f'{reason(name)}: {number:,}' for name, number in dropped)})" if dropped else ""
    yield f"  {counts.read:,} rows read, {counts.kept:,} examples kept{why}"
    suites = f", suites {split.suites:,}" if split.suites else ""
    yield f"  train {split.train:,}, validation {split.validation:,}, test {split.test:,}{suites}; {data.tokens:,} tokens"
    if data.redactions:
        yield f"  replaced: {', '.join(f'{entity(kind)} {number:,}' for kind, number in data.redactions.items())}"
    if data.warnings:
        yield f"  {data.warnings} finding{'s' if data.warnings > 1 else ''} to read in the data report"


def _scores(job: FineTuneJob, room: int) -> Iterable[str]:
    if job.status.evaluation is None:
        return ()
    from finetune_cli.console import print_scores

    out = StringIO()
    print_scores(job.status.evaluation, out, width=room)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _output(output: OutputSummary | None) -> Iterator[str]:
    if output is not None:
        yield f"  {output.uri}"
        yield f"  {output.size_bytes:,} bytes, SHA-256 of its manifest {output.digest.removeprefix('sha256:')}"


def _ago(moment: datetime, now: datetime) -> str:
    return f"{_span(moment, now)} ago"


def _span(begin: datetime, end: datetime) -> str:
    return duration(max(0.0, (end - begin).total_seconds()))
