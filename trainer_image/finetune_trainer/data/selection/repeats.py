"""What leaves because other examples exist: contradictions, copies, what an exam knows, near-duplicates. In this order.

Which example stays never depends on the order of files or rows: the most protected role first, then what the examples hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from finetune_api.v1alpha1.preparation import Preparation
from finetune_trainer.data.records import BLOCK, Records, let_go, protected_roles
from finetune_trainer.data.selection.contradictions import VOTE, contradicting
from finetune_trainer.data.selection.deduplicate import find_copies
from finetune_trainer.data.selection.dropped import DropCounter
from finetune_trainer.data.selection.held_out import MEMBER, knows_the_exam
from finetune_trainer.data.selection.near import SUITE, TRAIN, find_near
from finetune_trainer.data.selection.sets import Sets

_COPY = np.dtype(
    [
        ("high", "<u8"),
        ("low", "<u8"),
        ("index", "<i8"),
        ("protected", "u1"),
        ("group", "<u8"),
        ("learned", "<i4"),
        ("weight", "<f4"),
        ("dataset", "<i4"),
        ("file", "<i4"),
        ("line", "<i8"),
    ]
)
"""learned, weight: negative, so that the smallest is the one of which most is learned."""
_ORDER = ("protected", "group", "learned", "weight", "dataset", "file", "line")


class Repeats:
    """Compares examples with each other and leaves out what must not stand beside another.

    Args:
        records: everything that was read.
        destination: where each example goes, 0 nowhere; shape (examples,), written in place.
        roles: per dataset: train, validation, test or suite.
        names: of the datasets.
        folder: a directory for scratch files.
        drop: is told how many examples of which dataset are left out, and why.
    """

    def __init__(
        self,
        records: Records,
        destination: NDArray[np.uint8],
        *,
        roles: Sequence[str],
        names: Sequence[str],
        folder: Path,
        drop: DropCounter,
    ) -> None:
        self._records, self._destination, self._folder, self._drop = records, destination, folder, drop
        self._protected = protected_roles(roles)
        self._place_of_name = np.argsort(np.argsort(np.array(names))).astype(np.int32)
        self._first = records.first

    def leave_out_contradictions(self, resolve: Literal["majority", "drop"]) -> None:
        """Training rows that give the same input different labels or short answers (contradictions.py)."""

        def votes() -> Iterator[NDArray[np.void]]:
            for begin, rows, stays in self._rows():
                chosen = np.flatnonzero(stays & (self._protected[rows["dataset"]] == TRAIN) & (rows["answer"] > 0))
                found = np.zeros(len(chosen), VOTE)
                found["input"], found["answer"], found["index"] = rows["input"][chosen], rows["answer"][chosen], chosen + begin
                yield found

        leaves = contradicting(votes(), len(self._first), resolve, folder=self._folder)
        self._leave_rows(np.where(leaves, self._records.rows["dataset"], -1), "contradictory_label")

    def leave_out_copies(self) -> None:
        """All but one of equal examples."""

        def copies() -> Iterator[NDArray[np.void]]:
            for begin, block in self._records.blocks():
                part = slice(begin, begin + len(block))
                found = np.zeros(len(block), _COPY)
                for name in ("high", "low"):
                    found[name] = self._records.fingerprints[name][part]
                for name in ("group", "file", "line"):
                    found[name] = block[name]
                found["index"] = np.arange(begin, begin + len(block))
                found["protected"] = self._protected[block["dataset"]]
                found["learned"], found["weight"] = -block["supervised"], -block["weight"]
                found["dataset"] = self._place_of_name[block["dataset"]]
                yield found[self._destination[part] > 0]

        count = len(self._records.examples)
        kept = np.lib.format.open_memmap(self._folder / "kept.npy", mode="w+", dtype=np.int64, shape=(count,))
        kept[:] = -1
        find_copies(copies(), _ORDER, count, kept, folder=self._folder, in_memory=self._with_open_groups)
        for begin, block in self._records.blocks():
            of = np.array(kept[begin : begin + len(block)])
            stays = np.where(of >= 0, self._records.examples["dataset"][of], -1)
            self._leave(begin, block, stays, "duplicate", "stands_in_held_out_data")

    def _with_open_groups(self, examples: NDArray[np.void]) -> NDArray[np.void]:
        examples["group"] = self._records.groups(examples)
        return examples

    def leave_out_what_exams_know(self) -> None:
        """Training rows whose group, or question, also stands in data held out by hand (held_out.py)."""
        if (self._protected == TRAIN).all():
            return

        def members() -> Iterator[NDArray[np.void]]:
            for begin, rows, stays in self._rows():
                chosen = np.flatnonzero(stays)
                group = self._records.examples["group"][self._first[chosen + begin]]
                found = np.zeros((2, len(chosen)), MEMBER)
                found["group"] = np.stack((group, rows["asked"][chosen]))
                found["protected"] = self._protected[rows["dataset"][chosen]]
                found["dataset"], found["index"] = rows["dataset"][chosen], chosen + begin
                yield found.reshape(-1)

        exam = np.full(len(self._first), -1, np.int32)
        knows_the_exam(members(), len(exam), TRAIN, exam, folder=self._folder)
        self._leave_rows(exam, "group_in_held_out_data")

    def leave_out_near(self, similarity: float, *, threads: int, beat: Callable[[], None]) -> NDArray[np.int64]:
        """Rows that are nearly the same as another.

        Args:
            similarity: from which on rows are alike (near.py).
            threads: that compute signatures.
            beat: called again and again: millions of rows take long.
        Returns: per row a row that must be on the same side of the split.
        """
        records, folder = self._records, self._folder
        dataset = np.array(records.rows["dataset"])
        content = [np.add.reduceat(records.fingerprints[name], self._first) for name in ("low", "high")]
        stays = np.concatenate([stays for _, _, stays in self._rows()])
        order = np.lexsort((*content, self._protected[dataset]))
        order = order[stays[order]]
        counts = np.array(records.rows["shingles"])
        sets = Sets(records.shingles, counts, dataset, order, folder=folder, threads=threads, beat=beat)
        let_go(records.shingles)  # the sets have taken over what they need of them
        answer, protected = records.rows["answer"][order], self._protected[dataset[order]]
        near = find_near(sets, order, protected, answer, rows=len(self._first), similarity=similarity, beat=beat)
        self._leave_rows(np.where(near.kept >= 0, dataset[near.kept], -1), "near_duplicate", "near_held_out_data")
        return near.united

    def _rows(self) -> Iterator[tuple[int, NDArray[np.void], NDArray[np.bool_]]]:
        """Rows in blocks: the number of the first, the rows, and which of them have an example that goes somewhere."""
        for begin in range(0, len(self._first), BLOCK):
            rows = np.array(self._records.rows[begin : begin + BLOCK])
            first = self._first[begin : begin + BLOCK]
            where = self._destination[first[0] : first[-1] + rows["examples"][-1]]
            yield begin, rows, np.maximum.reduceat(where, first - first[0]) > 0

    def _leave_rows(self, stays: NDArray[np.int32], reason: str, exam_reason: str | None = None) -> None:
        """Leave out rows.

        Args:
            stays: per row the dataset of the row for whose sake it leaves; -1: it does not.
        """
        ends = np.append(self._first[1:], len(self._records.examples))
        for begin, block in self._records.blocks():
            row = np.searchsorted(ends, np.arange(begin, begin + len(block)), side="right")
            self._leave(begin, block, stays[row], reason, exam_reason or reason)

    def _leave(self, begin: int, block: NDArray[np.void], stays: NDArray[np.int32], reason: str, exam_reason: str) -> None:
        """Leave out examples of a block; those that stand nearer to an exam than they may, for a reason of its own."""
        here = self._destination[begin : begin + len(block)]
        dataset = block["dataset"]
        leaving = (stays >= 0) & (here > 0) & (self._protected[dataset] != SUITE)
        betrays = leaving & (self._protected[stays] < self._protected[dataset])
        self._drop.add(dataset[leaving & ~betrays], reason)
        self._drop.contaminated(dataset[betrays], stays[betrays], exam_reason)
        here[leaving] = 0


def compared(settings: Preparation) -> str:
    """Which likeness was looked for, in a sentence for the report."""
    found = "Copies were not looked for"
    if settings.deduplicate == "exact":
        found = "Copies were looked for, near-duplicates were not"
    elif settings.near_similarity is not None:
        found = f"Copies and near-duplicates were looked for, from {settings.near_similarity:.0%} of shared pairs of words on"
    resolve = {
        "majority": "of the same input with different labels the majority stays",
        "drop": "the same input with different labels leaves",
        "keep": "the same input with different labels stays",
    }[settings.contradictions.resolve]
    return f"{found}; {resolve}."
