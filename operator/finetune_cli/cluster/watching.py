"""Jobs as they change: redrawn in place on a terminal, a line per change elsewhere.

Of one job the last picture is its end, and the exit code is the job's own, so that a script can wait for it.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from finetune_api.errors import UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.cluster.api import Api
from finetune_cli.cluster.jobs import in_order, job_named
from finetune_cli.exit_codes import OF_PHASE
from finetune_cli.standing import row, table
from finetune_cli.story import story
from finetune_operator.kinds import FINE_TUNE_JOB

if TYPE_CHECKING:
    from rich.text import Text


async def watch(api: Api, arguments: argparse.Namespace) -> int:
    """Show every change: of one job until it has ended, of all until somebody stops it.

    Returns: 0, 1 or 3, as the job ended.
    Raises: UserError if the job is not there, or is deleted while it is watched.
    """
    namespace = None if arguments.all_namespaces else api.namespace
    if arguments.job:
        await job_named(api, arguments.job)  # a name that is mistyped is not waited for
    screen = _Screen(arguments) if sys.stdout.isatty() else _Lines(arguments)
    with screen:
        async for found in api.follow(FINE_TUNE_JOB, namespace, name=arguments.job or ""):
            jobs = [job for job, _ in in_order(found)]
            screen.show(jobs, api.place)
            if arguments.job and not jobs:
                raise UserError(f"{arguments.job} was deleted")
            phase = jobs[0].status.phase if arguments.job else None
            if phase is not None and phase.terminal:
                return OF_PHASE[phase]
    return 0


class _Lines:
    """For logs and pipes: a row whenever it differs from the one before by more than its age."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._clock, self._namespaces = arguments.clock, arguments.all_namespaces
        self._told: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def show(self, jobs: list[FineTuneJob], place: str) -> None:
        """Print the rows that are news."""
        now = self._clock()
        header, *lines = table(jobs, now, namespaces=self._namespaces)
        if not self._told:
            sys.stdout.write(f"{header}\n")
        for job, line in zip(jobs, lines, strict=True):
            name = (job.metadata.namespace or "", job.name)
            cells = row(job, now)[:-1]
            if self._told.get(name) != cells:
                self._told[name] = cells
                sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


class _Screen:
    """On a terminal: the whole picture, drawn anew in place."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from rich.console import Console
        from rich.live import Live

        self._clock, self._job, self._namespaces = arguments.clock, arguments.job, arguments.all_namespaces
        self._console = Console(highlight=False, soft_wrap=True)
        self._jobs: list[FineTuneJob] = []
        self._place = ""
        self._live = Live(console=self._console, refresh_per_second=1, get_renderable=self._picture, vertical_overflow="crop")

    def __enter__(self) -> _Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, jobs: list[FineTuneJob], place: str) -> None:
        """Draw these from now on."""
        self._jobs, self._place = jobs, place

    def _picture(self) -> Text:
        from rich.text import Text

        now, width = self._clock(), self._console.width
        if self._job:
            lines = story(self._jobs[0], now, width=width, place=self._place) if self._jobs else []
        else:
            lines = table(self._jobs, now, namespaces=self._namespaces, width=width)
        return Text("\n".join(lines), no_wrap=True)
