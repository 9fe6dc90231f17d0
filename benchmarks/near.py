"""Near-duplicates: what looking for them costs, how many planted ones are found, how much memory a million examples need.

    .venv/bin/python benchmarks/near.py

Texts of about a hundred words are walks through the pairs of words of the running Python's documentation: each is another, but
common phrases are as common as there. One in a hundred is a copy of another one, with three other, missing or new words,
another number, perhaps capitals or other punctuation. The prepare stage runs without a model, once with `deduplicate: exact`
and once with `near`; the difference is what near-duplicates cost. Counted are CPU-seconds of the whole stage on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path

import measure
import numpy as np
import texts
from numpy.typing import NDArray
from orders import a_job, measured_prepare, orders

from finetune_api.contract.trainer_config import WITHOUT_MODEL
from finetune_operator.brain.stages import Stage

WORDS = 100
_COPIED = 100
"""One of so many rows is a copy."""
_AT_ONCE = 20_000


class Walks:
    """Texts in which each word follows the one before it as often as in the documentation."""

    def __init__(self) -> None:
        followers: dict[str, list[str]] = {}
        for row in texts.questions():
            for one, other in pairwise(row["completion"].split()):
                followers.setdefault(one, []).append(other)
        self.words = sorted(followers)
        number = {word: index for index, word in enumerate(self.words)}
        found = [[number[word] for word in followers[one] if word in number] or [0] for one in self.words]
        self._counts = np.array([len(some) for some in found])
        self._starts = np.cumsum(self._counts) - self._counts
        self._followers = np.concatenate([np.array(some) for some in found])

    def take(self, count: int, seed: int) -> list[str]:
        """So many texts of `WORDS` words."""
        random_numbers = np.random.default_rng(seed)
        at: NDArray[np.int64] = random_numbers.integers(0, len(self.words), count)
        steps = []
        for _ in range(WORDS):
            steps.append(at)
            at = self._followers[self._starts[at] + (random_numbers.random(count) * self._counts[at]).astype(np.int64)]
        return [" ".join([self.words[word] for word in row]) for row in np.stack(steps, axis=1).tolist()]


def write(path: Path, rows: int) -> int:
    """Write texts and edited copies of some. Returns how many are copies."""
    walks, chance, copies = Walks(), random.Random(17), 0
    with path.open("w", encoding="utf-8") as file:
        for begin in range(0, rows, _AT_ONCE):
            count = min(_AT_ONCE, rows - begin)
            found = walks.take(count - count // _COPIED, begin)
            copied = [edited(text, chance) for text in chance.sample(found, count // _COPIED)]
            copies += len(copied)
            file.writelines(json.dumps({"text": text}) + "\n" for text in (*found, *copied))
    return copies


def edited(text: str, chance: random.Random) -> str:
    """A copy as people make it."""
    words = text.split()
    for _ in range(3):
        place = chance.randrange(len(words))
        match chance.choice(["other", "missing", "new"]):
            case "other":
                words[place] = chance.choice(["Wednesday", "printer", "4711"])
            case "missing":
                del words[place]
            case _:
                words.insert(place, chance.choice(["also", "however", "4712"]))
    numbers = [place for place, word in enumerate(words) if word.isdigit()]
    if numbers:
        words[chance.choice(numbers)] = str(chance.randrange(10_000))
    copy = " ".join(words)
    return chance.choice([copy, copy.upper(), copy.replace(",", ""), copy.replace(". ", "! ")])


def prepare(data: Path, deduplicate: str) -> dict[str, float]:
    """CPU-seconds, memory and what was found, of the prepare stage as a process."""
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Path(scratch)
        preparation = {"deduplicate": deduplicate, "maxLength": 1_000_000, "overlong": "drop"}
        config = orders(a_job(Path("/none"), data, preparation=preparation), Stage.PREPARE, workspace)
        config = config.model_copy(update={"model": config.model.model_copy(update={"uri": WITHOUT_MODEL})})
        report, figures = measured_prepare(config, workspace)
    dropped = report["summary"]["examples"]["droppedByReason"]
    return {**figures, "found": dropped.get("near_duplicate", 0)}


def main() -> None:
    """One line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=3, help="for all but the largest, which runs once")
    arguments = parser.parse_args()
    print(measure.machine())
    lines = []
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as scratch:
            data = Path(scratch, "rows.jsonl")
            copies = write(data, rows)
            repeats = 1 if rows == max(arguments.rows) and len(arguments.rows) > 1 else arguments.repeats
            exact = [prepare(data, "exact") for _ in range(repeats)]
            near = [prepare(data, "near") for _ in range(repeats)]
            rates = [
                rows / max(0.01, one["cpu_seconds"] - other["cpu_seconds"]) for one, other in zip(near, exact, strict=True)
            ]
            whole, without = (statistics.median(run["cpu_seconds"] for run in runs) for runs in (near, exact))
            memory, plain = (max(run["anonymous_mib"] for run in runs) for runs in (near, exact))
            found = near[0]["found"]
            lines.append(
                (
                    f"{rows:,}",
                    f"{found:,.0f} of {copies:,} ({found / max(1, copies):.2%})",
                    measure.spread(rates),
                    f"{without:,.1f} -> {whole:,.1f}",
                    f"{plain:,.0f} -> {memory:,.0f}",
                )
            )
    header = (
        "rows",
        "planted copies found",
        "rows per CPU-second for near",
        "CPU-seconds of the stage",
        "anonymous memory, MiB",
    )
    measure.table(header, lines)


if __name__ == "__main__":
    main()
