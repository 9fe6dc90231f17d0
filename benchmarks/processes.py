"""A process and all below it, as the kernel sees them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def tree(pid: int) -> Iterator[int]:
    """The process first, then its children and theirs."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def memory_mib(pids: Iterable[int]) -> tuple[float, float]:
    """Resident and anonymous, of all together; shared pages count in each, so this is no less than what is really used."""
    resident = anonymous = 0.0
    for one in pids:
        try:
            lines = dict(line.split(":", 1) for line in Path(f"/proc/{one}/status").read_text().splitlines())
        except OSError:
            continue
        resident += int(lines.get("VmRSS", "0").split()[0]) / 1024
        anonymous += int(lines.get("RssAnon", "0").split()[0]) / 1024
    return resident, anonymous


def cpu_seconds(pid: int) -> float:
    """Of a process with the children that have ended; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
