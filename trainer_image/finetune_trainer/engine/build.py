"""What is trained: the model, with adapters or all of its weights, in a DeepSpeed engine that has spread it over ranks."""

from __future__ import annotations

import json
import logging
from typing import Any

import torch

from finetune_api.contract.trainer_config import TrainConfig, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_trainer.engine.deepspeed_config import deepspeed_config
from finetune_trainer.engine.distributed import Ranks
from finetune_trainer.model import attention
from finetune_trainer.model.adapters import attach
from finetune_trainer.model.fused_lora import fuse_adapters
from finetune_trainer.model.heads import CausalHead, ClassifierHead, Head
from finetune_trainer.model.load import DTYPES, load_causal_lm, load_new_classifier

log = logging.getLogger(__name__)

_BETAS = (0.9, 0.95)
"""Adam's decay rates as is usual for language models: a few hundred steps are too few for 0.999."""


def build_engine(config: TrainerConfig, workspace: Workspace, ranks: Ranks, *, labels: list[str]) -> tuple[Any, Head]:
    """Load the model, freeze what is not trained, and hand it to DeepSpeed. Collective.

    Args:
        config: orders of train.
        workspace: holds the model.
        ranks: this process among the others.
        labels: names of the classes, in classification.
    Returns: the engine in training mode, and the model with its loss, which the engine holds.
    Raises: UserError if the model lacks weights or the manifest sets what has to stay ours.
    """
    import deepspeed

    assert config.train is not None
    orders = config.train
    torch.set_num_threads(orders.threads_per_process)
    attention.register()
    settings = deepspeed_config(orders)
    kept = _partition_while_loading(settings) if orders.zero_stage == 3 else None
    head = _load(config, orders, workspace, ranks, labels)
    parameters = [parameter for parameter in head.parameters() if parameter.requires_grad]
    if ranks.rank == 0:
        log.info("%s parameters are trained", f"{sum(_count(p) for p in parameters):,}")
        log.info("DeepSpeed configuration: %s", json.dumps(settings))
    optimizer = torch.optim.AdamW(
        _parameter_groups(parameters, orders.weight_decay),
        lr=0.0,  # set anew for each step; what DeepSpeed does with it before the first must change nothing
        betas=_BETAS,
        fused=ranks.on_gpu and orders.offload == "none",
    )
    # Loading may take one machine much longer than another, and the GPUs' collectives wait ten minutes and no longer.
    ranks.wait_for_all()
    engine, *_ = deepspeed.initialize(model=head, optimizer=optimizer, config=settings, dist_init_required=False)
    del kept
    if orders.zero_stage == 0:
        # In bf16 DeepSpeed makes a step without gradients to have all states: Adam would count it, and take the first real
        # steps a quarter too short.
        getattr(engine.optimizer, "optimizer", engine.optimizer).state.clear()
    engine.train()
    return engine, head


def _load(config: TrainerConfig, orders: TrainConfig, workspace: Workspace, ranks: Ranks, labels: list[str]) -> Head:
    trusted, classification = config.model.trust_remote_code, config.task == "classification"
    # Loaded with transformers' own attention; check_packing switches to ours once it has compared the two.
    new_modules: list[str] = []
    if classification:
        model, new_modules = load_new_classifier(
            workspace.model, labels=labels, precision=orders.precision, seed=orders.seed, trust_remote_code=trusted
        )
    else:
        model = load_causal_lm(workspace.model, precision=orders.precision, trust_remote_code=trusted)
    if orders.gradient_checkpointing:
        _recompute_activations(model)
    if orders.lora is None:
        wrapped: Any = model
    else:
        wrapped = attach(
            model,
            orders.lora,
            classification=classification,
            dtype=DTYPES[orders.precision],
            seed=orders.seed,
            new_modules=new_modules,
        )
    if orders.gradient_checkpointing and orders.lora is not None:
        wrapped.enable_input_require_grads()
    if orders.lora is not None and orders.zero_stage < 3:
        fuse_adapters(wrapped)
    if ranks.on_gpu and orders.zero_stage < 3:
        wrapped.to(ranks.device)
    return ClassifierHead(wrapped) if classification else CausalHead(wrapped)


def _parameter_groups(parameters: list[torch.nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Matrices with weight decay, biases and norms without."""
    # Under ZeRO-3 a parameter is empty here; its own record knows the shape.
    matrices = [p for p in parameters if len(getattr(p, "ds_shape", p.shape)) >= 2]
    others = [p for p in parameters if len(getattr(p, "ds_shape", p.shape)) < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _partition_while_loading(settings: dict[str, Any]) -> Any:
    """Tell transformers to spread weights over ranks while it loads them. The object must be kept alive until then."""
    from transformers.integrations import HfDeepSpeedConfig

    return HfDeepSpeedConfig(settings)


def _recompute_activations(model: Any) -> None:
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _count(parameter: torch.nn.Parameter) -> int:
    return int(getattr(parameter, "ds_numel", parameter.numel()))
