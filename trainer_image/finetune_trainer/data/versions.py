"""One version of a dataset, read to be set beside another: its numbers, and its rows as hashes.

Whatever it is: a workspace in which data was prepared, a data report without one (numbers alone), or rows as they come. Of
a row remain 16 bytes (data/compare.py): what it is known by, and what it holds; its content goes nowhere.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_api.contract.trainer_config import Mounts
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import DataError, UserError
from finetune_api.uris import file_path, file_uri
from finetune_api.v1alpha1.data import FieldMapping
from finetune_trainer.data.compare import KEYED
from finetune_trainer.data.correction.names_shown import names_shown
from finetune_trainer.data.inputs.detect import DETECTED_FROM, detect
from finetune_trainer.data.inputs.formats import Example, Shape, UnusableRow, lookup, to_example
from finetune_trainer.data.inputs.read import BrokenRow, Row, read_rows
from finetune_trainer.data.selection.split import prompt_group
from finetune_trainer.data.store import open_documents
from finetune_trainer.sources import Credentials, fetch_files

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p100": 1.0}
_GROWS_BY = 1 << 16


@dataclass(slots=True)
class Version:
    """One side of the comparison: `numbers` for people, hashes for the comparison of rows."""

    kind: str
    """prepared, report or rows."""
    numbers: dict[str, Any]
    """Labels of rows as they come stand here as they are, for `with_labels_shown`; all else can be shown."""
    rows: NDArray[np.void] | None = None
    """Dtype KEYED; None where only a report is there."""
    splits: dict[str, NDArray[np.uint64]] = field(default_factory=dict)
    """Contents per split."""
    counted_by: str = ""
    """Whose tokens were counted: contents of different tokenizers cannot be compared."""
    asked: bool = True
    """Whether it is known what raw rows ask; if not, each is known by all of its fields."""


def with_labels_shown(*versions: Version) -> None:
    """Cover the labels of rows as they come, the same label alike in every version."""
    known = {label for one in versions for label in one.numbers["labels"]}
    shown = names_shown(sorted(known), "class")
    for one in versions:
        one.numbers["labels"] = {shown[label]: count for label, count in one.numbers["labels"].items()}


def read_version(place: str, *, key: str | None, task: str, fields: FieldMapping, environment: Mapping[str, str]) -> Version:
    """One side, whatever it is.

    Args:
        place: a path or a URI.
        key: field by which raw rows are known; None: what is asked.
        task: what raw rows are for: chat or classification.
        fields: what the fields of raw rows mean, where they have no usual names.
        environment: holds credentials for URIs.
    Raises: UserError if it is nothing that can be compared, DataError if no row can be read.
    """
    path = Path(place)
    if (path / "data" / "manifest.json").is_file():
        return _prepared(path)
    for candidate in (path, path / "data.json", path / "reports" / "data.json"):
        report = _report_in(candidate)
        if report is not None:
            return Version("report", _numbers_of(report))
    return _raw(place, key=key, task=task, fields=fields, environment=environment)


# ---------------------------------------------------------------- prepared data


def _prepared(root: Path) -> Version:
    workspace = Workspace(root)
    report = _report_in(workspace.data_report)
    if report is None:
        raise UserError(f"{workspace.data_report} is missing or damaged: prepare the data again")
    manifest = json.loads((workspace.data / "manifest.json").read_text(encoding="utf-8"))
    labels, splits, rows = manifest["labels"], {}, []
    for name in manifest["splits"]:
        documents = open_documents(workspace.data / name)
        pairs = np.zeros(len(documents), dtype=KEYED)
        pairs["key"] = documents.examples["group"]
        for index in range(len(documents)):
            record = documents.examples[index]
            begin, end = int(record["offset"]), int(record["offset"]) + int(record["length"])
            label = labels[int(record["label"])] if record["label"] >= 0 else ""
            pairs["content"][index] = _hash(documents.tokens[begin:end].tobytes(), label)
        splits[name] = pairs["content"]
        rows.append(pairs)
    model = workspace.data / "model.json"
    counted_by = json.loads(model.read_text(encoding="utf-8")).get("templateDigest") or "model" if model.is_file() else ""
    return Version("prepared", _numbers_of(report), np.concatenate(rows), splits, str(counted_by))


def _report_in(path: Path) -> dict[str, Any] | None:
    """The data report in a file; None if it is something else."""
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and {"summary", "splits", "datasets"} <= value.keys() else None


def _numbers_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of a data report can be set beside another one's."""
    summary, train = report["summary"], report["splits"].get("train") or {}
    dropped: Counter[str] = Counter()
    for one in report["datasets"]:
        dropped.update(one.get("dropped") or {})
    of_report: Mapping[str, Mapping[str, int]] = report.get("labels") or {}
    shown = names_shown(of_report, "class")  # a report of before may name them
    labels = {shown[label]: sum(counts.values()) for label, counts in of_report.items()}
    return {
        "counts": {"rows read": summary["examples"]["read"], "examples kept": summary["examples"]["kept"]},
        "splits": {name: numbers["examples"] for name, numbers in report["splits"].items()},
        "dropped": dict(dropped),
        "changed": dict(report.get("cleaned") or {}),
        "entities": dict(summary.get("redactions") or {}),
        "languages": dict(report.get("languages") or {}),
        "languagesOf": str(report.get("languages_of") or ""),
        "labels": labels,
        "unit": report.get("unit", "tokens"),
        "lengths": {name: value for name, value in (train.get("lengths") or {}).items() if name in _QUANTILES},
        "weights": {
            name: value for name, value in (train.get("weights") or {}).items() if name in ("p0", "p100", "effectiveSampleSize")
        },
        "digest": summary["digest"],
    }


