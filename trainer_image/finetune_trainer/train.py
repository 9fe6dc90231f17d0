"""Stage 2: the training loop.

    python -m finetune_trainer train --config job.json       one process per rank, started by launch.py

Read top to bottom: who we are, what the model is, what each step sees, one step, when to look up, what to keep. For the
examples i of a step with weight w_i and supervised tokens S_i, over all ranks and rows, the loss is

    L = sum_i w_i sum_{t in S_i} -log p(t)  /  sum_i w_i |S_i|

DeepSpeed averages gradients over ranks, so each row's sum is multiplied by the number of ranks and divided by the step's
weighted token count, which every rank knows beforehand from the order of examples: nothing has to be communicated.
"""

from __future__ import annotations

import logging
import math
import resource
import time
from collections.abc import Mapping

import numpy as np
import torch

from finetune_api.contract import progress as wire
from finetune_api.contract.result import StageResult
from finetune_api.contract.summary import TrainSummary
from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import Interrupted, Transient, UserError
from finetune_trainer.data.store import Documents
from finetune_trainer.engine.best import best_checkpoint, last_weights
from finetune_trainer.engine.build import build_engine
from finetune_trainer.engine.checkpoint import Beat, Checkpoints
from finetune_trainer.engine.distributed import Ranks, StopRequest, Watchdog
from finetune_trainer.engine.journal import Journal
from finetune_trainer.engine.order import GlobalOrder
from finetune_trainer.engine.progress import Progress
from finetune_trainer.engine.resume import identity, resume
from finetune_trainer.engine.schedule import learning_rate
from finetune_trainer.engine.shares import Shares
from finetune_trainer.engine.states import EngineStates
from finetune_trainer.engine.training_data import open_training_data
from finetune_trainer.environment import hearing_of_each_step, lost_peer
from finetune_trainer.evidence.training_report import write_training_report
from finetune_trainer.model import attention
from finetune_trainer.model.export import collect, dtype_of_weights, export
from finetune_trainer.model.packing import check_packing
from finetune_trainer.reporting import ProgressReporter

log = logging.getLogger(__name__)

_LOAD_SECONDS = 1800.0
_FIRST_STEP_SECONDS = 900.0
"""What gives no sign of life while it lasts has at least this long. Everything later tells of its parts."""


def run(config: TrainerConfig, workspace: Workspace, reporter: ProgressReporter, environment: Mapping[str, str]) -> StageResult:
    """Train on one rank.

    Raises: Interrupted after SIGTERM, with a checkpoint at the last step; Transient if a peer went away, or GPUs are missing
        that were asked for; UserError and OutOfMemory as in finetune_api.errors.
    """
    assert config.train is not None
    watchdog = Watchdog()
    watchdog.arm("loading", seconds=max(_LOAD_SECONDS, config.train.stall_seconds))
    try:
        training = Training(config, workspace, Ranks(environment, expected_gpus=config.gpus), reporter, watchdog)
        with StopRequest() as stop:
            summary = training.fit(stop)
    except RuntimeError as error:
        if lost_peer(error):
            raise Transient(f"another rank went away: {str(error).splitlines()[0][:200]}") from None
        raise
    finally:
        watchdog.stop()
    return StageResult(stage="train", attempt=config.job.attempt, trained=summary)


