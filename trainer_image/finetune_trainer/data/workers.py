"""Batches of rows on all cores, answered in the order in which they were asked for.

The tokenizer alone has threads; correction, anonymisation and templates are Python, which one process runs on one core. So each
core gets a process with a pipeline of its own. The stage itself reads the files and writes the answers: what is written is the
same to the byte with any number of workers. At most two batches a worker are on their way, so memory does not grow with data.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path

from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.errors import FinetuneError, OutOfMemory
from finetune_trainer.data.anonymize import Placed
from finetune_trainer.data.rows import Batch, Outcome, RowPipeline

_IN_FLIGHT = 2
_ENOUGH_BYTES = 32 * 2**20
"""A process needs seconds until it can begin, in which one works through as much."""
_ENOUGH_FOR_MODELS = 2**19
"""The same where a model reads every text: it is a hundred times as slow."""
_MOST_ON_ACCELERATOR = 4
"""Processes that share one: each holds a copy of the model there."""
_THREADS = "OMP_NUM_THREADS"


def worker_count(size_bytes: int, environment: Mapping[str, str], *, with_models: bool = False) -> int:
    """Processes for files of this size: one for each core that the stage was given, but one alone where little is to be done.

    Args:
        environment: OMP_NUM_THREADS says how many cores a pod was given; otherwise those on which this process may run count.
        with_models: whether models read every text.
    """
    if size_bytes < (_ENOUGH_FOR_MODELS if with_models else _ENOUGH_BYTES):
        return 1
    count = cores(environment)
    return min(count, _MOST_ON_ACCELERATOR) if with_models and _has_accelerator() else count


def cores(environment: Mapping[str, str]) -> int:
    """How many the stage was given (see worker_count)."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = environment.get(_THREADS, "")
    return max(1, min(found, int(said))) if said.isdigit() else found


def _has_accelerator() -> bool:
    import torch

    return torch.cuda.is_available()


class Workers:
    """Processes, each with a pipeline of its own.

    Args:
        count: of processes; with 1 the work is done in this one.
        pipeline: of this process.
        config, model, environment, detectors: what a pipeline is built from (see RowPipeline).
    """

    def __init__(
        self,
        count: int,
        pipeline: RowPipeline,
        config: TrainerConfig,
        model: Path,
        environment: Mapping[str, str],
        detectors: Sequence[Placed] = (),
    ) -> None:
        self._count = count
        self._pipeline = pipeline
        self._built_from = (config, model, dict(environment), tuple(detectors))

    def outcomes(self, batches: Iterable[Batch]) -> Iterator[Outcome]:
        """What became of each batch, in the order of the batches.

        Raises: OutOfMemory if a worker was killed as the kernel kills what needs too much memory; FinetuneError if one ended
            otherwise; whatever a batch raised.
        """
        if self._count == 1:
            yield from map(self._pipeline, batches)
            return
        # Not fork: this process has threads, and a lock that one of them holds would stay locked in the child.
        pool = ProcessPoolExecutor(
            self._count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(os.getpid(), *self._built_from),
        )
        others = set(multiprocessing.active_children())
        waiting: deque[Future[Outcome]] = deque()
        processes: set[BaseProcess] = set()
        try:
            for batch in batches:
                waiting.append(pool.submit(_work, batch))
                processes |= set(multiprocessing.active_children()) - others
                if len(waiting) > _IN_FLIGHT * self._count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            pool.shutdown()  # which waits for them, so that their exit codes are known
            raise _ended(processes) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _ended(processes: set[BaseProcess]) -> FinetuneError:
    """Why the pool broke, by how its processes ended; the pool itself ends the others with SIGTERM."""
    codes = {process.exitcode or 0 for process in processes} - {0, -signal.SIGTERM}
    if -signal.SIGKILL in codes:
        return OutOfMemory(
            "a worker process of prepare was killed, most likely because memory ran out",
            hint="Give the stage more memory, or fewer cores: each works in a process of its own.",
        )
    how = ", ".join(f"signal {-code}" if code < 0 else f"exit code {code}" for code in sorted(codes)) or "no exit code"
    return FinetuneError(f"a worker process of prepare ended by itself ({how}); what it said is in the log")


# ---------------------------------------------------------------- in a worker

_pipeline: RowPipeline | None = None
_unbuilt: FinetuneError | None = None
"""Why there is none: what is raised while a worker begins would only break the pool."""


def _begin(
    parent: int, config: TrainerConfig, model: Path, environment: Mapping[str, str], detectors: Sequence[Placed]
) -> None:
    """First thing in a worker: end with the stage, leave the other cores alone, build the pipeline."""
    global _pipeline, _unbuilt
    from finetune_trainer.environment import quiet_libraries, without_torch
    from finetune_trainer.launch import PARENT_VARIABLE, die_with_parent

    die_with_parent({PARENT_VARIABLE: str(parent)})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the stage itself answers it
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    quiet_libraries(os.environ, online=False)
    if not config.model.trust_remote_code and not any(one.directory for one in detectors):
        without_torch()
    try:
        _pipeline = RowPipeline(config, model, environment, detectors)
    except FinetuneError as error:
        _unbuilt = error
    gc.freeze()  # what is loaded by now stays to the end (see sparing_what_is_loaded)


def _work(batch: Batch) -> Outcome:
    if _unbuilt is not None:
        raise _unbuilt
    assert _pipeline is not None
    return _pipeline(batch)
