"""The other pair of hands: the stages of a job as processes of this machine, driven by the same brain as in a cluster.

Everything that must survive lies in the workspace: job.json holds manifest and status (a cluster keeps them in the
resource), attempts/ holds orders, result and log of every attempt (a cluster keeps them in ConfigMap, pod and log). So a
run that was killed is continued by running again, and two runs of one workspace exclude each other.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from finetune_api import meta
from finetune_api.contract.exit_codes import ExitCode
from finetune_api.contract.result import StageResult, decode
from finetune_api.contract.trainer_config import Mounts
from finetune_api.errors import InvalidSpec, Problem, UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus, Phase
from finetune_cli.manifest import Manifest
from finetune_cli.progress_server import ProgressServer
from finetune_operator.brain.configure import configure
from finetune_operator.brain.decide import AttemptName, Decision, decide, refuse
from finetune_operator.brain.failures import FailureClass
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Exit, ExitReason, Observation
from finetune_operator.brain.plan import Plan, plan
from finetune_operator.brain.stages import Stage
from finetune_operator.brain.status import COMPLETED, is_done
from finetune_operator.brain.transitions import Transition, transitions

POLL_SECONDS = 0.2
KILL_AFTER_SECONDS = 60.0
"""How long a stage that was told to stop may save before it is killed."""


class Workspace:
    """The directory of one local job: its state, its attempts and the lock that keeps a second run out.

    Raises: UserError if it cannot be written, another run uses it, or it holds another job.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = (root / "lock").open("a+")
        except OSError as error:
            raise UserError(
                f"the workspace {root} cannot be written: {error.strerror}", hint="Name another with --workspace."
            ) from None

    @property
    def state(self) -> Path:
        """Manifest and status."""
        return self.root / "job.json"

    def attempt(self, stage: str, number: int) -> Path:
        """Orders, result and log of one attempt."""
        return self.root / "attempts" / f"{stage}-{number}"

    def lock(self) -> None:
        """Keep others out until this process and all its stages have ended.

        Raises: UserError that names the process which holds it.
        """
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            raise UserError(f"the workspace {self.root} is used by another run (process {holder})") from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    @property
    def lock_descriptor(self) -> int:
        """Stages inherit it, so the lock outlives a killed run for as long as a stage of it does."""
        return self._lock.fileno()

    def load(self) -> FineTuneJob | None:
        """The job as it was left; None in a new workspace."""
        return _read_state(self.state)

    def save(self, job: FineTuneJob) -> None:
        """Keep manifest and status, in one rename."""
        with self.writing():
            aside = self.state.with_suffix(".writing")
            aside.write_text(job.model_dump_json(by_alias=True, exclude_none=True, indent=1), encoding="utf-8")
            aside.rename(self.state)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Where writing may fail under way.

        Raises: UserError for a full disk or a directory that is gone.
        """
        try:
            yield
        except OSError as error:
            raise UserError(
                f"the workspace {self.root} cannot be written: {error.strerror}",
                hint="What was reached is kept; run again when it can.",
            ) from None


def take_up(job: FineTuneJob, workspace: Workspace) -> FineTuneJob:
    """Continue what the workspace holds, or begin.

    A failed job begins again at the stage that failed, with fresh counters: the person who runs it again has changed
    something outside the manifest, such as data or disk space.
    Raises: UserError if the workspace holds a job with another spec.
    """
    old = workspace.load()
    if old is None:
        return job
    changed = _first_difference(_frozen_part(old), _frozen_part(job), "spec")
    if changed:
        raise UserError(
            f"the workspace {workspace.root} holds another job: {changed} differs",
            hint="A changed job is a new job: name another --workspace, or say --fresh to begin anew.",
        )
    status = old.status
    if status.phase is Phase.FAILED:
        done = tuple(c for c in status.conditions if c.status == "True" and c.reason == COMPLETED)
        status = FineTuneJobStatus(
            facts=status.facts,
            data=status.data,
            evaluation=status.evaluation,
            conditions=done,
            attempts=tuple(_settled(attempt) for attempt in status.attempts),
        )
    return job.model_copy(update={"status": status})


def _settled(attempt: Attempt) -> Attempt:
    """A failed attempt that no longer speaks against another one; it stays, so that no number is used twice."""
    if attempt.reason in (COMPLETED, FailureClass.STOPPED):
        return attempt
    told = f"{attempt.reason}: {attempt.message}; run again by hand"
    return attempt.model_copy(update={"reason": str(FailureClass.STOPPED), "message": told, "charged": False})


def _frozen_part(job: FineTuneJob) -> dict[str, Any]:
    spec: dict[str, Any] = job.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    for mutable in ("suspend", "ttlSecondsAfterFinished"):
        spec["runPolicy"].pop(mutable, None)
    return spec


def _first_difference(old: Any, new: Any, path: str) -> str | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            found = _first_difference(old.get(key), new.get(key), f"{path}.{key}")
            if found:
                return found
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return next((f for i, (a, b) in pairs if (f := _first_difference(a, b, f"{path}[{i}]"))), None)
    return None if old == new else path


def localized(job: FineTuneJob, manifest: Manifest) -> FineTuneJob:
    """The job with its relative file:// paths made absolute: they are meant from the manifest's directory.

    Raises: InvalidSpec for what only a cluster can do.
    """
    problems = [
        Problem(f"spec.{name}", "runs in a cluster only; leave it out for a local run")
        for name, value in (("command", job.spec.command), ("image", job.spec.image))
        if value is not None
    ]
    if problems:
        raise InvalidSpec(problems)

    def absolute(uri: str) -> str:
        path = uri.removeprefix("file://")
        return uri if path == uri or path.startswith("/") else f"file://{(manifest.folder / path).resolve()}"

    spec = job.spec
    suites = tuple(suite.model_copy(update={"uri": absolute(suite.uri)}) for suite in spec.evaluation.suites)
    update = {
        "model": spec.model.model_copy(update={"uri": absolute(spec.model.uri)}),
        "datasets": tuple(dataset.model_copy(update={"uri": absolute(dataset.uri)}) for dataset in spec.datasets),
        "evaluation": spec.evaluation.model_copy(update={"suites": suites}),
        "output": spec.output.model_copy(update={"uri": absolute(spec.output.uri)}),
    }
    return job.model_copy(update={"spec": spec.model_copy(update=update)})


# ---------------------------------------------------------------- the run


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
        clock: aware, UTC.
        say: is told what happened, after it was saved.
        show: is shown the status after each look.
    """

    job: FineTuneJob
    workspace: Workspace
    machine: Machine
    mounts: Mounts
    environment: Mapping[str, str]
    clock: Callable[[], datetime]
    say: Callable[[Transition], None]
    show: Callable[[FineTuneJobStatus, Plan | None], None]
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
                self._running.process.kill()

    def request_stop(self) -> int:
        """Stop as a suspension would: save, keep, continue later. Asked a second time: at once. Returns how often asked."""
        self._stop_requests += 1  # and no more: a signal may come between any two steps, and the job is written there
        if self._stop_requests > 1 and self._running:
            self._running.process.kill()
        return self._stop_requests

    # ------------------------------------------------------------ observe, decide

    def _decide(self) -> Decision:
        if self._stop_requests:
            policy = self.job.spec.run_policy.model_copy(update={"suspend": True})
            self.job = self.job.model_copy(update={"spec": self.job.spec.model_copy(update={"run_policy": policy})})
        seen, now = self._observe(), self.clock()
        try:
            self.plan = plan(
                self.job.spec,
                self.job.status.facts,
                self.machine,
                smaller=self.job.status.restarts.out_of_memory,
            )
        except InvalidSpec as error:
            return refuse(self.job, error, seen, now)
        return decide(self.job, self.plan, seen, now)

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
                exit=Exit(code if code >= 0 else 128 - code, result=self._result(name)),
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
        path = self.workspace.attempt(name.stage, name.number) / "result.json"
        return decode(path.read_text(encoding="utf-8")) if path.is_file() else None

    # ------------------------------------------------------------ act

    def _record(self, status: FineTuneJobStatus) -> None:
        before = self.job.status
        self.job = self.job.model_copy(update={"status": status})
        if _without_progress(status) != _without_progress(before):
            self.workspace.save(self.job)
            for transition in transitions(before, status):
                self.say(transition)
        self.show(status, self.plan)

    def _is_far_enough(self) -> bool:
        return self.until is not None and is_done(self.job.status, self.until)

    def _start(self, name: AttemptName) -> None:
        assert self.plan is not None
        folder = self.workspace.attempt(name.stage, name.number)
        config = configure(self.job, self.plan, name.stage, name.number, workspace=str(self.workspace.root), mounts=self.mounts)
        orders = folder / "config.json"
        with self.workspace.writing():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "result.json").unlink(missing_ok=True)
            orders.write_text(config.model_dump_json(by_alias=True, exclude_none=True, indent=1), encoding="utf-8")
            log = (folder / "log.txt").open("ab")
            reports = self._server.expect(secrets.token_urlsafe(32), folder / "token")
        environment = {
            **self.environment,
            meta.TERMINATION_LOG_VARIABLE: str(folder / "result.json"),
            "FINETUNE_PARENT_PID": str(os.getpid()),
            "PYTHONUNBUFFERED": "1",
            **reports,
        }
        if self.plan.topology.device == "cpu":
            environment["DS_ACCELERATOR"] = "cpu"
            environment["CUDA_VISIBLE_DEVICES"] = ""
        command = [sys.executable, "-m", "finetune_trainer", name.stage, "--config", str(orders)]
        with log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self.workspace.lock_descriptor],
                # Ctrl-C reaches the terminal's whole group; the stage must hear of it from us, as SIGTERM.
                start_new_session=True,
            )
        self._running = _Running(name, process, self.clock())

    def _stop(self, name: AttemptName) -> None:
        running = self._running
        if running is None or running.name != name or running.process.poll() is not None:
            return
        now = time.monotonic()
        if running.told_to_stop_at is None:
            running.told_to_stop_at = now
            running.process.send_signal(signal.SIGTERM)
        elif now - running.told_to_stop_at > KILL_AFTER_SECONDS:
            running.process.kill()

    def _wait(self, decision: Decision) -> None:
        """Sleep until a process ends or the next look is due."""
        if decision.requeue_after == timedelta(0):
            return
        if self._running and self._running.finished_at is None:
            with suppress(subprocess.TimeoutExpired):
                self._running.process.wait(POLL_SECONDS)
        else:
            time.sleep(POLL_SECONDS)


