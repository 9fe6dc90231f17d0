"""Rows out of Parquet files, in memory of a few rows whatever a file says of itself.

A few hundred bytes of Parquet can stand for a terabyte: a text that is stored once stands in a million rows, a list of a
hundred million items is a count. So what the file declares is compared with its size before it is read at all. Texts are
read as they are stored, each once; inside lists and records, where the library cannot do that, a child process with little
memory reads them first. And what a row would take is added up before any of it becomes an object.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.inputs.raw_rows import (
    BOMB,
    CHUNK,
    MAX_ROW_BYTES,
    MAX_VALUES,
    TOO_LONG,
    TOO_MANY,
    BrokenRow,
    Row,
    most_expanded,
)

_ROWS, _CELLS, _BYTES = 1024, 1 << 20, 1 << 25
"""At once; values of all columns, and bytes of rows of average size."""
_VALUE_BYTES = 8
_LEVEL_BYTES = 4
"""Of each value inside a list, while it is read."""
_MOST_IN_LISTS = 1 << 25
"""Values of a row group that lie in lists: a single row may hold all of them."""
_NO_TEXT = "has a text that is no UTF-8"
_NO_VALUE = "has a time or a number that is beyond what can be read"
_TWICE = "the schema has a repeated column name"
_IN_LISTS = f"a row group has more than {_MOST_IN_LISTS:,} values in lists; write it with fewer rows in each row group"

Sizes = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Of each item: bytes of its texts, and values."""


def parquet_rows(path: Path, after: int) -> Iterator[Row | BrokenRow]:
    """Records of a Parquet file, after so many at the beginning: those are read all the same, since what they expand to counts,
    and who goes on must end where the first reader would have."""
    return islice(_rows(path, after), after, None)


def _rows(path: Path, passed: int) -> Iterator[Row | BrokenRow]:
    """All records of a file; so many at the beginning are counted and stay empty."""
    import pyarrow
    import pyarrow.parquet

    try:
        size = path.stat().st_size
        metadata = pyarrow.parquet.read_metadata(path)
        if (too_much := _beyond(metadata, size)) is not None:
            yield BrokenRow(0, too_much, drop=True)
            return
        at_once = _rows_at_once(metadata)
        inside, texts = _text_columns(metadata)
        if inside and not _fits(path, at_once):
            yield BrokenRow(0, BOMB, drop=True)
            return
        file = pyarrow.parquet.ParquetFile(path, metadata=metadata, read_dictionary=texts, buffer_size=CHUNK)
        if _repeats_a_name(file.schema_arrow):
            yield BrokenRow(0, _TWICE)
            return
        number, left = 0, most_expanded(size)
        for batch in file.iter_batches(batch_size=at_once):
            for value, taken in _values(batch, passed - number):
                number += 1
                left -= taken
                if left < 0:
                    yield BrokenRow(number, BOMB, drop=True)
                    return
                if isinstance(value, str):
                    yield BrokenRow(number, value, drop=value in (TOO_LONG, TOO_MANY))
                else:
                    yield Row(number, {key: item for key, item in value.items() if item is not None})
    except (pyarrow.ArrowException, OSError) as error:
        yield BrokenRow(0, f"is no Parquet file that can be read: {str(error).splitlines()[0][:200]}")


