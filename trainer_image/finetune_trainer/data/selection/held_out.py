"""Training rows of which the exam knows the group: another answer to a test question, another letter of a test customer.

Such a row is no copy, and still tells the model about the exam. So what shares its group, or what it asks, with a row held out
by hand (test, validation, suites) leaves the training data, whatever dataset it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.selection.deduplicate import by_key

MEMBER = np.dtype([("group", "<u8"), ("protected", "u1"), ("dataset", "<i4"), ("index", "<i8")])
"""A row in one of its groups; the most protected role has the smallest number."""


def knows_the_exam(blocks: Iterable[NDArray[np.void]], rows: int, train: int, exam: NDArray[np.int32], *, folder: Path) -> None:
    """Find training rows that share a group with rows held out by hand.

    Args:
        blocks: members of groups, dtype MEMBER, a block at a time; a row may be in several.
        rows: how many rows there are at all.
        train: `protected` of training rows, the largest there is.
        exam: shape (rows,), written in place: at the index of each such row, the dataset of the row that is held out.
        folder: a directory for scratch files.
    """
    for part in by_key(blocks, "group", 2 * rows, folder=folder):
        if not len(part):
            continue
        members = part[np.lexsort((part["dataset"], part["protected"], part["group"]))]
        new = np.append(True, members["group"][1:] != members["group"][:-1])
        first = np.maximum.accumulate(np.where(new, np.arange(len(members)), 0))
        found = (members["protected"] == train) & (members["protected"][first] < train)
        exam[members["index"][found]] = members["dataset"][first[found]]
