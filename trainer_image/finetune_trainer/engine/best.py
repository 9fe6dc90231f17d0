"""The weights that a run leaves behind: those of the step with the lowest validation loss.

They lie in a checkpoint, unless the best step is the last, whose weights the engine still holds. A best checkpoint that is
gone or damaged is no reason to lose the run: the last step is then kept, and said to be.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import torch

from finetune_trainer.engine.checkpoint import Beat, Checkpoints, Found
from finetune_trainer.engine.distributed import Ranks
from finetune_trainer.engine.progress import Progress
from finetune_trainer.engine.states import EngineStates
from finetune_trainer.model.export import collect

log = logging.getLogger(__name__)


def best_checkpoint(checkpoints: Checkpoints, progress: Progress, ranks: Ranks, *, beat: Beat) -> tuple[Found | None, Progress]:
    """Choose whose weights are kept. Collective: every rank chooses the same.

    Args:
        progress: after the last step.
        beat: called after each file that is looked at.
    Returns: the checkpoint of the best step, None if the last step is kept; and the progress as it counts then, without a
        best step if that one was lost.
    """
    best = progress.best_step
    if not best or best == progress.step:
        return None, progress
    found = checkpoints.at(best, beat=beat)
    (lost,) = ranks.agree(found is None)
    if not lost:
        return found, progress
    log.warning("the checkpoint of the best step %d cannot be read: the last step is kept instead", best)
    return None, Progress(progress.step)


def last_weights(states: EngineStates, ranks: Ranks, *, dtype: torch.dtype, beat: Beat) -> dict[str, torch.Tensor]:
    """What the engine holds, gathered: per trained parameter its whole weight on the CPU, one after another. Collective.

    Args:
        dtype: of the result.
    Returns: all of them on the first rank, for one copy is enough for a machine; none on the others.
    Raises: UserError on the first rank if training has ruined the weights.
    """

    def gathered() -> Iterator[tuple[str, torch.Tensor]]:
        for name in states.names():
            yield name, states.weight(name, dtype)
            beat()

    if ranks.rank == 0:
        return collect(gathered(), dtype)
    for _ in gathered():
        pass
    return {}