class Training:
    """One rank of one attempt.

    Args:
        config: orders of train.
        workspace: holds model and data, and takes checkpoints and weights.
        ranks: this one among the others.
        reporter: is told of each step; only the first rank's says anything.
        watchdog: armed anew for each part of the work.
    Raises: UserError if there are other processes than the plan has, or the model cannot be trained so.
    """

    def __init__(
        self,
        config: TrainerConfig,
        workspace: Workspace,
        ranks: Ranks,
        reporter: ProgressReporter,
        watchdog: Watchdog,
    ) -> None:
        assert config.train is not None
        self.config, self.orders, self.workspace = config, config.train, workspace
        self.ranks, self.reporter, self.watchdog = ranks, reporter, watchdog
        if ranks.world_size != self.orders.world_size:
            raise UserError(f"{ranks.world_size} processes were started where the plan has {self.orders.world_size}")
        self.data = open_training_data(workspace)
        self.order = GlobalOrder(
            self.data.train.examples["dataset"],
            self.data.mixing,
            batch_size=self.orders.batch_size,
            seed=self.orders.seed,
        )
        with hearing_of_each_step(watchdog.beat):
            self.engine, self.head = build_engine(config, workspace, ranks, labels=self.data.labels)
        longest = int(self.data.train.lengths.max())
        verdict = check_packing(
            self.head,
            asked=self.orders.packing,
            packed_attention=attention.PACKED_LEAN if self.orders.gradient_checkpointing else attention.PACKED,
            longest=longest,
            on_gpu=ranks.on_gpu,
            agree=ranks.agree,
        )
        self.shares = Shares(
            rank=ranks.rank,
            world_size=ranks.world_size,
            device=ranks.device,
            packed=verdict.packed,
            budget_tokens=self.orders.tokens_per_micro_batch,
            classification=self.head.classification,
            first_position=self.head.first_position,
        )
        self.states = EngineStates(self.engine, stage=self.orders.zero_stage)
        self.checkpoints = Checkpoints(
            workspace,
            attempt=config.job.attempt,
            identity=identity(config, self.data.digest),
            is_writer=ranks.rank == 0,
        )
        self.journal = Journal(workspace.metrics if ranks.rank == 0 else None, config.job.attempt, ranks.sum, time.monotonic)
        self.progress = Progress(step=0)

    # ------------------------------------------------------------ the loop

    def fit(self, stop: StopRequest) -> TrainSummary:
        """Train from the newest checkpoint to the last step, or until told to stop; leave the tuned weights behind.

        Raises: Interrupted if it was told to stop before the last step, after a checkpoint; Transient if a peer went away.
        """
        orders = self.orders
        self.progress = resume(self.checkpoints, self.states, self.ranks, beat=self._is_at_work)
        resumed_from, begin = self.progress.step, time.monotonic()
        last_checkpoint = begin
        early = self.progress.is_no_better(orders.patience)  # its checkpoint may be written and its adapter not
        self.watchdog.arm("the first step", seconds=max(_FIRST_STEP_SECONDS, orders.stall_seconds))
        for step in range(resumed_from, resumed_from if early else orders.total_steps):
            self.step(step)
            self.watchdog.arm("training", seconds=orders.stall_seconds)
            self.progress = self.progress.stepped()
            due = time.monotonic() - last_checkpoint >= orders.checkpoint_seconds
            stopping, saving, flushing = self.ranks.agree(stop.requested, due, self.journal.due(seconds=1.0, steps=20))
            evaluating = bool(orders.evaluation_steps) and (
                (step + 1) % orders.evaluation_steps == 0 or step + 1 == orders.total_steps
            )
            if flushing or saving or stopping or evaluating or step + 1 == orders.total_steps:
                self.journal.flush(lambda step: self.data.places_of(self.order.batch(step)))
                self._report(resumed_from, begin)
            if evaluating:
                saving = self._validate() or saving
                early = self.progress.is_no_better(orders.patience)
            if saving or stopping:
                self._save()
                last_checkpoint = time.monotonic()
            if stopping and step + 1 < orders.total_steps:
                raise Interrupted(f"told to stop after step {step + 1} of {orders.total_steps}; a checkpoint was written")
            if early:
                log.info("no better validation loss %d times in a row: stopped at step %d", orders.patience, step + 1)
                break
        self._keep_best()
        return self._summary(resumed_from, early, time.monotonic() - begin)

    def step(self, step: int) -> None:
        """One optimizer step over the examples that the order gives it."""
        orders, data = self.orders, self.data.train
        indices = self.order.batch(step)
        weight_sum = self.shares.weight_sum(data, indices)
        rate = learning_rate(
            step,
            highest=orders.learning_rate,
            warmup_steps=orders.warmup_steps,
            total_steps=orders.total_steps,
            scheduler=orders.scheduler,
        )
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        step_loss = torch.zeros((), device=self.ranks.device)
        for number, batch in self.shares.micro_batches(data, indices):
            # Dropout repeats itself after a resume without any random state in the checkpoint.
            torch.manual_seed((orders.seed * 1_000_003 + step) * 1009 + number)
            nll_sum = self.engine(batch)
            self.engine.backward(nll_sum * (self.ranks.world_size / weight_sum), scale_wrt_gas=False)
            step_loss += nll_sum.detach() / weight_sum
            self.watchdog.beat()
        self.engine.step()
        tokens = int(data.lengths[indices].sum())
        norm = self.engine.get_global_grad_norm()
        self.journal.add(step + 1, step_loss, learning_rate=rate, tokens=tokens, norm=norm)

    # ------------------------------------------------------------ looking up

    def _validate(self) -> bool:
        """Measure the validation loss; returns whether it is the lowest so far."""
        self.watchdog.arm("validation", seconds=self.orders.stall_seconds)
        loss = self._loss_of(self.data.validation)
        step, best = self.progress.step, self.progress.best_loss
        self.journal.validated(step, loss)
        log.info("validation loss %.4f at step %d%s", loss, step, "" if best is None else f" (lowest so far {best:.4f})")
        if not math.isfinite(loss):
            raise UserError(
                f"the validation loss at step {step} is not a finite number",
                field="spec.training.learningRate",
                hint="Lower the learning rate.",
            )
        self.progress = self.progress.validated(loss)
        self.watchdog.arm("training", seconds=self.orders.stall_seconds)
        return self.progress.best_step == step

    @torch.no_grad()
    def _loss_of(self, data: Documents) -> float:
        """Weighted loss per target over a split, on all ranks together."""
        self.engine.eval()
        everything = np.arange(len(data))
        total = torch.zeros((), dtype=torch.float64)
        for _, batch in self.shares.micro_batches(data, everything):
            total += self.engine(batch).double().cpu()
            self._is_at_work()
        self.engine.train()
        return float(self.ranks.sum(total)) / self.shares.weight_sum(data, everything)

    def _report(self, resumed_from: int, begin: float) -> None:
        """Leave the newest state for whoever watches."""
        done, total = self.progress.step, self.orders.total_steps
        per_step = (time.monotonic() - begin) / max(1, done - resumed_from)
        metrics = {
            wire.METRIC_STEP: float(done),
            wire.METRIC_TOTAL_STEPS: float(total),
            wire.METRIC_EPOCH: done / self.order.steps_per_epoch,
            wire.METRIC_RESUMED_FROM_STEP: float(resumed_from),
            wire.METRIC_TOKENS_PER_SECOND: self.journal.tokens_per_second,
            wire.METRIC_LEARNING_RATE: float(self.engine.optimizer.param_groups[0]["lr"]),
        }
        if self.journal.last_loss is not None:
            metrics[wire.METRIC_LOSS] = self.journal.last_loss
        self.reporter.report(percent=min(99, 100 * done // total), eta_seconds=per_step * (total - done), metrics=metrics)

    def _is_at_work(self) -> None:
        """A sign of life between two steps, for the watchdog here and for whoever reads the reports."""
        self.watchdog.beat()
        self.reporter.repeat()

    # ------------------------------------------------------------ what is kept

    def _save(self) -> None:
        self.watchdog.arm("saving", seconds=self.orders.stall_seconds)
        self.checkpoints.save(self.states, self.progress, beat=self._is_at_work)
        self.ranks.wait_for_all()
        self.watchdog.arm("training", seconds=self.orders.stall_seconds)

    def _keep_best(self) -> None:
        """Write the tuned weights of the best step, or of the last where nothing was validated."""
        self.watchdog.arm("saving", seconds=self.orders.stall_seconds)
        best, self.progress = best_checkpoint(self.checkpoints, self.progress, self.ranks, beat=self._is_at_work)
        dtype = dtype_of_weights(self.orders)
        last = last_weights(self.states, self.ranks, dtype=dtype, beat=self._is_at_work) if best is None else {}

        def write(beat: Beat) -> None:
            weights = last if best is None else collect(self.checkpoints.weights(best, beat=beat), dtype)
            export(self.config, self.workspace, self.head, weights, beat=beat)
            write_training_report(
                self.workspace,
                self.orders,
                self.progress,
                packed=self.shares.packed,
                world_size=self.ranks.world_size,
                peak_memory_gib=_peak_gib(self.ranks),
            )

        self.ranks.let_first(write, beat=self._is_at_work)

    def _summary(self, resumed_from: int, early: bool, seconds: float) -> TrainSummary:
        return TrainSummary(
            steps=self.progress.step,
            total_steps=self.orders.total_steps,
            best_step=self.progress.kept_step,
            validation_loss=None if self.progress.best_loss is None else round(self.progress.best_loss, 6),
            early_stopped=early,
            resumed_from_step=resumed_from,
            packing=self.shares.packed,
            peak_memory_gi_b=_peak_gib(self.ranks),
            seconds=round(seconds, 1),
        )


def _peak_gib(ranks: Ranks) -> float:
    """Of this rank: what torch held of its GPU, or the process of the machine."""
    if ranks.on_gpu:
        held = float(torch.cuda.max_memory_allocated(ranks.device))
    else:
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    return round(held / 2**30, 2)
