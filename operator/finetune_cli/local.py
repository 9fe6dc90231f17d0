"""The other pair of hands: the stages of a job as processes of this machine, driven by the same brain as in a cluster.

Everything that must survive lies in the workspace: job.json holds manifest and status (a cluster keeps them in the
resource), attempts/ holds orders, result and log of every attempt (a cluster keeps them in ConfigMap, pod and log). So a
run that was killed is continued by running again, and two runs of one workspace exclude each other.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from finetune_api.contract.exit_codes import ExitCode
from finetune_api.contract.result import StageResult
from finetune_api.contract.trainer_config import Mounts
from finetune_api.errors import InvalidSpec
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus, Phase
from finetune_cli.own_program import OwnProgram, kill_all, own_variables
from finetune_cli.process import result_in, start_stage
from finetune_cli.progress_server import ProgressServer
from finetune_cli.workspace import Workspace
from finetune_operator.brain.configure import configure
from finetune_operator.brain.decide import AttemptName, Decision, decide
from finetune_operator.brain.kept_plan import kept_plan
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Exit, ExitReason, Observation
from finetune_operator.brain.plan import Plan, plan
from finetune_operator.brain.retries import smaller_plans
from finetune_operator.brain.stages import Stage
from finetune_operator.brain.status import is_done
from finetune_operator.brain.transitions import Transition, transitions

POLL_SECONDS = 0.2
KILL_AFTER_SECONDS = 60.0
"""How long a stage that was told to stop may save before it is killed."""


@dataclass(slots=True)
class _Running:
    """A stage at work."""

    name: AttemptName
    process: subprocess.Popen[bytes]
    started_at: datetime
    told_to_stop_at: float | None = None
    finished_at: datetime | None = None


@dataclass(slots=True)
class LocalRun:
    """Observe, decide, act, until the job has ended or somebody stops it.

    Args:
        job: with the status reached so far.
        workspace: locked.
        machine: what there is to run on.
        mounts: directories for pvc:// and configMap://.
        environment: for the stages.
        folder: the manifest's, in which a training program of the user's is started.
        clock: aware, UTC.
        say: is told what happened, after it was saved.
        show: is shown the status after each look.
    """

    job: FineTuneJob
    workspace: Workspace
    machine: Machine
    mounts: Mounts
    environment: Mapping[str, str]
    folder: Path
    clock: Callable[[], datetime]
    say: Callable[[Transition], None]
    show: Callable[[FineTuneJobStatus], None]
    until: Stage | None = None
    """Stop once this stage is done."""
    plan: Plan | None = None
    _running: _Running | None = None
    _server: ProgressServer = field(default_factory=ProgressServer)
    _stop_requests: int = 0

    def run(self) -> FineTuneJob:
        """Run to the end; returns the job with its last status."""
        try:
            while not self._is_far_enough():
                decision = self._decide()
                self._record(decision.status)
                if decision.start:
                    self._start(decision.start)
                for name in decision.stop:
                    self._stop(name)
                ended = self._running is None or self._running.finished_at is not None
                phase = self.job.status.phase
                if phase is not None and (phase.terminal or phase is Phase.SUSPENDED) and ended:
                    break
                self._wait(decision)
            return self.job
        finally:
            self._server.close()
            if self._running and self._running.process.poll() is None:
                self._kill(self._running)

    def request_stop(self) -> int:
        """Stop as a suspension would: save, keep, continue later. Asked a second time: at once. Returns how often asked."""
        self._stop_requests += 1  # and no more: a signal may come between any two steps, and the job is written there
        if self._stop_requests > 1 and self._running:
            self._kill(self._running)
        return self._stop_requests

    # ------------------------------------------------------------ observe, decide

    def _decide(self) -> Decision:
        if self._stop_requests:
            policy = self.job.spec.run_policy.model_copy(update={"suspend": True})
            self.job = self.job.model_copy(update={"spec": self.job.spec.model_copy(update={"run_policy": policy})})
        seen, now, problem = self._observe(), self.clock(), None
        try:
            self.plan = plan(
                self.job.spec,
                self.job.status.facts,
                self.machine,
                smaller=smaller_plans(self.job.status, Stage.TRAIN),
            )
        except InvalidSpec as error:
            self.plan, problem = kept_plan(self.job, self.machine), error
        return decide(self.job, self.plan, seen, now, problem=problem)

    def _observe(self) -> Observation:
        """Every attempt that the status holds open, as it is found on this machine."""
        found = [self._look_at(attempt) for attempt in self.job.status.attempts if attempt.finished_at is None]
        return Observation(tuple(attempt for attempt in found if attempt))

    def _look_at(self, attempt: Attempt) -> AttemptSeen | None:
        name = AttemptName(Stage(attempt.stage), attempt.number)
        running = self._running
        if running is not None and running.name == name:
            code = running.process.poll()
            if code is None:
                return AttemptSeen(
                    name.stage,
                    name.number,
                    AttemptState.RUNNING,
                    started_at=running.started_at,
                    progress=self._server.newest(),
                    resumed_from_step=self._server.resumed_from_step(),
                )
            running.finished_at = running.finished_at or self.clock()
            return AttemptSeen(
                name.stage,
                name.number,
                AttemptState.ENDED,
                started_at=running.started_at,
                finished_at=running.finished_at,
                exit=Exit(code if code >= 0 else 128 - code, result=self._result(name) or self._own_result(name, code)),
                progress=self._server.newest(),
                resumed_from_step=self._server.resumed_from_step(),
            )
        if not self.workspace.attempt(name.stage, name.number).is_dir():
            return None
        # Of an earlier run: the lock says that none of its processes lives, so this attempt has ended somehow.
        result = self._result(name)
        done = result is not None and result.error is None
        return AttemptSeen(
            name.stage,
            name.number,
            AttemptState.ENDED,
            started_at=attempt.started_at,
            finished_at=self.clock(),
            exit=Exit(ExitCode.DONE, result=result) if done else Exit(None, ExitReason.VANISHED, result=result),
        )

    def _result(self, name: AttemptName) -> StageResult | None:
        return result_in(self.workspace.attempt(name.stage, name.number))

    def _own_result(self, name: AttemptName, code: int) -> StageResult | None:
        """What a program of the user's need not say itself: that it did its work."""
        own = self.job.spec.command is not None and name.stage is Stage.TRAIN
        return StageResult(stage=name.stage, attempt=name.number) if own and code == 0 else None

    # ------------------------------------------------------------ act

    def _record(self, status: FineTuneJobStatus) -> None:
        before = self.job.status
        self.job = self.job.model_copy(update={"status": status})
        if _without_progress(status) != _without_progress(before):
            self.workspace.save(self.job)
            for transition in _said_once(transitions(before, status)):
                self.say(transition)
        self.show(status)

    def _is_far_enough(self) -> bool:
        return self.until is not None and is_done(self.job.status, self.until)

    def _start(self, name: AttemptName) -> None:
        assert self.plan is not None
        folder = self.workspace.attempt(name.stage, name.number)
        config = configure(self.job, self.plan, name.stage, name.number, workspace=str(self.workspace.root), mounts=self.mounts)
        with self.workspace.writing():
            process = start_stage(
                config,
                folder,
                environment=self.environment,
                server=self._server,
                lock_descriptor=self.workspace.lock_descriptor,
                on_cpu=self.plan.topology.device == "cpu",
                own=self._own_program(name),
            )
        self._running = _Running(name, process, self.clock())

    def _own_program(self, name: AttemptName) -> OwnProgram | None:
        """What trains instead of our trainer, if the manifest says so."""
        command = self.job.spec.command
        if command is None or name.stage is not Stage.TRAIN:
            return None
        assert self.plan is not None
        variables = own_variables(
            self.plan.topology,
            name.number,
            orders=self.workspace.attempt(name.stage, name.number) / "config.json",
            workspace=self.workspace.root,
            environment=self.environment,
        )
        return OwnProgram(command, self.folder, variables)

    def _kill(self, running: _Running) -> None:
        """At once."""
        if self.job.spec.command is not None and running.name.stage is Stage.TRAIN:
            kill_all(running.process)
        else:
            running.process.kill()

    def _stop(self, name: AttemptName) -> None:
        running = self._running
        if running is None or running.name != name or running.process.poll() is not None:
            return
        now = time.monotonic()
        if running.told_to_stop_at is None:
            running.told_to_stop_at = now
            running.process.send_signal(signal.SIGTERM)
        elif now - running.told_to_stop_at > KILL_AFTER_SECONDS:
            self._kill(running)

    def _wait(self, decision: Decision) -> None:
        """Sleep until a process ends or the next look is due."""
        if decision.requeue_after == timedelta(0):
            return
        if self._running and self._running.finished_at is None:
            with suppress(subprocess.TimeoutExpired):
                self._running.process.wait(POLL_SECONDS)
        else:
            time.sleep(POLL_SECONDS)


def _said_once(found: list[Transition]) -> list[Transition]:
    """Without the end of the job where the end of the attempt, said right before, holds its words."""
    ended = [one.message for one in found if one.reason == "AttemptFailed"]
    return [
        one
        for one in found
        if one.reason != str(Phase.FAILED) or not any(one.message.partition(": ")[2].rstrip(".") in said for said in ended)
    ]


def _without_progress(status: FineTuneJobStatus) -> FineTuneJobStatus:
    """Progress changes every second and is shown, but only what must survive is written."""
    attempts = tuple(a.model_copy(update={"last_step": None}) if a.finished_at is None else a for a in status.attempts)
    return status.model_copy(update={"progress": None, "attempts": attempts})
