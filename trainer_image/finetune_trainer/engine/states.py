"""Reading and writing what a training run is made of, whole, out of a DeepSpeed engine that has spread it over ranks.

Per trained parameter: the fp32 master weight and Adam's two moments. DeepSpeed keeps them in other places for each stage
and precision; here they look the same, so that a checkpoint of ours fits any number of ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist

MOMENTS: tuple[Literal["exp_avg", "exp_avg_sq"], ...] = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class State:
    """One trained parameter, whole, float32, on the CPU."""

    weight: torch.Tensor
    exp_avg: torch.Tensor
    exp_avg_sq: torch.Tensor


class EngineStates:
    """The trained parameters of an engine, by name.

    Args:
        engine: from `deepspeed.initialize`.
        stage: its ZeRO stage.
    """

    def __init__(self, engine: Any, *, stage: int) -> None:
        self._engine = engine
        self._stage = stage
        self.parameters: dict[str, torch.nn.Parameter] = {
            name: parameter for name, parameter in engine.module.named_parameters() if parameter.requires_grad
        }
        self._masters = self._unpartitioned_masters()

    def names(self) -> list[str]:
        """Names of the trained parameters, the same order on every rank."""
        return list(self.parameters)

    def link(self) -> None:
        """Have every parameter know where its moments are. To be called before moments are read.

        DeepSpeed 0.19.8 links them once, after the first parameter group has stepped for the first time: the moments of
        the other groups do not exist yet then, and reading them fails for ever after.
        """
        if self._stage in (1, 2):
            self._engine.optimizer._hp_optimizer_states_linked = False
            self._engine.optimizer._lazy_init_hp_params_optimizer_state()

    def read(self, name: str) -> State:
        """One parameter, gathered. Collective: every rank must ask for the same names in the same order."""
        parameter = self.parameters[name]
        if self._stage == 0:
            master = self._masters[name]
            found = self._engine.optimizer.optimizer.state if hasattr(self._engine.optimizer, "optimizer") else None
            moments = (found if found is not None else self._engine.optimizer.state)[master]
            return State(_copy(master), _copy(moments["exp_avg"]), _copy(moments["exp_avg_sq"]))
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        moments = [safe_get_full_optimizer_state(parameter, key) for key in MOMENTS]
        return State(_copy(safe_get_full_fp32_param(parameter)), _copy(moments[0]), _copy(moments[1]))

    def weight(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        """The fp32 master weight alone, gathered and cast: in the parameter's whole shape, a copy on the CPU; collective."""
        parameter = self.parameters[name]
        # Made first: what is made for the moment while it is gathered would leave holes between what is kept. Ranks give no
        # memory back (launch.py), and half as much again would be taken.
        kept = torch.empty(getattr(parameter, "ds_shape", parameter.shape), dtype=dtype)
        if self._stage == 0:
            return kept.copy_(self._masters[name].detach())
        from deepspeed.utils import safe_get_full_fp32_param

        return kept.copy_(safe_get_full_fp32_param(parameter).detach())

    def prepare_for_writing(self, step: int) -> None:
        """Give the optimizer the state that it lacks before its first step."""
        inner = getattr(self._engine.optimizer, "optimizer", self._engine.optimizer)
        counts_there = any(group.get("fused") or group.get("capturable") for group in inner.param_groups)
        for stepped in self._masters.values() if self._stage == 0 else self._flat_partitions():
            inner.state[stepped] = _empty(stepped, step, counts_there=counts_there)
        self.link()

    def write(self, name: str, state: State) -> None:
        """Put one parameter back, on every rank."""
        parameter = self.parameters[name]
        if self._stage == 0:
            master = self._masters[name]
            master.data.copy_(state.weight)
            parameter.data.copy_(state.weight)
            inner = getattr(self._engine.optimizer, "optimizer", self._engine.optimizer)
            for key in MOMENTS:
                inner.state[master][key].copy_(getattr(state, key))
            return
        if self._stage == 3:
            self._write_partition(parameter, state)
            self.write_low_precision(name, state.weight)
            return
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        device = parameter.device
        safe_set_full_fp32_param(parameter, state.weight.to(device))
        for key in MOMENTS:
            safe_set_full_optimizer_state(parameter, getattr(state, key).to(device), key)
        self.write_low_precision(name, state.weight)

    def write_low_precision(self, name: str, weight: torch.Tensor) -> None:
        """Put a whole weight into the copy that computes, and leave the optimizer's; collective under ZeRO-3."""
        parameter = self.parameters[name]
        if self._stage == 3:
            import deepspeed

            with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
                parameter.data.copy_(weight)
        else:
            parameter.data.copy_(weight)

    def _write_partition(self, parameter: Any, state: State) -> None:
        """Put this rank's part of a parameter into ZeRO-3's own tensors.

        DeepSpeed 0.19.8 cuts every parameter into equal parts, the last one filled up, and its `safe_set_full_*` then narrows
        the value, which is not filled up, beyond its end: a bias of 3 could not be put back on 2 ranks.
        """
        from deepspeed.utils import safe_set_local_fp32_param, safe_set_local_optimizer_state

        part = parameter.partition_numel()
        begin = part * dist.get_rank(group=parameter.ds_process_group)

        def mine(whole: torch.Tensor) -> torch.Tensor:
            found = whole.flatten()[begin : begin + part]
            return torch.nn.functional.pad(found, (0, part - len(found))).to(parameter.device)

        safe_set_local_fp32_param(parameter, mine(state.weight))
        for key in MOMENTS:
            safe_set_local_optimizer_state(parameter, mine(getattr(state, key)), key)

    def _flat_partitions(self) -> Iterator[torch.Tensor]:
        optimizer = self._engine.optimizer
        yield from optimizer.fp32_partitioned_groups_flat if self._stage == 3 else optimizer.single_partition_of_fp32_groups

    def _unpartitioned_masters(self) -> dict[str, torch.Tensor]:
        """Stage 0: the tensors that the torch optimizer really steps. In bf16 they are fp32 copies, else the parameters."""
        if self._stage != 0:
            return {}
        optimizer = self._engine.optimizer
        if not hasattr(optimizer, "fp32_groups"):
            return dict(self.parameters)
        name_of = {id(parameter): name for name, parameter in self.parameters.items()}
        pairs = zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True)
        return {name_of[id(low)]: high for lows, highs in pairs for low, high in zip(lows, highs, strict=True)}


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().float().cpu().clone()


def _empty(like: torch.Tensor, step: int, *, counts_there: bool) -> dict[str, torch.Tensor]:
    # A fused kernel reads the step where the parameter is; others want it on the CPU, where reading it stops no GPU.
    return {
        "step": torch.tensor(float(step), dtype=torch.float32, device=like.device if counts_there else "cpu"),
        "exp_avg": torch.zeros_like(like),
        "exp_avg_sq": torch.zeros_like(like),
    }
