"""The same input with another label: nothing can be learned from it but doubt.

Every row is a vote, copies included. What more than half of the votes for an input say may stay; where no answer has so many,
none does: the larger of two minorities is no truth. Rows held out by hand (test, validation, suites) are exams and stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.selection.deduplicate import by_key

VOTE = np.dtype([("input", "<u8"), ("answer", "<u8"), ("index", "<i8")])
"""Numbers of the input and of its label or short answer, and the row."""


def contradicting(
    blocks: Iterable[NDArray[np.void]], rows: int, resolve: Literal["majority", "drop"], *, folder: Path
) -> NDArray[np.bool_]:
    """Say which rows contradict others.

    Args:
        blocks: the votes, dtype VOTE, a block at a time.
        rows: how many rows there are at all.
        resolve: drop: all rows of an input with more than one answer; majority: all but those whose answer has more than half.
        folder: a directory for scratch files.
    Returns: shape (rows,), True for those that leave.
    """
    leaves = np.zeros(rows, bool)
    for part in by_key(blocks, "input", rows, folder=folder):
        if not len(part):
            continue
        votes = part[np.lexsort((part["answer"], part["input"]))]
        new_input = np.append(True, votes["input"][1:] != votes["input"][:-1])
        new_answer = new_input | np.append(True, votes["answer"][1:] != votes["answer"][:-1])
        of_input, of_answer = np.cumsum(new_input) - 1, np.cumsum(new_answer) - 1
        all_votes, same_votes = np.bincount(of_input)[of_input], np.bincount(of_answer)[of_answer]
        contradicted = same_votes < all_votes
        if resolve == "majority":
            contradicted &= 2 * same_votes <= all_votes
        leaves[votes["index"][contradicted]] = True
    return leaves
