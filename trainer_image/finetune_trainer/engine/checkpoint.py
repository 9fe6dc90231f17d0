"""Checkpoints that are whole or do not exist, and that any number of ranks can continue.

DeepSpeed's own checkpoint holds one file per rank of one particular world size, without a rename or a flush to disk. Ours
holds each trained parameter once: fp32 weight and both moments, 12 bytes each, in safetensors. It is written aside, flushed,
renamed, and exists only once its marker does, which is written last and lists sizes and digests. Each attempt writes into a
directory of its own, so that a process of an older attempt that lives on somewhere harms nothing.

    checkpoints/<attempt>/step-00000420/{states-00000.safetensors, ..., complete}
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from finetune_api.contract.workspace import Workspace
from finetune_trainer.digests import file_digest
from finetune_trainer.engine.progress import Progress
from finetune_trainer.engine.states import EngineStates, State

log = logging.getLogger(__name__)

MARKER = "complete"
_VERSION = 1
_FILE_BYTES = 1 << 30
_KEPT = 2

Beat = Callable[[], None]
"""Called when something is done: a sign of life."""


def _silent() -> None:
    """For whoever waits for no sign."""


@dataclass(frozen=True, slots=True)
class Found:
    """A complete checkpoint."""

    folder: Path
    progress: Progress
    identity: str


class Checkpoints:
    """Checkpoints of one run.

    Args:
        workspace: where they lie.
        attempt: number of this attempt; it alone is written to.
        identity: what the run is (data, hyperparameters); checkpoints of another run are not taken.
        is_writer: whether this rank writes.
    """

    def __init__(self, workspace: Workspace, *, attempt: int, identity: str, is_writer: bool) -> None:
        self._root = workspace.checkpoints
        self._attempt = attempt
        self._own = workspace.attempt_checkpoints(attempt)
        self._identity = identity
        self._is_writer = is_writer

    def newest(self, *, beat: Beat = _silent) -> Found | None:
        """The complete checkpoint with the most steps, of any attempt. What is broken is passed over with a log line.

        Args:
            beat: called after each file, here and below, since all of them may take hours.
        """
        for found in self._complete():
            if found.identity != self._identity:
                log.warning("%s belongs to another run and is not used", found.folder)
            elif damaged := _damage(found.folder, beat):
                log.warning("%s is damaged (%s) and is not used", found.folder, damaged)
            else:
                return found
        return None

    def at(self, step: int, *, beat: Beat = _silent) -> Found | None:
        """A complete and undamaged checkpoint of a step, of any attempt."""
        fitting = (f for f in self._complete() if f.progress.step == step and f.identity == self._identity)
        return next((f for f in fitting if _damage(f.folder, beat) is None), None)

    def save(self, states: EngineStates, progress: Progress, *, beat: Beat = _silent) -> None:
        """Write a checkpoint. Collective: all ranks gather, one writes. Older ones beyond the newest two and the best go."""
        final = self._own / f"step-{progress.step:08d}"
        aside = final.with_name(final.name + ".writing")
        if self._is_writer:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
        files: dict[str, dict[str, Any]] = {}
        for number, chunk in enumerate(_chunks(states, kept=self._is_writer)):
            if self._is_writer:
                name = f"states-{number:05d}.safetensors"
                save_file(chunk, aside / name)
                _flush(aside / name)
                files[name] = {"bytes": (aside / name).stat().st_size, "sha256": file_digest(aside / name)}
            beat()
        if not self._is_writer:
            return
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        marker = {
            "version": _VERSION,
            "identity": self._identity,
            "step": progress.step,
            "bestStep": progress.best_step,
            "bestLoss": progress.best_loss,
            "withoutImprovement": progress.without_improvement,
            "files": files,
        }
        half = final / f"{MARKER}.writing"
        half.write_text(json.dumps(marker, indent=1), encoding="utf-8")
        _flush(half)
        half.rename(final / MARKER)
        _flush(final)
        log.info("checkpoint at step %d", progress.step)
        self._forget(keep_best=progress.best_step)

    def load(self, found: Found, states: EngineStates, *, beat: Beat = _silent) -> None:
        """Put a checkpoint into an engine of any world size. Collective: every rank reads.

        Raises: ValueError if it holds other parameters than the engine trains.
        """
        states.prepare_for_writing(found.progress.step)
        missing = set(states.names())
        for path in sorted(found.folder.glob("states-*.safetensors")):
            tensors = load_file(path)
            for name in sorted({key.rpartition("|")[0] for key in tensors}):
                state = State(*(tensors[f"{name}|{part}"] for part in ("weight", "exp_avg", "exp_avg_sq")))
                states.write(name, state)
                missing.discard(name)
            beat()
        if missing:
            raise ValueError(f"{found.folder} lacks {len(missing)} parameters, such as {sorted(missing)[0]}")

    def weights(self, found: Found, *, beat: Beat = _silent) -> Iterator[tuple[str, torch.Tensor]]:
        """The fp32 weights of a checkpoint, one after another: name and whole tensor, on the CPU. Moments stay on the disk."""
        for path in sorted(found.folder.glob("states-*.safetensors")):
            with safe_open(path, framework="pt") as file:
                for key in sorted(file.keys()):
                    name, _, part = key.rpartition("|")
                    if part == "weight":
                        yield name, file.get_tensor(key)
            beat()

    def _complete(self) -> list[Found]:
        """Complete checkpoints of all attempts, the one with the most steps first, then the newest attempt."""
        found = []
        for marker in self._root.glob(f"*/step-*/{MARKER}"):
            try:
                value = json.loads(marker.read_text(encoding="utf-8"))
                progress = Progress(value["step"], value["bestStep"], value["bestLoss"], value["withoutImprovement"])
                if value["version"] == _VERSION:
                    found.append(Found(marker.parent, progress, value["identity"]))
            except (OSError, ValueError, KeyError):
                log.warning("%s has no marker that can be read and is not used", marker.parent)
        return sorted(found, key=lambda f: (f.progress.step, _attempt_number(f.folder)), reverse=True)

    def _forget(self, *, keep_best: int) -> None:
        """Delete checkpoints of this run, but the newest two and the best, in this attempt and older ones.

        Those of another run, with more steps perhaps, must neither push ours out nor be lost. And whoever was given up and
        lives on knows nothing of a newer attempt's best: it leaves alone what lies there, and what that one calls its best.
        """
        complete = [found for found in self._complete() if found.identity == self._identity]
        newer = [f for f in complete if _attempt_number(f.folder) > self._attempt]
        kept = {f.folder for f in (*complete[:_KEPT], *newer)}
        best = {keep_best} | {f.progress.best_step for f in (*complete[:_KEPT], *newer)}
        for found in complete:
            if found.folder not in kept and found.progress.step not in best:
                (found.folder / MARKER).unlink(missing_ok=True)  # first: a half-deleted checkpoint must not look whole
                shutil.rmtree(found.folder, ignore_errors=True)


def _attempt_number(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def _chunks(states: EngineStates, *, kept: bool) -> Iterator[dict[str, torch.Tensor]]:
    """All states in pieces that fit into memory beside the model; empty ones where they are not kept. Collective."""
    states.link()
    chunk: dict[str, torch.Tensor] = {}
    size = 0
    for name in states.names():
        state = states.read(name)
        for part in ("weight", "exp_avg", "exp_avg_sq"):
            tensor: torch.Tensor = getattr(state, part)
            if kept:
                chunk[f"{name}|{part}"] = tensor.contiguous()
            size += tensor.numel() * tensor.element_size()
        if size >= _FILE_BYTES:
            yield chunk
            chunk, size = {}, 0
    if size:
        yield chunk


def _damage(folder: Path, beat: Beat) -> str | None:
    """What is wrong with a checkpoint that has a marker; None if it is what the marker says."""
    files = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    for name, known in files.items():
        path = folder / name
        try:
            if path.stat().st_size != known["bytes"]:
                return f"{name} has another size"
            if file_digest(path) != known["sha256"]:
                return f"{name} has another digest"
        except (OSError, SafetensorError) as error:
            return f"{name}: {type(error).__name__}"
        beat()
    return None


def _flush(path: Path) -> None:
    """Have a file or a directory on disk before anything says that it is there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
