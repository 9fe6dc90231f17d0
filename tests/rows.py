"""Rows for training that are made by a rule, so that tests know what should come of them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tiny import SENTENCES


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def chats(count: int, *, seed: int = 1) -> list[dict[str, Any]]:
    """Questions and answers of very unequal length, some of them more important than others."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        answer = " ".join(chance.choice(SENTENCES) for _ in range(chance.choice([1, 1, 2, 5])))
        rows.append(
            {
                "prompt": f"{chance.choice(SENTENCES)} ({number})",
                "completion": answer,
                "customer": f"c{number % 17}",
                "importance": chance.choice([0.5, 1.0, 2.0]),
            }
        )
    return rows
