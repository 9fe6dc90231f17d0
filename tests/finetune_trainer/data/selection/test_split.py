"""Numbers of groups: the same for the same group, and without the key nobody's name."""

from __future__ import annotations

import numpy as np

from finetune_trainer.data.selection.split import group_number, without_names


def test_numbers_that_are_kept_are_those_of_no_customer_whom_somebody_can_guess() -> None:
    names = [f"c{number}@firma.example" for number in (3, 1, 2, 3, 1)]
    groups = np.array([group_number(name, seed=17) for name in names], np.uint64)

    kept, others = (without_names(groups, key) for key in (b"a key of sixteen characters", b"another key of as many"))

    assert kept.dtype == groups.dtype
    assert [kept.tolist().index(number) for number in kept.tolist()] == [0, 1, 2, 0, 1], "groups are the same as before"
    assert not set(kept.tolist()) & set(groups.tolist())
    assert not set(kept.tolist()) & set(others.tolist())
    assert without_names(groups[2:], b"a key of sixteen characters").tolist() == kept[2:].tolist(), "whatever stands beside it"
    assert not len(without_names(groups[:0], b"a key"))
