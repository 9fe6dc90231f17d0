"""A training program of your own: a plain transformers Trainer under the contract of docs/contract.md.

    python -m own_trainer

prepare has left the model and the tokens in the workspace; this program trains a LoRA adapter and leaves it there; evaluate
and publish go on from it. It needs nothing of finetune-operator but these agreements: where things lie, which variables are
set, what exit codes mean. Reports to the status are transformers' own doing: its KubeflowCallback (since 5.4) sends them
whenever KUBEFLOW_TRAINER_SERVER_URL is set.

One process per pod, and as many pods as `resources.nodes`. With several GPUs in a pod start it as `torchrun -m own_trainer`,
which reads the PET_ variables itself, but turns every exit code into 1.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

WORKSPACE = Path(os.environ["FINETUNE_WORKSPACE"])
ATTEMPT = os.environ["FINETUNE_ATTEMPT"]
ORDERS: dict[str, Any] = json.loads(Path(os.environ["FINETUNE_CONFIG"]).read_text(encoding="utf-8"))["train"]
USER_ERROR, INTERRUPTED = 64, 143
MARKER = "complete"
"""Written last into a checkpoint: one without it was cut off."""

WORLD_SIZE = int(os.environ.get("WORLD_SIZE") or os.environ["PET_NNODES"])
if "RANK" not in os.environ and WORLD_SIZE > 1:  # not under torchrun: each pod is one rank
    os.environ |= {
        "RANK": os.environ["PET_NODE_RANK"],
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(WORLD_SIZE),
        "MASTER_ADDR": os.environ["PET_MASTER_ADDR"],
        "MASTER_PORT": os.environ["PET_MASTER_PORT"],
    }

# Libraries read the variables above when they are imported.
import numpy as np  # noqa: E402
import torch  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments  # noqa: E402

told_to_stop = False


class Documents(torch.utils.data.Dataset):
    """The examples of one split, mapped: data/SPLIT/{tokens.bin, supervised.bin, examples.npy}."""

    def __init__(self, split: str) -> None:
        folder = WORKSPACE / "data" / split
        self.examples = np.load(folder / "examples.npy")
        self.tokens = np.memmap(folder / "tokens.bin", dtype=np.uint32, mode="r")
        self.supervised = np.memmap(folder / "supervised.bin", dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        begin = int(self.examples[index]["offset"])
        here = slice(begin, begin + int(self.examples[index]["length"]))
        ids = torch.from_numpy(self.tokens[here].astype(np.int64))
        learned = torch.from_numpy(self.supervised[here].astype(bool))
        return {"input_ids": ids, "labels": ids.masked_fill(~learned, -100)}


def padded(examples: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """One batch; what is padding is neither seen nor learned."""
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad([one["input_ids"] for one in examples], batch_first=True)
    mask = pad([torch.ones_like(one["input_ids"]) for one in examples], batch_first=True)
    labels = pad([one["labels"] for one in examples], batch_first=True, padding_value=-100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


class Contract(TrainerCallback):
    """Checkpoints that are whole or not counted, and a stop that is saved by all ranks after the same step."""

    def on_save(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Mark what has been written."""
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / MARKER).touch()

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Agree whether this step was the last for now."""
        stop = torch.tensor(float(told_to_stop))
        if torch.distributed.is_initialized():  # one pod may be told to stop and the others not
            stop = stop.to(args.device)
            torch.distributed.all_reduce(stop)
        if stop and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True


def newest_checkpoint() -> str | None:
    """Of any attempt: the one that was cut off last may have come less far than the one before."""
    whole = [marker.parent for marker in (WORKSPACE / "checkpoints").glob(f"*/checkpoint-*/{MARKER}")]
    return str(max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default="")) or None


def arguments(world_size: int) -> TrainingArguments:
    """Trainer's arguments from the orders, in which every `auto` of the manifest is resolved."""
    batch, remainder = divmod(ORDERS["batchSize"], world_size)
    if remainder:
        sys.stderr.write(f"spec.training.batchSize: {ORDERS['batchSize']} examples cannot be shared by {world_size} ranks\n")
        sys.exit(USER_ERROR)
    return TrainingArguments(
        output_dir=str(WORKSPACE / "checkpoints" / ATTEMPT),
        max_steps=ORDERS["totalSteps"],
        per_device_train_batch_size=batch,
        learning_rate=ORDERS["learningRate"],
        lr_scheduler_type=ORDERS["scheduler"],
        warmup_steps=ORDERS["warmupSteps"],
        weight_decay=ORDERS["weightDecay"],
        max_grad_norm=ORDERS["maxGradNorm"],
        bf16=ORDERS["precision"] == "bf16",
        seed=ORDERS["seed"],
        save_steps=int(os.environ.get("SAVE_STEPS", "10")),
        save_total_limit=2,
        logging_steps=1,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",  # the reports to the status come in any case
    )


def main() -> int:
    """Train, or go on training; returns the exit code."""
    chosen = arguments(WORLD_SIZE)
    model = AutoModelForCausalLM.from_pretrained(WORKSPACE / "model", dtype=torch.float32)
    lora = ORDERS["lora"]
    modules = lora["targetModules"]
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=modules[0] if modules == ["all-linear"] else modules,
    )
    trainer = Trainer(
        model=get_peft_model(model, config),
        args=chosen,
        train_dataset=Documents("train"),
        data_collator=padded,
        callbacks=[Contract()],
    )
    trainer.train(resume_from_checkpoint=newest_checkpoint())
    if trainer.state.global_step < trainer.state.max_steps:
        return INTERRUPTED
    if trainer.is_world_process_zero():
        aside = WORKSPACE / f"adapter.writing-{ATTEMPT}"
        trainer.model.save_pretrained(aside)
        shutil.rmtree(WORKSPACE / "adapter", ignore_errors=True)
        aside.rename(WORKSPACE / "adapter")
    return 0


def stop(*_: Any) -> None:
    """SIGTERM: after the step that is being done."""
    global told_to_stop
    told_to_stop = True


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main())
