"""Where a run stands beside its tensors. Everything else of it follows from the seed and the step."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps done, and what validation has said of them; as a value, so that a checkpoint can hold it."""

    step: int
    """Optimizer steps done."""
    best_step: int = 0
    """Step with the lowest validation loss so far; 0: none yet."""
    best_loss: float | None = None
    without_improvement: int = 0
    """Validations since then."""

    @property
    def kept_step(self) -> int:
        """The step whose weights are kept: the best, or the last where nothing was validated."""
        return self.best_step or self.step

    def stepped(self) -> Progress:
        """After one more step."""
        return replace(self, step=self.step + 1)

    def validated(self, loss: float) -> Progress:
        """After a validation at this step; only a lower loss is better."""
        if self.best_loss is None or loss < self.best_loss:
            return Progress(self.step, best_step=self.step, best_loss=loss)
        return replace(self, without_improvement=self.without_improvement + 1)

    def is_no_better(self, patience: int) -> bool:
        """Whether the last validations brought nothing, so many that it is time to end; never with a patience of 0."""
        return bool(patience) and self.without_improvement >= patience
