"""Numbers of groups: the same for the same group, and without the key nobody's name."""

from __future__ import annotations

import numpy as np
import pytest

from finetune_trainer.data.selection import split
from finetune_trainer.data.selection.split import _scheduled, group_number, hidden, opened


def test_numbers_that_are_kept_are_those_of_no_customer_whom_somebody_can_guess() -> None:
    names = [f"c{number}@firma.example" for number in (3, 1, 2, 3, 1)]
    groups = np.array([group_number(name, seed=17) for name in names], np.uint64)

    kept, others = (hidden(groups, key) for key in (b"a key of sixteen characters", b"another key of as many"))

    assert kept.dtype == groups.dtype
    assert [kept.tolist().index(number) for number in kept.tolist()] == [0, 1, 2, 0, 1], "groups are the same as before"
    assert not set(kept.tolist()) & set(groups.tolist())
    assert not set(kept.tolist()) & set(others.tolist())
    assert hidden(groups[2:], b"a key of sixteen characters").tolist() == kept[2:].tolist(), "whatever stands beside it"
    assert not len(hidden(groups[:0], b"a key"))


def test_with_the_key_the_numbers_that_decide_the_split_come_back() -> None:
    groups = np.random.default_rng(17).integers(0, 2**64, 1000, dtype=np.uint64)

    assert opened(hidden(groups, b"a key"), b"a key").tolist() == groups.tolist()
    assert not set(opened(hidden(groups, b"a key"), b"another key").tolist()) & set(groups.tolist())


def test_the_cipher_is_the_one_that_was_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speck64/128's own test vector (Beaulieu et al. 2013, appendix C)."""
    first, *others = (np.uint32(word) for word in (0x03020100, 0x0B0A0908, 0x13121110, 0x1B1A1918))
    keys = _scheduled(first, others)
    monkeypatch.setattr(split, "_round_keys", lambda key: keys)

    assert [hex(number) for number in hidden(np.array([0x3B7265747475432D], np.uint64), b"").tolist()] == ["0x8c6fa548454e028b"]
