"""metrics.jsonl: what every step measured, written without making a step wait.

Losses stay on the device until a flush; a `.item()` per micro-batch would stop the GPU each time. A flush adds them up over
ranks, looks whether they are finite, and writes a line per step.

    {"attempt": 1, "step": 420, "loss": 1.0321, "learningRate": 0.00018, "gradientNorm": 0.41, "tokens": 4096, ...}
    {"attempt": 1, "step": 420, "validationLoss": 1.101}
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from finetune_api.errors import UserError


@dataclass(slots=True)
class _Pending:
    step: int
    loss: torch.Tensor
    learning_rate: float
    tokens: int
    norm: Any
    at: float


@dataclass(slots=True)
class Journal:
    """The losses of a run.

    Args:
        path: of metrics.jsonl; None on ranks that do not write.
        attempt: number of this attempt.
        add_up: sums a CPU tensor over all ranks; collective.
        clock: monotonic seconds.
    """

    path: Path | None
    attempt: int
    add_up: Callable[[torch.Tensor], torch.Tensor]
    clock: Callable[[], float]
    last_loss: float | None = None
    tokens_per_second: float = 0.0
    _pending: list[_Pending] = field(default_factory=list)
    _flushed_at: float = 0.0

    def __post_init__(self) -> None:
        self._flushed_at = self.clock()

    def add(self, step: int, loss: torch.Tensor, *, learning_rate: float, tokens: int, norm: Any) -> None:
        """Note a step, without waiting for the device.

        Args:
            step: its number from 1.
            loss: this rank's share, shape (), on the device.
            tokens: of all ranks.
            norm: of the gradients, as the engine tells it: a number or shape (), or None.
        """
        self._pending.append(_Pending(step, loss, learning_rate, tokens, norm, self.clock()))

    def due(self, *, seconds: float, steps: int) -> bool:
        """Whether it is time to flush."""
        return bool(self._pending) and (len(self._pending) >= steps or self.clock() - self._flushed_at >= seconds)

    def flush(self, examples_of: Callable[[int], str]) -> None:
        """Write what is pending. Collective.

        Args:
            examples_of: names the examples of a step, without content.
        Raises: UserError if a loss is not finite; the weights are then lost, the checkpoints are not.
        """
        if not self._pending:
            return
        sums = self.add_up(torch.stack([p.loss.detach().float() for p in self._pending]).cpu())
        lines = []
        before = self._flushed_at
        for pending, loss in zip(self._pending, sums.tolist(), strict=True):
            norm = float(pending.norm) if pending.norm is not None else None
            if not math.isfinite(loss) or (norm is not None and not math.isfinite(norm)):
                self._write(lines)
                raise UserError(
                    f"the loss of step {pending.step} is no finite number; its examples: {examples_of(pending.step - 1)}",
                    field="spec.training.learningRate",
                    hint="Lower the learning rate, or look at these examples. Checkpoints of earlier steps are kept.",
                )
            line = {
                "attempt": self.attempt,
                "step": pending.step,
                "loss": loss,
                "learningRate": pending.learning_rate,
                "gradientNorm": norm,
                "tokens": pending.tokens,
                "seconds": round(pending.at - before, 4),
            }
            before = pending.at
            lines.append(line)
            self.last_loss = loss
        elapsed = self.clock() - self._flushed_at
        self.tokens_per_second = sum(p.tokens for p in self._pending) / max(elapsed, 1e-9)
        self._flushed_at = self.clock()
        self._pending.clear()
        self._write(lines)

    def validated(self, step: int, loss: float) -> None:
        """Note a validation after so many steps; its time is not the next step's."""
        self._flushed_at = self.clock()
        self._write([{"attempt": self.attempt, "step": step, "validationLoss": loss}])

    def _write(self, lines: list[dict[str, Any]]) -> None:
        if self.path is None or not lines:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))


def read_journal(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Steps and validations of a run in order, each step as the last attempt that reached it had it."""
    steps: dict[int, dict[str, Any]] = {}
    validations: dict[int, dict[str, Any]] = {}
    if path.is_file():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:  # the last line of a killed attempt may be cut
                continue
            (validations if "validationLoss" in line else steps)[line["step"]] = line
    return [steps[s] for s in sorted(steps)], [validations[s] for s in sorted(validations)]
