"""Switches of the libraries, set before they are imported.

Some telephone home, some compile C++ at start-up, some spin in threads. None of that belongs into a job that promises
that nothing leaves the cluster. Measured costs: docs/benchmarks.md.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from finetune_api.errors import Transient, UserError

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
_GROWING_SEGMENTS = "expandable_segments:True"
"""Each row has a length of its own, and memory that one gave back fits the next badly: a GPU's memory would fall to pieces."""

_NO_COMPILER = {
    "TORCHDYNAMO_DISABLE": "1",  # initialize() costs 0.02 instead of 1.5 CPU-seconds
}


def quiet_libraries(environment: MutableMapping[str, str], *, online: bool, gpus: int = 0) -> None:
    """Set what is not set yet; a person's own setting wins, except for going online.

    Args:
        environment: of this process.
        online: whether this stage may reach model hubs.
        gpus: that this machine was to give to the stage. Where some were asked for, their absence must be noticed.
    """
    for name, value in {**_QUIET, **_SHARED_CPU, **_NO_COMPILER}.items():
        environment.setdefault(name, value)
    if "PYTORCH_CUDA_ALLOC_CONF" not in environment:  # the older name of the same variable
        environment.setdefault("PYTORCH_ALLOC_CONF", _GROWING_SEGMENTS)
    if not gpus and (_hides_gpus(environment) or not any(Path(node).exists() for node in _ACCELERATORS)):
        environment.setdefault("DS_ACCELERATOR", "cpu")
    if not online:
        environment["HF_HUB_OFFLINE"] = "1"
        environment["TRANSFORMERS_OFFLINE"] = "1"


_OLD_DRIVER = "driver on your system is too old"
"""How torch says that no GPU with this driver can run this image."""


def sees_gpu(environment: Mapping[str, str], *, expected: int = 0, nodes: Sequence[str] = _ACCELERATORS) -> bool:
    """Whether this stage computes on GPUs. Where somebody counts on them, a CPU would take a hundred times as long.

    Args:
        environment: of this process; DS_ACCELERATOR=cpu leaves GPUs alone.
        expected: GPUs that this machine was to give to the stage; 0: it takes one if there is one.
        nodes: device nodes of accelerators.
    Raises: Transient if this machine shows fewer than expected, since another may be whole; UserError if the image's torch is
        made for other GPUs or drivers.
    """
    import torch

    if environment.get("DS_ACCELERATOR") == "cpu":
        return False
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if visible and visible >= expected:
        return True
    node = next((node for node in nodes if Path(node).exists()), None)
    if not visible and not expected and (node is None or _hides_gpus(environment)):
        return False
    asked = f"{expected} GPU{'s were' if expected > 1 else ' was'} asked for"
    why = "" if visible else _complaint()
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else torch.version.hip
    if not visible and (not expected or not built or _OLD_DRIVER in why):
        raise UserError(
            f"{f'there is a GPU ({node})' if node else asked}, but torch {torch.__version__} can use none: it was built for"
            f" {built or 'no GPU of this kind'}",
            field="spec.image",
            hint="Take an image whose torch fits the node's driver, or a newer driver; DS_ACCELERATOR=cpu computes without.",
        )
    limit = environment.get("CUDA_VISIBLE_DEVICES")
    raise Transient(
        f"{asked} on this machine, and torch sees {visible or 'none'}"
        f"{'' if limit is None else f' with CUDA_VISIBLE_DEVICES={limit}'}{f': {why}' if why else ''}",
        hint="Another node may have them; look at the driver and the device plugin of this one.",
    )


def _hides_gpus(environment: Mapping[str, str]) -> bool:
    return environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1")


def _complaint() -> str:
    """Why torch sees no GPU, in the first sentence of its own words."""
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return (str(error).splitlines() or [""])[0].partition(". ")[0][:200].rstrip(".")
    return ""


_MEMORY_RAN_OUT = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""How CUDA, NCCL, the CPU's allocator and libraries that take memory of their own say it."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a machine's or a GPU's memory ran out, in whichever library it was noticed."""
    # torch's own class, by its name: not every stage imports torch.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(sign in str(error) for sign in _MEMORY_RAN_OUT)


_LOST_PEER = (
    "connection closed by peer",
    "connection reset by peer",
    "broken pipe",
    "socket closed",
    "connection refused",
    "closed by remote peer",
    "remote process exited",
    "ncclremoteerror",
    "communicator was aborted",
    "collective operation timeout",
    "gloo",
    "timed out waiting",
    "application timeout",
)
"""What backends say of a peer that is gone. NCCL also reports what is wrong on this machine, which is no peer's fault."""


def lost_peer(error: BaseException) -> bool:
    """Whether an error says that another rank went away, and not that something is wrong here."""
    if not isinstance(error, RuntimeError) or out_of_memory(error):
        return False
    text = str(error).lower()
    return any(sign in text for sign in _LOST_PEER)


@contextmanager
def hearing_of_each_step(beat: Callable[[], None]) -> Iterator[None]:
    """Inside, `beat` is called at each step for which transformers would move a bar, drawn or not: a file, or a tensor.

    It loads and saves models in one call, which may take hours and tells nobody else that it gets on.
    """
    from transformers.utils.logging import set_tqdm_hook

    before = set_tqdm_hook(lambda bar, given, named: _Bar(bar(*given, **named), beat))
    try:
        yield
    finally:
        set_tqdm_hook(before)


class _Bar:
    """A bar of a library, with an ear on it."""

    def __init__(self, bar: Any, beat: Callable[[], None]) -> None:
        self._bar, self._beat = bar, beat

    def __iter__(self) -> Iterator[Any]:
        for item in self._bar:
            yield item
            self._beat()

    def update(self, *given: Any) -> None:
        self._bar.update(*given)
        self._beat()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bar, name)


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
