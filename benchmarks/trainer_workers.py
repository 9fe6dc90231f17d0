"""One contender of benchmarks/trainer.py in a process of its own: python trainer_workers.py CONTENDER WORKSPACE

Prints losses, tokens and CPU-seconds of the steps after the first, as one line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1")

from finetune_trainer.environment import quiet_libraries

quiet_libraries(os.environ, online=False)

import numpy as np
import torch
from orders import orders

from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_operator.brain.stages import Stage
from finetune_trainer.data.store import Documents, open_documents
from finetune_trainer.engine.order import GlobalOrder
from finetune_trainer.engine.schedule import learning_rate

_WARM_UP = 1
"""Steps that are not counted: allocations, caches, the optimizer's first state."""


def main(contender: str, root: Path) -> None:
    """Measure one contender and print what was measured."""
    torch.set_num_threads(1)
    with _free_port() as port:
        os.environ["MASTER_PORT"] = str(port)
    manifest = json.loads((root / "manifest.json").read_text())
    config = _alone(orders(manifest, Stage.TRAIN, root))
    if contender == "limit":
        answer = limit(config, root)
    elif contender == "ours":
        answer = ours(config, root)
    else:
        answer = trl(config, root, contender.removeprefix("trl-"))
    answer["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(answer), flush=True)
    os._exit(0)  # process groups and watchdogs need no farewell


def _alone(config: TrainerConfig) -> TrainerConfig:
    assert config.train is not None
    alone = config.train.model_copy(update={"world_size": 1, "processes_per_node": 1, "threads_per_process": 1})
    return config.model_copy(update={"train": alone})


class _free_port:  # noqa: N801
    """A port that nobody listens on at the moment."""

    def __enter__(self) -> int:
        import socket

        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        return int(self._socket.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _batches(config: TrainerConfig, root: Path) -> tuple[Documents, list[list[int]]]:
    """The examples, and which of them each step takes: the order of our own loop."""
    assert config.train is not None
    data = open_documents(root / "data" / "train")
    order = GlobalOrder(data.examples["dataset"], [1.0], batch_size=config.train.batch_size, seed=config.train.seed)
    return data, [order.batch(step).tolist() for step in range(config.train.total_steps)]


# ---------------------------------------------------------------- ours


def _training(config: TrainerConfig, root: Path) -> Any:
    from finetune_trainer.engine.distributed import Ranks, Watchdog
    from finetune_trainer.reporting import ProgressReporter
    from finetune_trainer.train import Training

    workspace = Workspace(root)
    workspace.metrics.unlink(missing_ok=True)
    return Training(config, workspace, Ranks(os.environ, expected_gpus=config.gpus), ProgressReporter({}, now=None), Watchdog())


def ours(config: TrainerConfig, root: Path) -> dict[str, Any]:
    """The loop of finetune_trainer.train, step by step."""
    assert config.train is not None
    training = _training(config, root)
    for step in range(_WARM_UP):
        training.step(step)
    begin = time.process_time()
    for step in range(_WARM_UP, config.train.total_steps):
        training.step(step)
    seconds = time.process_time() - begin
    training.journal.flush(lambda step: "")
    lines = [json.loads(line) for line in Workspace(root).metrics.read_text().splitlines()]
    losses = [line["loss"] for line in lines]
    tokens = [line["tokens"] for line in lines]
    return {"losses": losses, "tokens": sum(tokens[_WARM_UP:]), "cpu_seconds": seconds, "mean_loss": float(np.mean(losses))}


# ---------------------------------------------------------------- TRL


_TRL: dict[str, dict[str, Any]] = {
    "default": {},
    "no-checkpointing": {"gradient_checkpointing": False},
    "padding-free": {"gradient_checkpointing": False, "padding_free": True},
    "packed": {"gradient_checkpointing": False, "packing": True},
}


def trl(config: TrainerConfig, root: Path, mode: str) -> dict[str, Any]:
    """SFTTrainer on DeepSpeed with the same tokens, labels, batches, adapter, optimizer and schedule."""
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__ = {}
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    logging.disable(logging.WARNING)
    told = config.train
    assert told is not None
    assert told.lora is not None
    data, batches = _batches(config, root)
    rows = [_labelled(data, index) for batch in batches for index in batch]
    zero = {
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_optimization": {"stage": told.zero_stage},
        "bf16": {"enabled": "auto"},
        "zero_allow_untested_optimizer": True,
        "optimizer": {
            "type": "AdamW",
            "params": {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto", "torch_adam": True},
        },
    }
    # Packed rows have a fixed length: as many of them as hold a batch, or the step would be another one.
    longest = max(len(row["input_ids"]) for row in rows)
    mean = sum(len(row["input_ids"]) for row in rows) / len(rows)
    size = max(1, round(told.batch_size * mean / longest)) if mode == "packed" else told.batch_size
    settings = SFTConfig(
        output_dir=str(root / "trl"),
        per_device_train_batch_size=size,
        num_train_epochs=1,
        learning_rate=told.learning_rate,
        lr_scheduler_type=told.scheduler,
        warmup_steps=told.warmup_steps,
        weight_decay=told.weight_decay,
        adam_beta2=0.95,
        max_grad_norm=told.max_grad_norm,
        bf16=told.precision == "bf16",
        use_cpu=True,
        max_length=None if mode == "padding-free" else longest,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        deepspeed=zero,
        **_TRL[mode],
    )
    dtype = torch.bfloat16 if told.precision == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(root / "model", dtype=dtype)
    clock: list[list[float]] = []
    losses: list[float] = []
    tokens: list[int] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.append([time.process_time()])

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock[-1].append(time.process_time())

        def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
            if "loss" in (logs or {}):
                losses.append(float((logs or {})["loss"]))

    class InOurOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            # Theirs stands still in the first step and so learns one step less of the few there are.
            def factor(step: int) -> float:
                told_rate = learning_rate(
                    min(step, num_training_steps - 1),
                    highest=1.0,
                    warmup_steps=told.warmup_steps,
                    total_steps=num_training_steps,
                    scheduler=told.scheduler,
                )
                return float(told_rate)

            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, factor)
            return self.lr_scheduler

        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **more: Any) -> Any:
            mask = inputs.get("attention_mask")
            tokens.append(int(mask.sum()) if mask is not None else inputs["input_ids"].numel())
            return super().training_step(model, inputs, *rest, **more)

    adapter = LoraConfig(r=told.lora.rank, lora_alpha=told.lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = InOurOrder(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(root / "model"),
        callbacks=[Clock()],
        peft_config=adapter,
    )
    trainer.train()
    seconds = sum(end - begin for begin, end in clock[_WARM_UP:])
    return {
        "losses": losses,
        "tokens": sum(tokens[_WARM_UP:]),
        "cpu_seconds": seconds,
        "mean_loss": float(np.mean(losses)),
    }


def _labelled(data: Documents, index: int) -> dict[str, list[int]]:
    ids, mask = data.ids(index), data.mask(index)
    return {"input_ids": ids.tolist(), "labels": np.where(mask, ids, -100).tolist()}


# ---------------------------------------------------------------- the limit


def limit(config: TrainerConfig, root: Path) -> dict[str, Any]:
    """What matrix products alone reach here, how many a token needs, and what a step of ours consists of."""
    assert config.train is not None
    training = _training(config, root)
    data, batches = _batches(config, root)
    lengths = data.lengths[np.concatenate(batches)]
    supervised = data.examples["supervised"][np.concatenate(batches)].sum() / lengths.sum()
    shapes: Counter[tuple[int, int]] = Counter()
    trained = head = 0
    for name, module in training.head.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, torch.nn.Linear) and weight is not None:
            if weight.requires_grad:
                trained += weight.numel()
            elif name.endswith("lm_head"):
                head = weight.numel()
            else:
                shapes[tuple(weight.shape)] += 1
    model = training.head
    hidden = max(shapes, key=shapes.__getitem__)[1]
    layers = sum(name.endswith("self_attn") for name, _ in model.named_modules())
    frozen = sum(rows * columns * count for (rows, columns), count in shapes.items())
    seen = float((lengths.astype(float) ** 2).sum() / lengths.sum())
    # Forward and the gradient of the input; with the weight's gradient for what is trained; half of attention's square.
    flop_per_token = 4 * frozen + 6 * trained + 4 * head * supervised + 6 * seen * hidden * layers
    tokens = min(config.train.tokens_per_micro_batch, int(lengths[: config.train.batch_size].sum()))
    dtype = torch.bfloat16 if config.train.precision == "bf16" else torch.float32
    work = spent = 0.0
    for (rows, columns), count in [*shapes.items(), *([((head // hidden, hidden), 1)] if head else [])]:
        taken = tokens if rows * columns != head else int(tokens * supervised)
        seconds = _product_seconds(taken, rows, columns, dtype)
        work += 4.0 * taken * rows * columns * count
        spent += seconds * count
    training.step(0)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        training.step(1)
    return {
        "flop_per_token": float(flop_per_token),
        "gflops": work / spent / 1e9,
        "precision": config.train.precision,
        "parts": _parts(profile),
    }


def _product_seconds(tokens: int, rows: int, columns: int, dtype: torch.dtype) -> float:
    """CPU-seconds of a linear layer's forward product and its input's gradient."""
    weight = torch.randn(rows, columns).to(dtype)
    x, gradient = torch.randn(tokens, columns).to(dtype), torch.randn(tokens, rows).to(dtype)
    best = float("inf")
    for _ in range(4):
        begin = time.process_time()
        for _ in range(3):
            torch.nn.functional.linear(x, weight)
            gradient @ weight
        best = min(best, (time.process_time() - begin) / 3)
    return best


_KINDS = (
    ("matrix products", ("mm", "linear", "matmul", "addmm", "bmm")),
    ("attention", ("scaled_dot", "softmax", "flash")),
    ("moves and casts", ("copy", "cat", "index", "contiguous", "clone", "empty", "fill", "zero", "slice", "embedding")),
    (
        "elementwise",
        ("mul", "add", "silu", "sub", "div", "rsqrt", "mean", "pow", "neg", "exp", "sum", "log", "gather", "where"),
    ),
)


def _parts(profile: Any) -> dict[str, float]:
    """Share of each kind of work in the CPU time of a step."""
    found: Counter[str] = Counter()
    for row in profile.key_averages():
        name = row.key.lower()
        kind = next((kind for kind, marks in _KINDS if any(mark in name for mark in marks)), "all else")
        found[kind] += row.self_cpu_time_total
    total = sum(found.values())
    return {kind: time / total for kind, time in found.most_common()}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
