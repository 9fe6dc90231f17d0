"""The weights that a run leaves behind fit beside the model that they come from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch

from finetune_api.contract.workspace import Workspace
from finetune_trainer.engine.best import last_weights
from finetune_trainer.engine.checkpoint import Checkpoints
from finetune_trainer.engine.distributed import Ranks
from finetune_trainer.engine.progress import Progress
from finetune_trainer.engine.states import EngineStates
from finetune_trainer.model.export import collect
from memory import room_for

_LAYERS, _ROWS, _COLUMNS = 8, 4096, 2304
_PARAMETERS = _LAYERS * _ROWS * _COLUMNS


class OneOfTwo(Ranks):
    """A rank that needs no other one for what is tested here."""

    def __init__(self, rank: int) -> None:
        self.rank, self.world_size = rank, 2


def states() -> EngineStates:
    """Of an engine that spreads nothing, with 75 million parameters: 288 MiB in fp32, 36 in each layer."""
    layers = torch.nn.ModuleList(torch.nn.Linear(_COLUMNS, _ROWS, bias=False) for _ in range(_LAYERS))
    return EngineStates(SimpleNamespace(module=layers, optimizer=torch.optim.AdamW(layers.parameters())), stage=0)


def test_the_last_weights_are_held_in_the_precision_of_training_and_never_all_of_them_in_fp32() -> None:
    made = states()
    beats: list[int] = []
    with room_for(3 * _PARAMETERS):  # bytes: two for each parameter, and a half of that besides
        kept = last_weights(made, OneOfTwo(0), dtype=torch.bfloat16, beat=lambda: beats.append(1))
    assert len(beats) == _LAYERS
    for name, parameter in made.parameters.items():
        assert torch.equal(kept[name], parameter.detach().to(torch.bfloat16))


def test_a_rank_that_does_not_write_keeps_no_weights_but_takes_part_in_every_gathering() -> None:
    beats: list[int] = []
    assert last_weights(states(), OneOfTwo(1), dtype=torch.bfloat16, beat=lambda: beats.append(1)) == {}
    assert len(beats) == _LAYERS


def test_the_weights_of_the_best_checkpoint_are_held_in_the_precision_of_training_too(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    made = EngineStates(SimpleNamespace(module=layer, optimizer=torch.optim.AdamW(layer.parameters())), stage=0)
    made.prepare_for_writing(1)
    checkpoints = Checkpoints(Workspace(tmp_path), attempt=1, identity="ours", is_writer=True)
    checkpoints.save(made, Progress(1))
    found = checkpoints.newest()
    assert found is not None
    kept = collect(checkpoints.weights(found), torch.bfloat16)
    assert {name: weight.dtype for name, weight in kept.items()} == {"weight": torch.bfloat16, "bias": torch.bfloat16}
    assert torch.equal(kept["weight"], layer.weight.detach().to(torch.bfloat16))