def _rows_at_once(metadata: Any) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
    return int(max(1, min(_ROWS, _CELLS // max(1, len(metadata.schema)), _BYTES // max(1, widest))))


def _text_columns(metadata: Any) -> tuple[list[str], list[str]]:
    """Columns of texts or bytes: those inside lists and records, and all others."""
    columns = [metadata.schema.column(number) for number in range(len(metadata.schema))]
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    return [path for path in texts if "." in path], [path for path in texts if "." not in path]


def _repeats_a_name(schema: Any) -> bool:
    """Whether two columns, or two fields of one record, have the same name: of their values a row could hold only one."""
    import pyarrow

    left = [pyarrow.struct(list(schema))]
    while left:
        kind = left.pop()
        fields = [kind.field(number) for number in range(kind.num_fields)]
        if pyarrow.types.is_struct(kind) and len({field.name for field in fields}) < len(fields):
            return True
        left += [field.type for field in fields]
    return False


def _beyond(metadata: Any, size: int) -> str | None:
    """What a file declares that no honest file of its size does; None if there is nothing."""
    most = most_expanded(size)
    if metadata.num_rows * _VALUE_BYTES > most:
        return BOMB
    nested = [metadata.schema.column(number).max_repetition_level > 0 for number in range(len(metadata.schema))]
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        chunks = [group.column(number) for number in range(group.num_columns)]
        in_lists = sum(chunk.num_values for chunk, is_nested in zip(chunks, nested, strict=True) if is_nested)
        if sum(chunk.total_uncompressed_size for chunk in chunks) > most or in_lists * _LEVEL_BYTES > most:
            return BOMB
        if in_lists > _MOST_IN_LISTS:
            return _IN_LISTS
    return None


def _values(batch: Any, passed: int) -> Iterator[tuple[dict[str, Any] | str, int]]:
    """The rows of a batch, or why one cannot be used, with the bytes that each takes; so many at a time that their texts take
    no more memory than a few rows may. As many as are passed over stay empty."""
    texts, values = _together([_sizes(column) for column in batch.columns], batch.num_rows)
    takes = texts + _VALUE_BYTES * values
    usable = (texts <= MAX_ROW_BYTES) & (values <= MAX_VALUES)
    begin = max(0, min(passed, batch.num_rows))
    yield from zip(repeat({}), takes[:begin].tolist(), strict=False)
    while begin < batch.num_rows:
        if not usable[begin]:
            yield TOO_LONG if texts[begin] > MAX_ROW_BYTES else TOO_MANY, int(takes[begin])
            begin += 1
            continue
        until = np.flatnonzero(~usable[begin:])
        most = begin + int(until[0]) if len(until) else batch.num_rows
        fits = int(np.searchsorted(np.cumsum(takes[begin:most]), 4 * MAX_ROW_BYTES, side="right"))
        end = begin + max(1, fits)
        yield from zip(_objects(batch.slice(begin, end - begin)), takes[begin:end].tolist(), strict=True)
        begin = end


def _objects(batch: Any) -> list[dict[str, Any] | str]:
    """The rows of a batch as objects; in place of one that cannot be made into them, why. A writer checks neither its texts nor
    its times, and one bad cell must cost its own row."""
    import pyarrow

    try:
        found: list[dict[str, Any] | str] = _in_microseconds(batch).to_pylist()
        return found
    except pyarrow.ArrowException:  # a zone that is none: not the row's fault
        raise
    except (ValueError, OverflowError) as error:
        if batch.num_rows == 1:
            return [_NO_TEXT if isinstance(error, UnicodeError) else _NO_VALUE]
    return [one for number in range(batch.num_rows) for one in _objects(batch.slice(number, 1))]


def _in_microseconds(batch: Any) -> Any:
    """Times of finer units cut to microseconds, since Python's own know nothing finer."""
    import pyarrow

    columns = list(batch.columns)
    for number, column in enumerate(columns):
        kind = column.type
        if getattr(kind, "unit", None) == "ns":
            coarser = (
                pyarrow.timestamp("us", kind.tz)
                if pyarrow.types.is_timestamp(kind)
                else pyarrow.time64("us")
                if pyarrow.types.is_time(kind)
                else pyarrow.duration("us")
            )
            columns[number] = column.cast(coarser, safe=False)
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _sizes(array: Any) -> Sizes:
    """What the items of a column take."""
    import pyarrow
    import pyarrow.compute

    kind = array.type
    if pyarrow.types.is_dictionary(kind):
        texts, values = _sizes(array.dictionary)
        chosen = np.asarray(array.indices.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
        there = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), bool)
        if not len(texts):
            return np.zeros(len(array), np.int64), np.zeros(len(array), np.int64)
        return np.where(there, texts[chosen], 0), np.where(there, values[chosen], 0)
    one = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.int64)
    if pyarrow.types.is_struct(kind):
        return _together([_sizes(array.field(number)) for number in range(kind.num_fields)], len(array))
    if pyarrow.types.is_map(kind):
        return _in_lists(array.offsets, [_sizes(array.keys), _sizes(array.items)], one)
    if pyarrow.types.is_fixed_size_list(kind):
        array = array.cast(pyarrow.list_(kind.value_type))
        kind = array.type
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return _in_lists(array.offsets, [_sizes(array.values)], one)
    if pyarrow.types.is_fixed_size_binary(kind):
        return one * kind.byte_width, one
    try:
        lengths = pyarrow.compute.binary_length(array).fill_null(0)
    except pyarrow.ArrowNotImplementedError:  # a number, a date
        return np.zeros(len(array), np.int64), one
    return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64), one


def _in_lists(offsets: Any, inner: list[Sizes], one: NDArray[np.int64]) -> Sizes:
    """What lists take of whose items this is known."""
    borders = np.asarray(offsets.to_numpy(zero_copy_only=False), np.int64)
    texts, values = (np.concatenate(([0], np.cumsum(sum(part)))) for part in zip(*inner, strict=True))
    return texts[borders[1:]] - texts[borders[:-1]], values[borders[1:]] - values[borders[:-1]] + one


def _together(parts: list[Sizes], count: int) -> Sizes:
    """What things take that consist of these, each one value in itself."""
    texts, values = np.zeros(count, np.int64), np.ones(count, np.int64)
    for some, more in parts:
        texts += some
        values += more
    return texts, values


# ---------------------------------------------------------------- in a child process

_MOST_BYTES = 1 << 29
_SECONDS, _BYTES_PER_SECOND = 60, 20 * 2**20


def _fits(path: Path, rows: int) -> bool:
    """Whether the texts inside lists and records can be read, so many rows at a time, in bounded memory."""
    program = [sys.executable, "-m", __name__, str(path), str(rows)]
    seconds = _SECONDS + path.stat().st_size / _BYTES_PER_SECOND
    try:
        done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _try(path: Path, rows: int) -> None:
    """Read all of them, and keep nothing."""
    import pyarrow
    import pyarrow.parquet

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # the others reserve more than they use
    pyarrow.set_cpu_count(1)
    inside, _ = _text_columns(pyarrow.parquet.read_metadata(path))
    file = pyarrow.parquet.ParquetFile(path, buffer_size=CHUNK)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MOST_BYTES, taken + _MOST_BYTES))
    for _ in file.iter_batches(batch_size=rows, columns=inside, use_threads=False):
        pass


if __name__ == "__main__":
    try:
        _try(Path(sys.argv[1]), int(sys.argv[2]))
    except (MemoryError, OSError, ValueError, NotImplementedError):  # pyarrow's own errors are also one of these
        sys.exit(1)
