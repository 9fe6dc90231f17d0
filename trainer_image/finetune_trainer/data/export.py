"""Prepared examples as text, for people: what a model would be shown, after every rule, without what was left out.

Only data that was prepared without a model can be written (tokens/characters.py): tokens of a model do not give their text
back exactly, and the template's own words would stand in between.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from finetune_trainer.data.inputs.formats import Message
from finetune_trainer.data.store import Documents
from finetune_trainer.data.tokens.characters import messages_of


def export_examples(splits: Mapping[str, Documents], labels: Sequence[str], datasets: Sequence[str], target: Path) -> int:
    """Write every kept example as one line of JSON, split by split; what stood at `target` stays until all is written.

    A line has `messages`, or `text` with the `label` where there is one; then `split`, `weight`, `dataset` and `line`, the line
    of its file from which it came.

    Args:
        splits: prepared without a model.
        labels: their names, by number.
        datasets: their names, by number.
        target: .jsonl, or .jsonl.gz, which is compressed.
    Returns: the number of lines.
    """
    aside = target.with_name(f"{target.name}.writing")
    count = 0
    try:
        with _open(aside, compressed=target.suffix == ".gz") as file:
            for name, documents in splits.items():
                for row in _rows(documents, labels, datasets):
                    file.write(json.dumps({**row, "split": name}, ensure_ascii=False) + "\n")
                    count += 1
        aside.rename(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return count


def _open(path: Path, *, compressed: bool) -> TextIO:
    if compressed:
        return gzip.open(path, "wt", encoding="utf-8", newline="\n")
    return path.open("w", encoding="utf-8", newline="\n")


def _rows(documents: Documents, labels: Sequence[str], datasets: Sequence[str]) -> Iterator[dict[str, Any]]:
    for index in range(len(documents)):
        record = documents.examples[index]
        begin, end = int(record["offset"]), int(record["offset"]) + int(record["length"])
        messages = messages_of(np.asarray(documents.tokens[begin:end]), np.asarray(documents.supervised[begin:end]))
        row: dict[str, Any]
        row = {"messages": [_message(message) for message in messages]} if messages[0].role else {"text": messages[0].content}
        if record["label"] >= 0:
            row["label"] = labels[int(record["label"])]
        weight = round(float(record["weight"]), 4)
        yield {**row, "weight": weight, "dataset": datasets[int(record["dataset"])], "line": int(record["line"])}


def _message(message: Message) -> dict[str, Any]:
    """A turn as the format `messages` has it: an answer that is not learned has weight 0."""
    plain = {"role": message.role, "content": message.content}
    return plain if message.trained or message.role != "assistant" else {**plain, "weight": 0}
