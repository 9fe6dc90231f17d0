"""From everything that was read to the splits: what is too long, what is a copy, what is held out.

Works on the records alone, mapped from disk, in blocks: 100 bytes per example are looked at, never its tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from finetune_api.errors import DataError
from finetune_trainer.data.deduplicate import mark_duplicates
from finetune_trainer.data.split import thresholds

TRAIN, VALIDATION, TEST, FIRST_SUITE = 1, 2, 3, 4
"""Destinations of an example; 0 is nowhere."""

_BLOCK = 1 << 16
_PROTECTED = {"suite": 0, "test": 0, "validation": 1, "train": 2}
_AUTO_PERCENTILE = 0.99
_FAIL_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Selection:
    """Where every example goes."""

    destination: NDArray[np.uint8]
    """Shape (examples,): 0 nowhere, 1 train, 2 validation, 3 test, then suites in order."""
    max_length: int
    overlong: int
    """Examples longer than `max_length`, over all roles."""


def choose_max_length(
    examples: NDArray[np.void], training: NDArray[np.bool_], *, said: int | Literal["auto"], model: int
) -> int:
    """The longest example allowed.

    Args:
        examples: all records.
        training: per dataset, whether it is trained on.
        said: from the manifest; auto is the 99th percentile of the training examples.
        model: most tokens the model can take.
    """
    if said != "auto":
        return said
    counts = np.zeros(model + 1, np.int64)
    for block in _blocks(examples):
        lengths = block["length"][training[block["dataset"]]]
        counts += np.bincount(np.minimum(lengths, model), minlength=model + 1)
    wanted = _AUTO_PERCENTILE * counts.sum()
    return max(8, int(np.searchsorted(np.cumsum(counts), wanted)))


def select(
    examples: NDArray[np.void],
    fingerprints: NDArray[np.void],
    *,
    roles: Sequence[str],
    suites: Sequence[int],
    max_length: int,
    overlong: Literal["fail", "drop", "truncate"],
    deduplicate: bool,
    shares: tuple[float, float],
    folder: Path,
    drop: DropCounter,
) -> Selection:
    """Decide where every example goes.

    Args:
        examples: all records, dtype EXAMPLE.
        fingerprints: of their contents, dtype FINGERPRINT, in the same order.
        roles: per dataset: train, validation, test or suite.
        suites: datasets that are suites, in order.
        shares: of the training examples held out for (validation, test).
        folder: an empty directory for scratch files.
        drop: is told how many examples of which dataset are left out, and why.
    Raises: DataError if too many examples are too long, or nothing is left to train on.
    """
    destination = np.lib.format.open_memmap(folder / "destination.npy", mode="w+", dtype=np.uint8, shape=(len(examples),))
    role_number = np.array([_by_role(role, index, suites) for index, role in enumerate(roles)], dtype=np.uint8)
    for begin, block in _numbered(examples):
        destination[begin : begin + len(block)] = role_number[block["dataset"]]

    too_long = _drop_overlong(examples, destination, max_length, overlong, drop)
    _drop_untrained(examples, destination, max_length if overlong == "truncate" else None, drop)
    if deduplicate:
        _drop_copies(examples, fingerprints, destination, roles, folder, drop)
    _hold_out(examples, destination, shares)
    if not (destination == TRAIN).any():
        raise DataError("no training example is left; the data report says what became of each row", field="spec.datasets")
    return Selection(destination, max_length, too_long)


class DropCounter:
    """Told about examples that are left out."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self.counts: dict[tuple[str, str], int] = {}

    def add(self, datasets: NDArray[np.int32], reason: str) -> None:
        """Count examples of these datasets as left out."""
        for dataset, count in zip(*np.unique(datasets, return_counts=True), strict=True):
            key = (self._names[int(dataset)], reason)
            self.counts[key] = self.counts.get(key, 0) + int(count)


def _by_role(role: str, index: int, suites: Sequence[int]) -> int:
    if role == "suite":
        return FIRST_SUITE + list(suites).index(index)
    return {"train": TRAIN, "validation": VALIDATION, "test": TEST}[role]


