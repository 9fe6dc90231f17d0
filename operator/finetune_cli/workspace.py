"""The directory of a local job: its state, its lock, and what may be continued there.

What a cluster keeps in the resource and its children lies here in files. A run that was killed finds all of it again, two
runs of one workspace exclude each other, and a changed manifest never continues another job's work.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finetune_api.errors import UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Attempt, FineTuneJobStatus, Phase, Restarts
from finetune_operator.brain.failures import FailureClass
from finetune_operator.brain.retries import smaller_plans
from finetune_operator.brain.stages import Stage
from finetune_operator.brain.status import COMPLETED, is_done


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
            hint="A changed job is a new job: name another --workspace, or begin anew with finetune run --fresh.",
        )
    status = old.status
    if status.phase is Phase.FAILED:
        done = tuple(c for c in status.conditions if c.status == "True" and c.reason == COMPLETED)
        # What was trained stays as it was planned; what was not is planned anew.
        smaller = smaller_plans(status, Stage.TRAIN) if is_done(status, Stage.TRAIN) else 0
        status = FineTuneJobStatus(
            restarts=Restarts(out_of_memory=smaller),
            facts=status.facts,
            data=status.data,
            evaluation=status.evaluation,
            conditions=done,
            attempts=tuple(_settled(attempt) for attempt in status.attempts),
        )
    return job.model_copy(update={"status": status})


def with_known_facts(job: FineTuneJob, workspace: Workspace) -> tuple[FineTuneJob, str | None]:
    """The job with what prepare found in a workspace, if it is of use to it; for plans, which change nothing.

    Whoever changes the epochs wants to see the steps at once, and the data is the same.

    Returns: the job, and a note where the workspace holds another one.
    """
    old = workspace.load()
    if old is None:
        return job, None
    before, now = _frozen_part(old), _frozen_part(job)
    changed = _first_difference(before, now, "spec")
    if changed is None:
        return take_up(job, workspace), None
    other_data = _first_difference(_of_data(before), _of_data(now), "spec")
    if other_data is not None or old.status.facts is None:
        return job, f"{workspace.root} holds another job ({other_data or changed} differs), so its data is not counted here."
    note = f"{workspace.root} holds another job ({changed} differs); its data is the same and was counted here."
    return job.model_copy(update={"status": FineTuneJobStatus(facts=old.status.facts)}), note


def _of_data(spec: dict[str, Any]) -> dict[str, Any]:
    """What decides what prepare finds."""
    kept = {name: spec.get(name) for name in ("task", "model", "datasets", "preparation")}
    return {**kept, "evaluation": {"suites": spec["evaluation"].get("suites")}}


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


def forget(workspace: Path) -> None:
    """Remove what an earlier job left in a workspace, but nothing that a workspace does not hold. The lock must be held.

    Raises: UserError if the directory is not a workspace.
    """
    ours = [workspace / "job.json", workspace / "attempts" / "prepare-1" / "config.json"]  # the latter of `finetune prepare`
    if not any(path.is_file() for path in ours) and any(path.name != "lock" for path in workspace.iterdir()):
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
