"""Numbers that survive a noisy machine: CPU-seconds instead of wall time, medians with their spread, ratios within one run."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def child(program: str, *arguments: object, python: str = sys.executable, **environment: str) -> dict[str, Any]:
    """Run a worker in a process of its own; its last line is its answer as JSON.

    Raises: SystemExit with the end of its output if it fails.
    """
    command = [python, program, *(str(argument) for argument in arguments)]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD, **environment}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def anonymous_mib(pid: int) -> float:
    """Memory of a process that is no page of a file: what the kernel cannot take back."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:")), 0.0)


def spread(values: Sequence[float]) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a Markdown table, so that a result can go into docs/benchmarks.md as it is."""
    widths = [max(len(str(row[column])) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) + " |", flush=True)


def machine() -> str:
    """What the numbers were taken on."""
    names = {line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line}
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} x {', '.join(sorted(names)) or 'CPU'}, load {load:.1f} at the start"
