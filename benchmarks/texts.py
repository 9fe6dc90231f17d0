"""Real texts of known shape, made from the documentation of the running Python (see examples/quickstart/get_data.py)."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import sysconfig
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

_EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart" / "get_data.py"


def questions() -> list[dict[str, str]]:
    """Every question of the quickstart with its answer, in an order that only their texts decide."""
    spec = importlib.util.spec_from_file_location("quickstart_data", _EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    quickstart = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quickstart)
    rows = quickstart.documentation(Path(sysconfig.get_path("stdlib")))
    return sorted(rows, key=lambda row: sha256(row["prompt"].encode()).digest())


def write_short(path: Path, count: int) -> None:
    """Questions with one short answer each, about sixty tokens with the template."""
    _write(path, ({"prompt": row["prompt"], "completion": row["completion"]} for row in questions()[:count]))


def write_uneven(path: Path, count: int, *, median_words: int = 100, sigma: float = 1.0, longest_words: int = 560) -> None:
    """Conversations of several turns whose lengths are lognormal, as those of support desks are: many short, few very long."""
    lengths = np.random.default_rng(17).lognormal(math.log(median_words), sigma, count)
    turns = itertools.cycle(questions())
    _write(path, (_conversation(turns, min(int(words), longest_words)) for words in lengths))


def _conversation(turns: Iterator[dict[str, str]], words: int) -> dict[str, Any]:
    messages: list[dict[str, str]] = []
    while not messages or sum(len(message["content"].split()) for message in messages) < words:
        row = next(turns)
        messages += [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
    return {"messages": messages}


def write_many(path: Path, count: int) -> None:
    """As many different short rows as asked: the questions again and again, each time with a number of its own."""
    rows = itertools.cycle(questions())
    numbered = ({"prompt": f"{row['prompt']} ({number})", "completion": row["completion"]} for number, row in enumerate(rows))
    _write(path, itertools.islice(numbered, count))


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
