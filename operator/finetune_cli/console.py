"""What a person sees of a run: bars on a terminal, plain lines elsewhere; results on stdout, all else on stderr.

rich is imported when something is drawn, not before: `finetune validate` has half a second.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from finetune_api.contract.summary import EvaluationSummary
from finetune_api.v1alpha1.evaluation import METRIC_TRAITS
from finetune_api.v1alpha1.status import FineTuneJobStatus, Phase, Progress
from finetune_cli.streams import knows_all_characters
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.reports import duration
from finetune_operator.brain.stages import STAGES, Stage
from finetune_operator.brain.status import is_done
from finetune_operator.brain.transitions import Transition

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_LINE_EVERY_SECONDS = 30.0


class Display(Protocol):
    """Where a run shows itself."""

    def say(self, transition: Transition) -> None:
        """Something happened."""

    def note(self, text: str) -> None:
        """Something to know."""

    def show(self, status: FineTuneJobStatus) -> None:
        """This is how it stands."""

    def close(self) -> None:
        """The run is over."""


def display(*, plain: bool, clock: Callable[[], datetime], stages: Iterable[Stage] = STAGES) -> Display:
    """Bars where there is a terminal, one for each of these stages, unless plain lines were asked for."""
    return PlainLines(sys.stderr, clock) if plain or not sys.stderr.isatty() else LiveBars(stages)


class PlainLines:
    """A line per transition, and one every 30 seconds while a stage reports."""

    def __init__(self, out: TextIO, clock: Callable[[], datetime]) -> None:
        self._out = out
        self._clock = clock
        self._last: datetime | None = None
        self._told: tuple[str, int | None] | None = None

    def say(self, transition: Transition) -> None:
        """One line."""
        self._line(transition.message)

    def note(self, text: str) -> None:
        """One line."""
        self._line(text)

    def show(self, status: FineTuneJobStatus) -> None:
        """One line now and then, if there is something new."""
        progress, stage = status.progress, _running_stage(status)
        if progress is None or stage is None:
            return
        now = self._clock()
        news = (stage, progress.step)
        if self._told == news or (self._last and (now - self._last).total_seconds() < _LINE_EVERY_SECONDS):
            return
        self._last, self._told = now, news
        self._line(f"{stage} {progress_text(progress)}")

    def close(self) -> None:
        """Nothing is held open."""

    def _line(self, text: str) -> None:
        self._out.write(f"{self._clock():%H:%M:%S} {text}\n")
        self._out.flush()


class LiveBars:
    """One bar per stage, with step, loss, speed and time left; transitions stand above them."""

    def __init__(self, stages: Iterable[Stage] = STAGES) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bars: Bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        self._tasks: dict[Stage, TaskID] = {
            stage: self._bars.add_task(stage, total=100, start=False, text="") for stage in stages
        }
        self._begun: set[Stage] = set()
        self._bars.start()

    def say(self, transition: Transition) -> None:
        """Above the bars, if it is not what the bars show anyway."""
        if transition.level == "Warning" or transition.reason not in ("Started", "Completed"):
            style = "yellow" if transition.level == "Warning" else "green"
            self._bars.console.print(transition.message, style=style, highlight=False, markup=False)

    def note(self, text: str) -> None:
        """Above the bars."""
        self._bars.console.print(text, highlight=False, markup=False)

    def show(self, status: FineTuneJobStatus) -> None:
        """Move the bars."""
        running = _running_stage(status)
        for stage, task in self._tasks.items():
            if is_done(status, stage):
                self._begin(stage)
                self._bars.update(task, completed=100, text="done")
                self._bars.stop_task(task)
            elif stage == running:
                self._begin(stage)
                progress = status.progress
                if progress is not None:
                    self._bars.update(task, completed=progress.percent or 0, text=progress_text(progress))
                else:
                    self._bars.update(task, text="starting")

    def close(self) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()

    def _begin(self, stage: Stage) -> None:
        if stage not in self._begun:
            self._begun.add(stage)
            self._bars.start_task(self._tasks[stage])


def _running_stage(status: FineTuneJobStatus) -> Stage | None:
    return next((stage for stage, needs in STAGES.items() if needs.phase == status.phase), None)


def progress_text(progress: Progress) -> str:
    """Step, loss, speed and time left, as far as they are known."""
    parts = []
    if progress.step is not None and progress.total_steps:
        parts.append(f"step {progress.step}/{progress.total_steps}")
    elif progress.percent is not None:
        parts.append(f"{progress.percent} %")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.tokens_per_second:
        parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    if progress.eta_seconds is not None and progress.percent != 100:
        parts.append(f"{duration(progress.eta_seconds)} left")
    return ", ".join(parts) or "at work"


# ---------------------------------------------------------------- results

_OF_ANSWERS = {str(metric) for metric, traits in METRIC_TRAITS.items() if traits.generated}


def print_result(status: FineTuneJobStatus, paths: dict[str, str], out: TextIO) -> None:
    """The table of base against tuned, the verdict, the gates, and where everything is."""
    if status.evaluation is not None:
        print_scores(status.evaluation, out)
    console = _console(out)
    if status.data is not None and status.data.warnings:
        findings = f"{status.data.warnings} finding{'s' if status.data.warnings > 1 else ''}"
        console.print(f"To look at: {findings} about the data, in its report", markup=False)
    if status.message and status.phase and status.phase.terminal:
        begins = "" if status.message.startswith(f"{status.phase}:") else f"{status.phase}: "
        console.print(f"{begins}{status.message}", markup=False, soft_wrap=True)
    if status.phase is Phase.SUSPENDED:
        console.print("Stopped. The same command again continues where it stopped.", markup=False)
    width = max(map(len, paths), default=0)
    for name, path in paths.items():
        console.print(f"{name:<{width}}  {path}", markup=False, soft_wrap=True)


def print_scores(evaluation: EvaluationSummary, out: TextIO, *, width: int | None = None) -> None:
    """The table of base against tuned, the verdict and the gates; so many columns wide, if the terminal does not say it."""
    from rich import box
    from rich.table import Table

    console = _console(out, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, side in (("metric", "left"), ("base", "right"), ("tuned", "right"), ("difference", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]  # the words are those of rich
    table.add_column("95 % interval")
    for metric, tuned in evaluation.tuned.items():
        base, delta = evaluation.base.get(metric), evaluation.delta.get(metric)
        table.add_row(
            metric,
            _number(base) if base is not None else "",
            _number(tuned),
            f"{delta.value:+.4g}" if delta else "",
            f"{delta.ci95[0]:+.4g} to {delta.ci95[1]:+.4g}" if delta else "",
        )
    console.print(f"Base against tuned on {evaluation.examples:,} held-out examples", markup=False)
    console.print(table)
    written = [metric for metric in evaluation.tuned if metric in _OF_ANSWERS]
    if written and evaluation.answered is not None and evaluation.answered != evaluation.examples:
        console.print(f"{', '.join(written)}: on {evaluation.answered:,} of them, which both models answered", markup=False)
    if evaluation.verdict:
        console.print(f"Verdict: {evaluation.verdict} ({evaluation.score.metric})", style="bold", markup=False)
    for gate in evaluation.gates:
        console.print(f"Gate {'kept' if gate.passed else 'NOT KEPT'}: {gate.reason}", markup=False)


def _console(out: TextIO, width: int | None = None) -> Console:
    from rich.console import Console

    return Console(file=out, highlight=False, width=None if out.isatty() else width or 100)


def print_plan(plan: Plan, out: TextIO, *, name: str) -> None:
    """Every resolved value with its reason, then what it will cost."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=out, highlight=False, width=None if out.isatty() else 120)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("resolved", "value", "because"):
        table.add_column(column)
    for choice in plan.choices:
        value = ("yes" if choice.value else "no") if isinstance(choice.value, bool) else str(choice.value)
        table.add_row(choice.field, value, choice.reason)
    console.print(f"Plan of {name}", markup=False)
    console.print(table)
    for line in plan_lines(plan):
        console.print(line, markup=False, soft_wrap=True)
    for warning in plan.warnings:
        console.print(f"Note: {warning}", markup=False, soft_wrap=True)


