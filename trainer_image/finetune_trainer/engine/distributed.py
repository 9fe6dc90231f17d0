"""Ranks: how they find each other, agree, and notice that one is gone.

A rank that waits in a collective for a dead peer learns it from the backend within seconds, for a frozen one never: DeepSpeed
reduces gradients on a group without our timeout. So each rank has a watchdog that ends it when nothing has happened for
too long, and whoever only lost a peer exits 75, so that nobody takes it for the culprit.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist

from finetune_api.contract.exit_codes import ExitCode
from finetune_api.errors import Transient
from finetune_trainer.environment import out_of_memory, sees_gpu

_RENDEZVOUS_TIMEOUT = timedelta(minutes=10)
_CONTROL_TIMEOUT = timedelta(days=7)
"""Longer than any watchdog's limit: how long a rank may wait for the others is what the watchdog is told."""


class Ranks:
    """This rank among the others.

    Args:
        environment: with RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as the launcher sets them.
        expected_gpus: of this machine; 0: it computes on a GPU if there is one.
    Raises: Transient if the others cannot be reached or GPUs are missing; UserError if there is a GPU that torch cannot use.
    """

    def __init__(self, environment: Mapping[str, str], *, expected_gpus: int = 0) -> None:
        self.rank = int(environment.get("RANK", "0"))
        self.world_size = int(environment.get("WORLD_SIZE", "1"))
        local_rank = int(environment.get("LOCAL_RANK", "0"))
        self.on_gpu = sees_gpu(environment, expected=expected_gpus)
        self.device = torch.device("cuda", local_rank) if self.on_gpu else torch.device("cpu")
        if self.on_gpu:
            torch.cuda.set_device(self.device)
        _connect(environment, self.on_gpu)
        # Small decisions go over the CPU, so that agreeing on them never waits for a GPU.
        self._control = dist.new_group(backend="gloo", timeout=_CONTROL_TIMEOUT)

    def agree(self, *values: int) -> tuple[int, ...]:
        """The largest of each value over all ranks."""
        if self.world_size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.int64)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=self._control)
        return tuple(int(value) for value in tensor.tolist())

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of a CPU tensor over all ranks, on all ranks and in place; collective, the same shape everywhere."""
        if self.world_size > 1:
            dist.all_reduce(tensor, group=self._control)
        return tensor

    def wait_for_all(self) -> None:
        """Return once every rank is here."""
        if self.world_size > 1:
            dist.barrier(group=self._control)

    def let_first(self, work: Callable[[Callable[[], None]], None], *, beat: Callable[[], None]) -> None:
        """Have the first rank do something that may take hours, and the others wait for it. Collective.

        Args:
            work: is done by the first rank; calls what it is given whenever a part is done.
            beat: is then called on every rank, since one that waits shows no sign of life of its own.
        """
        if self.rank:
            while self.agree(0)[0]:
                beat()
            return

        def told() -> None:
            self.agree(1)
            beat()

        work(told)
        self.agree(0)


def _connect(environment: Mapping[str, str], on_gpu: bool) -> None:
    import deepspeed
    import deepspeed.ops

    if not on_gpu:
        # Otherwise a shared-memory operator is compiled with a C++ compiler at start-up: 70 CPU-seconds, or a failure.
        deepspeed.ops.__compatible_ops__ = {}
    _resolve(environment.get("MASTER_ADDR", "127.0.0.1"))
    try:
        deepspeed.init_distributed(
            dist_backend="nccl" if on_gpu else "gloo", timeout=_RENDEZVOUS_TIMEOUT, verbose=False, auto_mpi_discovery=False
        )
    except (RuntimeError, OSError) as error:
        if out_of_memory(error):
            raise
        raise Transient(f"the ranks did not find each other: {(str(error).splitlines() or [''])[0][:200]}") from None


def _resolve(host: str) -> None:
    """Wait until a pod's name is known: it appears about a second after the pod has its address."""
    deadline = time.monotonic() + _RENDEZVOUS_TIMEOUT.total_seconds()
    while True:
        try:
            socket.getaddrinfo(host, None)
        except socket.gaierror:
            if time.monotonic() > deadline:
                raise Transient(f"the name {host} of the first pod was not known in {_RENDEZVOUS_TIMEOUT}") from None
            time.sleep(1.0)
        else:
            return


class StopRequest:
    """SIGTERM as a flag that is looked at between steps: a step that is cut in two is of no use to anybody.

    Only while there are steps: a rank that still waits for its peers looks at nothing, and has nothing to save.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _ask(self, *_: Any) -> None:
        self.requested = True


class Watchdog:
    """Ends the process when nothing has happened for too long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._doing, self._limit, self._since = "starting", float("inf"), time.monotonic()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def arm(self, doing: str, *, seconds: float) -> None:
        """Begin to do something that must show a sign of life within so many seconds."""
        with self._lock:
            self._doing, self._limit, self._since = doing, seconds, time.monotonic()

    def beat(self) -> None:
        """Something happened."""
        with self._lock:
            self._since = time.monotonic()

    def stop(self) -> None:
        """Nothing more is to be watched."""
        self._done.set()

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            with self._lock:
                idle, doing, limit = time.monotonic() - self._since, self._doing, self._limit
            if idle > limit:
                sys.stderr.write(f"nothing happened for {idle:.0f} s while {doing}; a peer hangs, or this rank does\n")
                os._exit(ExitCode.TRANSIENT)
