"""Near-duplicates among rows that are made of forms: whether the search grows with the rows or with their pairs.

    .venv/bin/python benchmarks/near_forms.py [--megabytes 10 80 240]

Conversations of a help desk in which every sentence is one of a few, with other numbers (scale_rows.py): rows share most of
what they say. Sets of pairs of words are made beforehand; counted is the search alone, in one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import measure
import numpy as np
import scale_rows
from numpy.typing import NDArray

from finetune_api.v1alpha1.preparation import NEAR_SIMILARITY
from finetune_trainer.data.selection.near import TRAIN, find_near
from finetune_trainer.data.selection.sets import Sets
from finetune_trainer.data.selection.shingles import Shingler

_AT_ONCE = 1_000


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Questions and answers, each once: exact copies leave before near ones are looked for."""
    seen: set[int] = set()
    with path.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            pair = (row["prompt"].strip(), row["completion"])
            if hash(pair) not in seen:
                seen.add(hash(pair))
                yield pair


def sets_of(path: Path) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """The pairs of words of all rows, and how many each has."""
    shingler, rows = Shingler(), texts(path)
    batches = iter(lambda: list(itertools.islice(rows, _AT_ONCE)), [])
    values, counts = zip(*(shingler(batch) for batch in batches), strict=True)
    return np.concatenate(values), np.concatenate(counts)


def main() -> None:
    """One line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="*", default=[10, 80, 240])
    arguments = parser.parse_args()
    print(measure.machine())
    lines = []
    for megabytes in arguments.megabytes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            scale_rows.write_rows(folder / "rows.jsonl", megabytes)
            values, counts = sets_of(folder / "rows.jsonl")
            rows, begun = len(counts), time.process_time()
            order, nothing = np.arange(rows), np.zeros(rows, np.uint64)
            sets = Sets(values, counts, np.zeros(rows, np.int32), order, folder=folder, threads=1)
            signed = time.process_time()
            near = find_near(sets, order, np.full(rows, TRAIN, np.uint8), nothing, rows=rows, similarity=NEAR_SIMILARITY)
            searched = time.process_time() - signed
            left = int((near.kept >= 0).sum())
            lines.append(
                (
                    f"{megabytes}",
                    f"{rows:,}",
                    f"{signed - begun:.1f}",
                    f"{searched:.1f}",
                    f"{1e6 * searched / rows:.0f}",
                    f"{left:,}",
                )
            )
    measure.table(("MB", "rows", "signatures, CPU-s", "search, CPU-s", "microseconds a row", "rows that leave"), lines)


if __name__ == "__main__":
    main()