# ---------------------------------------------------------------- rows as they come


def _raw(place: str, *, key: str | None, task: str, fields: FieldMapping, environment: Mapping[str, str]) -> Version:
    uri = place if "://" in place else file_uri(Path(place).resolve())
    path = file_path(uri)
    if path is not None and not Path(path).exists() and "*" not in path:
        raise UserError(f"{place}: no such file or directory")
    hashes, lengths = np.zeros(_GROWS_BY, dtype=KEYED), np.zeros(_GROWS_BY, np.int64)
    labels: Counter[str] = Counter()
    there: Counter[str] = Counter()
    count = unreadable = 0
    asked = True
    for row, shape in _rows(uri, place, task, fields, environment):
        if isinstance(row, BrokenRow):
            unreadable += 1
            continue
        if count == len(hashes):
            hashes, lengths = np.resize(hashes, 2 * count), np.resize(lengths, 2 * count)
        example = _example(row, shape)
        hashes[count] = (_key(row, example, key, place), _content(row))
        lengths[count] = _characters(example, row)
        labels.update([example.label] if example is not None and example.label is not None else [])
        there.update(str(name) for name, value in row.value.items() if value is not None)
        asked = asked and shape is not None
        count += 1
    if not count:
        raise DataError(f"{place}: no row can be read")
    found = hashes[:count]
    digest = sha256(np.sort(found["content"]).tobytes()).hexdigest()
    quantiles = np.quantile(lengths[:count], list(_QUANTILES.values()))
    numbers = {
        "counts": {"rows": count, "rows that cannot be read": unreadable},
        "fields": {shown: there[name] for name, shown in names_shown(there, "field").items()},
        "labels": dict(labels),
        "unit": "characters",
        "lengths": {name: float(value) for name, value in zip(_QUANTILES, quantiles, strict=True)},
        "digest": f"sha256:{digest}",
    }
    return Version("rows", numbers, found, asked=asked)


def _rows(
    uri: str, place: str, task: str, fields: FieldMapping, environment: Mapping[str, str]
) -> Iterator[tuple[Row | BrokenRow, Shape | None]]:
    """Every row of every file, with what its dataset is taken for from its first rows."""
    with tempfile.TemporaryDirectory(prefix="finetune-compare-") as scratch:
        files = fetch_files(
            uri,
            Path(scratch),
            revision="main",
            credentials=Credentials(environment, ""),
            mounts=Mounts(),
            field=place,
        )
        shape: Shape | None = None
        waiting: list[Row | BrokenRow] = []
        decided = False
        for file in files:
            for row in read_rows(file):
                if decided:
                    yield row, shape
                    continue
                waiting.append(row)
                decided = len(waiting) >= DETECTED_FROM
                if decided:
                    shape = _shape(waiting, task, fields)
                    yield from ((one, shape) for one in waiting)
        if not decided:
            shape = _shape(waiting, task, fields)
            yield from ((one, shape) for one in waiting)


def _shape(rows: list[Row | BrokenRow], task: str, fields: FieldMapping) -> Shape | None:
    values = [row.value for row in rows if isinstance(row, Row)]
    if not values:
        return None
    return detect(values, task="classification" if task == "classification" else "chat", said="auto", fields=fields)


def _example(row: Row, shape: Shape | None) -> Example | None:
    try:
        return to_example(row.value, shape, group_by=None) if shape is not None else None
    except UnusableRow:
        return None


def _key(row: Row, example: Example | None, key: str | None, place: str) -> int:
    if key is not None:
        value = lookup(row.value, key)
        if value is None:
            raise DataError(f'{place}: line {row.line} has no field "{key}"', hint="Name another field with --key.")
        return _hash(b"", str(value))
    if example is None:
        return _content(row)
    asked = [message.content for message in example.messages if message.role == "user"]
    return _hash(b"", prompt_group("\n".join(asked) if example.text is None else example.text))


def _content(row: Row) -> int:
    """A row whose fields stand in another order is the same row."""
    return _hash(json.dumps(row.value, sort_keys=True, ensure_ascii=True, default=str).encode(), "")


def _characters(example: Example | None, row: Row) -> int:
    if example is None:
        return sum(len(value) for value in row.value.values() if isinstance(value, str))
    return len(example.text) if example.text is not None else sum(len(message.content) for message in example.messages)


def _hash(data: bytes, text: str) -> int:
    digest = blake2b(data, digest_size=8)
    digest.update(b"\x00" + text.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "little")