def plan_lines(plan: Plan) -> list[str]:
    """What the plan comes to, in sentences."""
    topology = plan.topology
    device = "GPU" if topology.device == "cuda" else "CPU"
    lines = [f"Processes: {topology.world_size} on {device}, threads of each: {topology.threads_per_process}, {plan.precision}"]
    if plan.schedule is None or plan.layout is None:
        return [*lines, "Steps, memory and time are known after the prepare stage: finetune plan --prepare runs it."]
    schedule = plan.schedule
    epochs = schedule.total_steps / schedule.steps_per_epoch
    lines.append(
        f"Steps: {schedule.total_steps:,} of {schedule.batch_size} examples ({epochs:.3g} epoch{'' if epochs == 1 else 's'}),"
        f" learning rate {schedule.learning_rate:g} after {schedule.warmup_steps} warm-up steps"
    )
    lines.append(f"Memory: {plan.memory_gib} of {plan.available_gib} GiB per process, ZeRO stage {plan.layout.zero_stage}")
    if plan.seconds is not None:
        usual = "" if topology.device == "cuda" else " at the speed that prepare measured"
        lines.append(f"Time: steps take about {_about(plan.seconds)}{usual}; start, validation and checkpoints come on top")
    return lines


def _about(seconds: float) -> str:
    """Rounded up: 119 seconds are no minute to somebody who waits."""
    return duration(math.ceil(seconds / 60) * 60 if seconds > 60 else seconds)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def as_json(value: Any) -> str:
    """JSON as programs read it, whatever standard output's encoding."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=not knows_all_characters())
