"""The rows of a dataset in batches, which is how they go to workers."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

from finetune_api.contract.trainer_config import DatasetInput
from finetune_trainer.data.anonymize.glance import rows_to_glance_at
from finetune_trainer.data.inputs.formats import Shape
from finetune_trainer.data.inputs.read import BrokenRow, Row, is_mailbox, read_rows
from finetune_trainer.data.rows import Batch
from finetune_trainer.sources import DataFile

log = logging.getLogger(__name__)

_BATCH = 512
_BATCH_CHARACTERS = 4 * 2**20
"""Ends a batch early: rows may be whole documents."""
_NAMED = 10
"""Rows left out that are named for each reason: most of a mailbox may have no answer. The report counts them all."""


def batches(
    dataset: DatasetInput,
    number: int,
    files: Sequence[DataFile],
    shape: Shape,
    *,
    begin: tuple[int, int] = (0, 0),
    ends: deque[tuple[int, int]] | None = None,
    enough: Callable[[], frozenset[str]] = frozenset,
) -> Iterator[Batch]:
    """The rows of a dataset, as many at a time as make good use of the tokenizer and little of the memory.

    Args:
        begin: where to begin: file, and rows of it that are passed over.
        ends: is told for each batch where the one after it begins.
        enough: says when a batch is made of which rules there are samples enough.
    """
    ends = deque() if ends is None else ends
    first, after = begin
    left_out: Counter[str] = Counter()
    for file_number, file in enumerate(files[first:], first):
        rows: list[Row | BrokenRow] = []
        characters, glance = 0, rows_to_glance_at(file_number, after)
        letters = shape.format == "tickets" or is_mailbox(file)
        for row in read_rows(file, after=after):
            if isinstance(row, BrokenRow) and row.drop:
                left_out[row.reason] += 1
                if left_out[row.reason] <= _NAMED:
                    log.warning("dataset %s: %s number %d left out: %s", dataset.name, file.name, row.line, row.reason)
            rows.append(row)
            characters += _characters(row.value) if isinstance(row, Row) else 0
            if len(rows) == _BATCH or characters > _BATCH_CHARACTERS:
                after += len(rows)
                ends.append((file_number, after))
                yield Batch(dataset, number, file.name, file_number, shape, rows, letters, enough(), glance)
                rows, characters, glance = [], 0, rows_to_glance_at(file_number, after)
        after = 0
        if rows:
            ends.append((file_number + 1, 0))
            yield Batch(dataset, number, file.name, file_number, shape, rows, letters, enough(), glance)
    for reason, times in left_out.items():
        if times > _NAMED:
            log.warning("dataset %s: %s further left out: %s", dataset.name, f"{times - _NAMED:,}", reason)


def _characters(value: object) -> int:
    """About as many as there are in the texts of a record; all else counts by what it takes in memory."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return 64 + sum(map(_characters, value.values()))
    return 64 + sum(map(_characters, value)) if isinstance(value, list) else 8
