"""Where an attempt begins: at the newest complete checkpoint of the same run, or at step 0.

Another number of machines or processes makes no other run, and other data or another learning rate does: weights of the one
must not be continued as the other's. And no rank may begin elsewhere than its peers, as it would where a volume shows them
different files.
"""

from __future__ import annotations

import hashlib
import json
import logging

from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.errors import Transient
from finetune_trainer.engine.checkpoint import Beat, Checkpoints
from finetune_trainer.engine.distributed import Ranks
from finetune_trainer.engine.progress import Progress
from finetune_trainer.engine.states import EngineStates

log = logging.getLogger(__name__)

_TOPOLOGY = {
    "worldSize", "nodes", "processesPerNode", "threadsPerProcess", "tokensPerMicroBatch", "zeroStage", "offload",
    "gradientCheckpointing", "deepspeed", "checkpointSeconds", "stallSeconds", "estimatedMemoryGiB",
}  # fmt: skip
"""Orders that say where and how it runs."""


def identity(config: TrainerConfig, data_digest: str) -> str:
    """What makes two runs the same run: everything that a step depends on, and nothing of where it runs."""
    assert config.train is not None
    orders = {k: v for k, v in config.train.model_dump(mode="json", by_alias=True).items() if k not in _TOPOLOGY}
    value = {"orders": orders, "data": data_digest, "model": config.model.uri, "task": config.task}
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def resume(checkpoints: Checkpoints, states: EngineStates, ranks: Ranks, *, beat: Beat) -> Progress:
    """Put the newest complete checkpoint that every rank can read into the engine. Collective.

    Args:
        beat: called after each file, since all of them may take hours.
    Returns: where the run stands then; at step 0 if there is none.
    Raises: Transient if ranks see different checkpoints.
    """
    found = checkpoints.newest(beat=beat)
    (step,) = ranks.agree(found.progress.step if found else 0)
    if (found.progress.step if found else 0) != step:
        raise Transient(f"rank {ranks.rank} does not see the checkpoint of step {step} that another rank sees")
    if found is None:
        log.info("begin at step 0")
        return Progress(step=0)
    checkpoints.load(found, states, beat=beat)
    ranks.wait_for_all()  # the first step's time begins for all of them when the slowest has read it
    log.info("resumed at step %d from %s", step, found.folder)
    return found.progress
