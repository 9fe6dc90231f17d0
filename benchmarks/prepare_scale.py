"""The whole prepare stage on data that does not fit into memory: rates of its steps, and the memory of all its processes.

    make demo                                                     (obtains the model, of which the tokenizer is used here)
    .venv/bin/python benchmarks/prepare_scale.py --megabytes 1000 --kill-at 0.5
    .venv/bin/python benchmarks/prepare_scale.py --megabytes 40 --kill-at 0.5 --compare

Invented conversations (scale_rows.py) go through everything: correction, languages, anonymisation, weights, template,
tokenizer, copies, near-duplicates, split. First the steps apart, in one process and on a sample (scale_steps.py); then the
stage as it is run, with `--cores` workers, watched from outside. With `--kill-at` it is killed (SIGKILL) when so large a share
of the rows is committed, and a second attempt goes on; with `--compare` the digest is that of a third, which nothing befell.

Resident memory counts pages of mapped files, which the kernel takes back when it needs them; anonymous memory it cannot.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import measure
import scale_rows
import scale_steps
from orders import a_job, orders
from processes import cpu_seconds, memory_mib, tree

from finetune_operator.brain.stages import Stage

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "examples" / "quickstart" / "workspace" / "model"
KEY = {"ANONYMIZE_KEY": "a key for benchmarks alone"}


def manifest(model: Path, data: Path) -> dict[str, Any]:
    """A job with everything that is done to texts."""
    preparation = {
        "maxLength": 1024,
        "overlong": "drop",
        "clean": {"languages": ["de", "en"]},
        "deduplicate": "near",
        "anonymize": {"strategy": "surrogate", "maxResidualRate": 1},
        "weighting": {
            "rules": [{"field": "case", "atMost": 500_000, "weight": 2}],
            "relevance": {"description": "heating, meter, printer, delivery, invoice"},
            "quality": {},
        },
        "split": {"groupBy": "case"},
    }
    return a_job(model, data, preparation=preparation)


def write_orders(model: Path, data: Path, workspace: Path, attempt: int = 1) -> Path:
    """Orders for the stage, where it will find them."""
    path = workspace / "job.json"
    said = orders(manifest(model, data), Stage.PREPARE, workspace)
    said = said.model_copy(update={"job": said.job.model_copy(update={"attempt": attempt})})
    path.write_text(said.model_dump_json(by_alias=True, exclude_none=True))
    return path


# ---------------------------------------------------------------- the steps apart


def steps(model: Path, data: Path, scratch: Path, *, at_once: int) -> list[dict[str, Any]]:
    """CPU-seconds of each step, of one process or of several that run beside each other."""

    def one(number: int) -> dict[str, Any]:
        workspace = scratch / f"steps-{at_once}-{number}"
        workspace.mkdir()
        path = write_orders(model, data, workspace)
        return measure.child(scale_steps.__file__, path, workspace, **KEY)

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, range(at_once)))


def print_steps(alone: dict[str, Any], beside: Sequence[dict[str, Any]], megabytes: int) -> None:
    """One line a step, and the sum, which is the whole."""

    def mean(name: str) -> float:
        return sum(it["steps"][name] for it in beside) / len(beside)

    rows = [
        (
            name,
            f"{seconds:.2f}",
            f"{100 * seconds / alone['whole']:.1f}",
            f"{megabytes / max(seconds, 0.001):,.2f}",
            f"{mean(name):.2f}",
        )
        for name, seconds in alone["steps"].items()
    ]
    whole, both = sum(alone["steps"].values()), sum(mean(name) for name in alone["steps"])
    rows.append(("**sum**", f"{whole:.2f}", f"{100 * whole / alone['whole']:.1f}", f"{megabytes / whole:,.2f}", f"{both:.2f}"))
    header = (f"step, {megabytes} MB in one process", "CPU-s", "%", "MB per CPU-second", f"CPU-s with {len(beside)} at once")
    measure.table(header, rows)


# ---------------------------------------------------------------- the stage as it is run


@dataclass(slots=True)
class Watched:
    """One attempt, seen from outside."""

    status: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    resident_mib: float = 0.0
    anonymous_mib: float = 0.0
    ends: dict[str, float] = field(default_factory=dict)
    """CPU-seconds of the stage with its workers when a part of it had ended."""
    workers_cpu: float = 0.0
    """Of the workers alone."""
    committed: int = 0
    """Rows that counted when it was killed."""
    log: str = ""


def attempt(model: Path, data: Path, workspace: Path, number: int, cores: int, *, kill_after: int | None = None) -> Watched:
    """Run the stage once.

    Args:
        kill_after: SIGKILL for the stage when so many rows are committed.
    """
    path = write_orders(model, data, workspace, number)
    own = {
        **KEY,
        "OMP_NUM_THREADS": str(cores),
        "FINETUNE_TERMINATION_LOG": str(workspace / "result.json"),
        "DS_ACCELERATOR": "cpu",
    }
    log, it, begin = workspace / f"log-{number}.txt", Watched(), time.perf_counter()
    scratch = workspace / f"preparing-{number}"
    workers: dict[int, float] = {}
    with log.open("w") as said:
        command = [sys.executable, "-m", "finetune_trainer", "prepare", "--config", str(path)]
        process = subprocess.Popen(command, env={**os.environ, **own}, stderr=said)
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            below = list(tree(process.pid))
            resident, anonymous = memory_mib(below)
            it.resident_mib, it.anonymous_mib = max(it.resident_mib, resident), max(it.anonymous_mib, anonymous)
            workers |= {pid: max(workers.get(pid, 0.0), cpu_seconds(pid)) for pid in below[1:]}
            for name, mark in (("read", "select"), ("select", "data")):
                if name not in it.ends and (scratch / mark).exists():
                    it.ends[name] = cpu_seconds(process.pid)
            if kill_after is not None and (it.committed or 0) < kill_after:
                it.committed = _committed(scratch)
                if it.committed >= kill_after:
                    process.send_signal(signal.SIGKILL)
            time.sleep(0.2)
    it.status, it.seconds = os.waitstatus_to_exitcode(ended[1]), time.perf_counter() - begin
    it.cpu, it.workers_cpu = ended[2].ru_utime + ended[2].ru_stime, sum(workers.values())
    it.log = log.read_text()
    if kill_after is not None:  # whom nobody waited for is not in the parent's sum
        it.cpu += it.workers_cpu
    wanted = -signal.SIGKILL if kill_after is not None else 0
    if it.status != wanted:
        sys.exit(f"prepare ended with status {it.status} instead of {wanted}: {it.log[-2000:]}")
    if left := [pid for pid in workers if _is_alive(pid)]:
        sys.exit(f"{len(left)} workers outlived the stage")
    return it


def _is_alive(pid: int) -> bool:
    """Whether it still runs two seconds later."""
    for _ in range(20):
        try:
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return False
        except OSError:
            return False
        time.sleep(0.1)
    return True


def _committed(scratch: Path) -> int:
    try:
        state = json.loads((scratch / "spool" / "commit.json").read_text())["state"]
    except (OSError, ValueError):
        return 0
    return sum(rows for _, rows in state["counts"]["problems"]["read"])


def digest(workspace: Path) -> str:
    """Of what was prepared."""
    return str(json.loads((workspace / "data" / "manifest.json").read_text())["digest"])


def print_attempts(megabytes: int, rows: int, named: Sequence[tuple[str, Watched, str]]) -> None:
    """One line an attempt."""
    header = (
        "MB",
        "rows",
        "attempt",
        "wall s",
        "CPU-s",
        "of it workers",
        "select CPU-s",
        "write CPU-s",
        "resident MiB",
        "anonymous MiB",
        "digest",
    )
    lines = []
    for name, it, digest_ in named:
        parts = ("", "")
        if "select" in it.ends:
            parts = (f"{it.ends['select'] - it.ends['read']:.1f}", f"{it.cpu - it.ends['select']:.1f}")
        numbers = (f"{it.seconds:,.0f}", f"{it.cpu:,.0f}", f"{it.workers_cpu:,.0f}", *parts)
        lines.append(
            (
                f"{megabytes:,}",
                f"{rows:,}",
                name,
                *numbers,
                f"{it.resident_mib:,.0f}",
                f"{it.anonymous_mib:,.0f}",
                digest_[7:19],
            )
        )
    measure.table(header, lines)


def measured(
    model: Path, data: Path, folder: Path, megabytes: int, cores: int, *, kill_at: float | None, compare: bool
) -> None:
    """One size: killed and gone on with if that is asked for, and the table."""
    rows = scale_rows.write_rows(data, megabytes)
    workspace = Path(tempfile.mkdtemp(dir=folder))
    named: list[tuple[str, Watched, str]] = []
    if kill_at is not None:
        killed = attempt(model, data, workspace, 1, cores, kill_after=int(kill_at * rows))
        print(
            f"\n{datetime.now().astimezone():%H:%M:%S}: killed after {killed.seconds:,.0f} s, when {killed.committed:,} of"
            f" {rows:,} rows were committed",
            flush=True,
        )
        named.append((f"1, killed at {killed.committed / rows:.0%}", killed, ""))
        whole = attempt(model, data, workspace, 2, cores)
        taken = re.search(r"goes on after ([\d,]+) rows and ([\d,]+) tokens", whole.log)
        print(
            f"the next attempt took over {taken[1] if taken else 'no'} rows and {taken[2] if taken else 'no'} tokens",
            flush=True,
        )
        named.append(("2, goes on", whole, digest(workspace)))
    if kill_at is None or compare:
        other = Path(tempfile.mkdtemp(dir=folder))
        named.append(("from begin to end", attempt(model, data, other, 1, cores), digest(other)))
        shutil.rmtree(other)
    shutil.rmtree(workspace)
    print(flush=True)
    print_attempts(megabytes, rows, named)
    if len({digest_ for _, _, digest_ in named if digest_}) > 1:
        sys.exit("the digests differ")


def main() -> None:
    """All tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--megabytes", type=int, nargs="*", default=[1000], help="sizes of the data, one run of the stage each")
    parser.add_argument(
        "--sample", type=int, default=20, help="megabytes on which the steps are measured apart; 0 for not at all"
    )
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--kill-at", type=float, help="share of the rows at which the stage is killed, to be gone on with")
    parser.add_argument("--compare", action="store_true", help="also run it without a kill, and compare digests")
    parser.add_argument("--folder", type=Path, help="where data and workspace lie meanwhile; five times the data's size")
    arguments = parser.parse_args()
    print(measure.machine(), flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        data = Path(folder, "rows.jsonl")
        if arguments.sample:
            scale_rows.write_rows(data, arguments.sample)
            alone, *_ = steps(arguments.model, data, Path(folder), at_once=1)
            print_steps(alone, steps(arguments.model, data, Path(folder), at_once=arguments.cores), arguments.sample)
        for megabytes in arguments.megabytes:  # a table for each: the next size may take hours
            measured(
                arguments.model,
                data,
                Path(folder),
                megabytes,
                arguments.cores,
                kill_at=arguments.kill_at,
                compare=arguments.compare,
            )


if __name__ == "__main__":
    main()
