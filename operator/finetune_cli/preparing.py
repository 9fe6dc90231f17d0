"""The prepare stage alone, for looking at data: no job, no plan to carry out, no stage after it.

It is the same stage with the same orders as in a job, so what is seen here is what a job would do. Without a model lengths are
characters, and limits that count tokens do not apply.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from finetune_api.contract.result import StageError, StageResult
from finetune_api.contract.trainer_config import WITHOUT_MODEL, ModelInput, Mounts, TrainerConfig
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import FineTuneJobStatus, Phase
from finetune_cli.console import Display
from finetune_cli.machine import this_machine
from finetune_cli.process import result_in, start_stage
from finetune_cli.progress_server import ProgressServer
from finetune_cli.workspace import Workspace
from finetune_operator.brain.configure import configure
from finetune_operator.brain.plan import plan
from finetune_operator.brain.stages import Stage

_POLL_SECONDS = 0.2
_UNLIMITED = {"max_length": 1_048_576, "overlong": "drop"}
"""The longest that the manifest can name: a limit in tokens means nothing where there are none."""


def orders_of(
    job: FineTuneJob,
    workspace: Workspace,
    *,
    environment: Mapping[str, str],
    mounts: Mounts,
    model: str,
    write_examples: str | None,
) -> TrainerConfig:
    """The orders that the job's plan gives for prepare.

    Args:
        model: URI of the model, or WITHOUT_MODEL.
        write_examples: absolute path to which the prepared examples are written as text.
    Raises: InvalidSpec if the job cannot be planned.
    """
    made = plan(job.spec, None, this_machine(environment))
    config = configure(job, made, Stage.PREPARE, 1, workspace=str(workspace.root), mounts=mounts)
    assert config.prepare is not None
    prepare = config.prepare.model_copy(update={"write_examples": write_examples})
    if model != WITHOUT_MODEL:
        return config.model_copy(update={"prepare": prepare})
    preparation = prepare.preparation.model_copy(update=_UNLIMITED)
    prepare = prepare.model_copy(update={"preparation": preparation})
    return config.model_copy(update={"prepare": prepare, "model": ModelInput(uri=WITHOUT_MODEL)})


@dataclass(slots=True)
class Preparing:
    """One run of the stage, shown while it works.

    Args:
        config: its orders.
        workspace: locked.
        environment: for the stage.
        clock: aware, UTC.
        screen: shows how it stands.
    """

    config: TrainerConfig
    workspace: Workspace
    environment: Mapping[str, str]
    clock: Callable[[], datetime]
    screen: Display
    stopped: bool = False
    """Whether somebody asked it to stop."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def run(self) -> StageResult:
        """Run it to its end; the result says how it went, also if it said nothing itself."""
        folder, server = self.workspace.attempt(Stage.PREPARE, 1), ProgressServer()
        begun = self.clock()
        try:
            with self.workspace.writing():
                self._process = start_stage(
                    self.config,
                    folder,
                    environment=self.environment,
                    server=server,
                    lock_descriptor=self.workspace.lock_descriptor,
                    on_cpu=True,
                )
            while self._process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_POLL_SECONDS)
                status = FineTuneJobStatus(phase=Phase.PREPARING, start_time=begun, progress=server.newest())
                self.screen.show(status)
        finally:
            server.close()
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
        return result_in(folder) or _nothing_said(self._process.returncode, str(folder / "log.txt"))

    def stop(self) -> None:
        """Tell it to stop; asked a second time, end it at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if self.stopped else signal.SIGTERM)
        self.stopped = True


def _nothing_said(code: int, log: str) -> StageResult:
    message = f"prepare ended with exit code {code if code >= 0 else 128 - code} and said nothing; its log is {log}"
    return StageResult(stage="prepare", error=StageError(error_class="Bug", message=message))
