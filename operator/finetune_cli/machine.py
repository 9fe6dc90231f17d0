"""What this machine offers, found out without torch: it takes seconds to import, and `finetune validate` has half of one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from finetune_operator.brain.machine import Machine

_NATIVE_BF16 = ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16")
"""CPU flags (x86-64 and Arm) that mean native bf16 products."""
_AMPERE = 8.0
"""First compute capability of NVIDIA GPUs with bf16."""


def this_machine(environment: Mapping[str, str]) -> Machine:
    """Cores, memory and GPUs that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = visible(_gpus(), environment.get("CUDA_VISIBLE_DEVICES"))
    return Machine(
        cpu_cores=cores,
        memory_gib=_available_memory_gib(),
        gpus=len(gpus),
        gpu_memory_gib=min((memory for memory, _ in gpus), default=80.0),
        gpu_bf16=min((capability for _, capability in gpus), default=_AMPERE) >= _AMPERE,
        cpu_bf16=_cpu_has_bf16(),
        local=True,
    )


def visible(gpus: list[tuple[float, float]], said: str | None) -> list[tuple[float, float]]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves: numbers up to the first that is none, or as many as it names."""
    if said is None:
        return gpus
    left: list[tuple[float, float]] = []
    for name in said.split(",") if said.strip() else ():
        number = name.strip()
        if not number.isdigit() and not number.startswith(("GPU-", "MIG-")):
            break
        index = int(number) if number.isdigit() else len(left)
        if index >= len(gpus):
            break
        left.append(gpus[index])
    return left


def _gpus() -> list[tuple[float, float]]:
    """Memory in GiB and compute capability of each NVIDIA GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=memory.total,compute_cap", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return []
    found = []
    for line in answer.splitlines():
        memory, _, capability = line.partition(",")
        try:
            found.append((float(memory) / 1024, float(capability)))
        except ValueError:
            continue
    return found


def _cpu_has_bf16() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return bool(flags) and any(flag in flags[1].split() for flag in _NATIVE_BF16)  # type: ignore[index]  # not None here


def _available_memory_gib() -> float:
    """Memory that can still be taken, within the limit of this process's group."""
    available = 8.0
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
        found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
        available = int(found[1]) / 2**20 if found else available
    except OSError:
        pass
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = int(Path(path).read_text(encoding="utf-8")) / 2**30
        except (OSError, ValueError):
            continue
        available = min(available, limit)
    return available
