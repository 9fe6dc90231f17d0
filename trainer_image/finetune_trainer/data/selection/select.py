"""From everything that was read to the splits: what is too long, what is a copy, what is held out.

Works on the records alone, mapped from disk, in blocks: 100 bytes per example are looked at, never its tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from finetune_api.errors import DataError
from finetune_api.v1alpha1.preparation import Preparation
from finetune_trainer.data.records import BLOCK, FIRST_SUITE, TEST, TRAIN, VALIDATION, Records
from finetune_trainer.data.selection.dropped import DropCounter
from finetune_trainer.data.selection.repeats import Repeats
from finetune_trainer.data.selection.split import thresholds
from finetune_trainer.data.selection.wholes import Wholes

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
        training: whether each dataset is trained on, shape (datasets,).
        said: from the manifest; auto is the 99th percentile of the training examples.
        model: most tokens the model can take.
    """
    if said != "auto":
        return said
    counts = np.zeros(model + 1, np.int64)
    for begin in range(0, len(examples), BLOCK):
        block = examples[begin : begin + BLOCK]
        lengths = block["length"][training[block["dataset"]]]
        counts += np.bincount(np.minimum(lengths, model), minlength=model + 1)
    wanted = _AUTO_PERCENTILE * counts.sum()
    return max(8, int(np.searchsorted(np.cumsum(counts), wanted)))


def select(
    records: Records,
    *,
    roles: Sequence[str],
    names: Sequence[str],
    max_length: int,
    settings: Preparation,
    folder: Path,
    drop: DropCounter,
    threads: int = 1,
    beat: Callable[[], None] = lambda: None,
) -> Selection:
    """Decide where every example goes.

    Args:
        records: everything that was read.
        roles: per dataset: train, validation, test or suite.
        names: of the datasets.
        max_length: in tokens.
        settings: of the job, with all shares and similarities set.
        folder: an empty directory for scratch files.
        drop: is told how many examples of which dataset are left out, and why.
        threads: for the search for near-duplicates.
        beat: called again and again during that search.
    Raises: DataError if too many examples are too long, or nothing is left to train on.
    """
    examples = records.examples
    destination = np.lib.format.open_memmap(folder / "destination.npy", mode="w+", dtype=np.uint8, shape=(len(examples),))
    suites = [index for index, role in enumerate(roles) if role == "suite"]
    role_number = np.array([_by_role(role, index, suites) for index, role in enumerate(roles)], dtype=np.uint8)
    for begin, block in records.blocks():
        destination[begin : begin + len(block)] = role_number[block["dataset"]]

    too_long = _drop_overlong(records, destination, max_length, settings.overlong, drop)
    _drop_untrained(records, destination, max_length if settings.overlong == "truncate" else None, drop)
    repeats = Repeats(records, destination, roles=roles, names=names, folder=folder, drop=drop)
    united: NDArray[np.int64] | None = None
    if settings.contradictions.resolve != "keep":
        repeats.leave_out_contradictions(settings.contradictions.resolve)
    if settings.deduplicate != "none":
        repeats.leave_out_copies()
        repeats.leave_out_what_exams_know()
    if settings.deduplicate == "near":
        assert settings.near_similarity is not None
        united = repeats.leave_out_near(settings.near_similarity, threads=threads, beat=beat)
    shares = (settings.split.validation or 0.0, settings.split.test or 0.0)
    wholes = Wholes(records, united)
    wholes.keep_large_ones_in_training(min(filter(None, shares), default=0.0), destination == TRAIN)
    _hold_out(records, destination, shares, wholes)
    if not (destination == TRAIN).any():
        held_out = int((destination != 0).sum())
        hint = f"Held out: {held_out:,}. Give more data, smaller shares, or a finer split.groupBy." if held_out else None
        raise DataError(f"no training example is left{drop.told()}", field="spec.datasets", hint=hint)
    return Selection(destination, max_length, too_long)


def _by_role(role: str, index: int, suites: Sequence[int]) -> int:
    if role == "suite":
        return FIRST_SUITE + list(suites).index(index)
    return {"train": TRAIN, "validation": VALIDATION, "test": TEST}[role]


def _drop_overlong(
    records: Records,
    destination: NDArray[np.uint8],
    max_length: int,
    overlong: Literal["fail", "drop", "truncate"],
    drop: DropCounter,
) -> int:
    count, longest, everything = 0, 0, len(records.examples)
    for begin, block in records.blocks():
        long = block["length"] > max_length
        count += int(long.sum())
        longest = max(longest, int(block["length"].max(initial=0)))
        if overlong != "truncate":
            destination[begin : begin + len(block)][long] = 0
            drop.add(block["dataset"][long], "too_long")
    if count == everything and overlong != "truncate":
        raise DataError(
            f"all {count:,} examples are longer than maxLength ({max_length:,} tokens); the longest has {longest:,}",
            field="spec.preparation.maxLength",
            hint="Raise maxLength, take a model with a longer context, or say overlong: truncate.",
        )
    if overlong == "fail" and count > _FAIL_SHARE * everything:
        raise DataError(
            f"{count:,} of {everything:,} examples ({count / everything:.0%}) are longer than maxLength ({max_length:,}"
            f" tokens); the longest has {longest:,}",
            field="spec.preparation.overlong",
            hint="Raise maxLength, or say drop or truncate.",
        )
    return count


def _drop_untrained(records: Records, destination: NDArray[np.uint8], cut_at: int | None, drop: DropCounter) -> None:
    """Leave out what could teach nothing: no token with loss, or weight 0. A class label is always something to learn."""
    for begin, block in records.blocks():
        here = destination[begin : begin + len(block)]
        unlabelled = block["label"] < 0
        nothing = unlabelled & (block["supervised"] == 0)
        if cut_at is not None:
            nothing |= unlabelled & (block["prompt"] >= cut_at)
        weightless = (block["weight"] == 0) & (here == TRAIN)
        for mask, reason in ((nothing, "nothing_supervised"), (weightless & ~nothing, "weight_zero")):
            drop.add(block["dataset"][mask & (here > 0)], reason)
            here[mask] = 0


def _hold_out(records: Records, destination: NDArray[np.uint8], shares: tuple[float, float], wholes: Wholes) -> None:
    """Move whole groups out of the training examples."""

    def groups() -> Iterator[NDArray[np.uint64]]:
        for begin, block in records.blocks():
            yield wholes.numbers(records.groups(block[destination[begin : begin + len(block)] == TRAIN]))

    validation, test = shares
    test_bound, validation_bound = thresholds(groups, (test, validation))
    for begin, block in records.blocks():
        here, number = destination[begin : begin + len(block)], wholes.numbers(records.groups(block))
        train = here == TRAIN
        here[train & (number < np.uint64(validation_bound))] = VALIDATION
        here[train & (number < np.uint64(test_bound))] = TEST