def _without_progress(status: FineTuneJobStatus) -> FineTuneJobStatus:
    """Progress changes every second and is shown, but only what must survive is written."""
    attempts = tuple(a.model_copy(update={"last_step": None}) if a.finished_at is None else a for a in status.attempts)
    return status.model_copy(update={"progress": None, "attempts": attempts})


def forget(workspace: Path) -> None:
    """Remove what an earlier job left in a workspace, but nothing that a workspace does not hold. The lock must be held.

    Raises: UserError if the directory is not a workspace.
    """
    if not (workspace / "job.json").is_file() and any(path.name != "lock" for path in workspace.iterdir()):
        raise UserError(f"{workspace} is not a workspace of a job, so --fresh does not empty it")
    for path in workspace.iterdir():
        if path.name != "lock":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def load_status(workspace: Path) -> FineTuneJob:
    """The job of a workspace, for looking at.

    Raises: UserError if there is none.
    """
    job = _read_state(workspace / "job.json")
    if job is None:
        raise UserError(f"{workspace} holds no job", hint="Name the workspace with --workspace.")
    return job


def _read_state(path: Path) -> FineTuneJob | None:
    try:
        return FineTuneJob.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UserError(
            f"{path} is damaged, or of another version of finetune",
            hint="Begin anew with --fresh, or name another --workspace.",
        ) from None
