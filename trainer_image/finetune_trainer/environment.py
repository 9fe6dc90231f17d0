"""Switches of the libraries, set before they are imported.

Some telephone home, some compile C++ at start-up, some spin in threads. None of that belongs into a job that promises
that nothing leaves the cluster. Measured costs: docs/benchmarks.md.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "offline",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",  # bars that libraries draw without asking whether somebody looks
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
}
_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Device nodes of NVIDIA, AMD and WSL: without any of them DeepSpeed is told that there is only a CPU."""

_SHARED_CPU = {
    # Threads that wait for each other sleep instead of spinning. Where cores are shared, a spinning thread keeps the one that
    # it waits for from running: answers on two busy cores took five times as long.
    "OMP_WAIT_POLICY": "PASSIVE",
}
_NO_COMPILER = {
    "TORCHDYNAMO_DISABLE": "1",  # initialize() costs 0.02 instead of 1.5 CPU-seconds
}


def quiet_libraries(environment: MutableMapping[str, str], *, online: bool) -> None:
    """Set what is not set yet; a person's own setting wins, except for going online.

    Args:
        environment: of this process.
        online: whether this stage may reach model hubs.
    """
    for name, value in {**_QUIET, **_SHARED_CPU, **_NO_COMPILER}.items():
        environment.setdefault(name, value)
    if not any(Path(node).exists() for node in _ACCELERATORS):
        environment.setdefault("DS_ACCELERATOR", "cpu")
    if not online:
        environment["HF_HUB_OFFLINE"] = "1"
        environment["TRANSFORMERS_OFFLINE"] = "1"


def without_torch() -> None:
    """Keep torch out of this process, unless it is here already.

    transformers imports it for configurations and tokenizers too, which do without: 650 MiB and 3 s for each process.
    """
    if "torch" not in sys.modules:
        sys.modules["torch"] = None  # type: ignore[assignment]  # that is how Python is told that a module is not there


@contextmanager
def sparing_what_is_loaded() -> Iterator[None]:
    """Inside, the garbage collector does not look at what was in memory before.

    The libraries are a million objects. Whoever makes many objects afterwards has them all looked at time and again: a fifth of
    the time of preparing data.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # else libraries that count what they bound complain at the end of the process
