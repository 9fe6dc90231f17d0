"""Two versions of a dataset: every row is unchanged, changed, added or removed, whatever the order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.data.compare import KEYED, RowChanges, compare_rows, moved_between


def rows(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(list(pairs), dtype=KEYED)


def test_a_key_with_another_content_is_a_change_and_a_new_key_is_added() -> None:
    old = rows((1, 10), (2, 20), (3, 30))
    new = rows((3, 30), (1, 11), (4, 40), (5, 50))

    assert compare_rows(old, new) == RowChanges(unchanged=1, changed=1, added=2, removed=1)


def test_a_key_may_stand_several_times() -> None:
    old = rows((1, 10), (1, 10), (1, 11))
    new = rows((1, 10), (1, 12), (1, 13), (1, 14))

    # one 10 stays; of the two others of the old version each became another one; one is more than there was
    assert compare_rows(old, new) == RowChanges(unchanged=1, changed=2, added=1, removed=0)


def test_an_empty_version_is_all_added_or_all_removed() -> None:
    some = rows((1, 1), (2, 2))

    assert compare_rows(rows(), some) == RowChanges(0, 0, 2, 0)
    assert compare_rows(some, rows()) == RowChanges(0, 0, 0, 2)


VERSIONS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30)


@given(VERSIONS, VERSIONS, st.randoms(use_true_random=False))
def test_every_row_is_counted_once_and_order_says_nothing(
    old: list[tuple[int, int]], new: list[tuple[int, int]], any_: object
) -> None:
    found = compare_rows(rows(*old), rows(*new))

    assert found.unchanged + found.changed + found.removed == len(old)
    assert found.unchanged + found.changed + found.added == len(new)
    assert found == compare_rows(rows(*reversed(old)), rows(*sorted(new)))
    assert compare_rows(rows(*old), rows(*old)) == RowChanges(len(old), 0, 0, 0)


def test_examples_that_changed_sides_are_told() -> None:
    old = {"train": np.array([1, 2, 3], np.uint64), "test": np.array([4, 5], np.uint64)}
    new = {"train": np.array([1, 4, 5], np.uint64), "test": np.array([3, 9], np.uint64)}

    assert moved_between(old, new) == {("train", "test"): 1, ("test", "train"): 2}