def _drop_overlong(
    examples: NDArray[np.void],
    destination: NDArray[np.uint8],
    max_length: int,
    overlong: Literal["fail", "drop", "truncate"],
    drop: DropCounter,
) -> int:
    count, longest = 0, 0
    for begin, block in _numbered(examples):
        long = block["length"] > max_length
        count += int(long.sum())
        longest = max(longest, int(block["length"].max(initial=0)))
        if overlong != "truncate":
            destination[begin : begin + len(block)][long] = 0
            drop.add(block["dataset"][long], "too_long")
    if count == len(examples):
        raise DataError(
            f"all {count:,} examples are longer than maxLength ({max_length:,} tokens); the longest has {longest:,}",
            field="spec.preparation.maxLength",
        )
    if overlong == "fail" and count > _FAIL_SHARE * len(examples):
        raise DataError(
            f"{count:,} of {len(examples):,} examples ({count / len(examples):.0%}) are longer than maxLength ({max_length:,}"
            f" tokens); the longest has {longest:,}",
            field="spec.preparation.overlong",
            hint="Raise maxLength, or say drop or truncate.",
        )
    return count


def _drop_untrained(examples: NDArray[np.void], destination: NDArray[np.uint8], cut_at: int | None, drop: DropCounter) -> None:
    """Leave out what could teach nothing: no token with loss, or weight 0. A class label is always something to learn."""
    for begin, block in _numbered(examples):
        here = destination[begin : begin + len(block)]
        unlabelled = block["label"] < 0
        nothing = unlabelled & (block["supervised"] == 0)
        if cut_at is not None:
            nothing |= unlabelled & (block["prompt"] >= cut_at)
        weightless = (block["weight"] == 0) & (here == TRAIN)
        for mask, reason in ((nothing, "nothing_supervised"), (weightless & ~nothing, "weight_zero")):
            drop.add(block["dataset"][mask & (here > 0)], reason)
            here[mask] = 0


def _drop_copies(
    examples: NDArray[np.void],
    fingerprints: NDArray[np.void],
    destination: NDArray[np.uint8],
    roles: Sequence[str],
    folder: Path,
    drop: DropCounter,
) -> None:
    """Leave out copies. Suites keep theirs: they are exams of others, and only training must not know them."""
    protected = np.array([_PROTECTED[role] for role in roles], dtype=np.uint32)

    def kept() -> Iterator[NDArray[np.void]]:
        for begin, block in _numbered(examples):
            part = np.array(fingerprints[begin : begin + len(block)])
            part["rank"] = protected[block["dataset"]]
            part["index"] = np.arange(begin, begin + len(block))
            yield part[destination[begin : begin + len(block)] > 0]

    marks = np.lib.format.open_memmap(folder / "marks.npy", mode="w+", dtype=np.uint8, shape=(len(examples),))
    mark_duplicates(kept(), len(examples), marks, folder=folder)
    suite = np.array([role == "suite" for role in roles])
    for begin, block in _numbered(examples):
        here = destination[begin : begin + len(block)]
        mark = np.array(marks[begin : begin + len(block)])
        mark[suite[block["dataset"]]] = 0
        drop.add(block["dataset"][mark == 1], "duplicate")
        drop.add(block["dataset"][mark == 2], "stands_in_held_out_data")
        here[mark > 0] = 0


def _hold_out(examples: NDArray[np.void], destination: NDArray[np.uint8], shares: tuple[float, float]) -> None:
    def groups() -> Iterator[NDArray[np.uint64]]:
        for begin, block in _numbered(examples):
            yield block["group"][destination[begin : begin + len(block)] == TRAIN]

    validation, test = shares
    test_bound, validation_bound = thresholds(groups, (test, validation))
    for begin, block in _numbered(examples):
        here = destination[begin : begin + len(block)]
        train = here == TRAIN
        here[train & (block["group"] < np.uint64(validation_bound))] = VALIDATION
        here[train & (block["group"] < np.uint64(test_bound))] = TEST


def _numbered(examples: NDArray[np.void]) -> Iterator[tuple[int, NDArray[np.void]]]:
    for begin in range(0, len(examples), _BLOCK):
        yield begin, np.array(examples[begin : begin + _BLOCK])


def _blocks(examples: NDArray[np.void]) -> Iterator[NDArray[np.void]]:
    for _, block in _numbered(examples):
        yield block
