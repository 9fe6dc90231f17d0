"""When a spool commits, and that what it said before stands until the next word is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from finetune_trainer.data.spool import Spool, committed
from finetune_trainer.data.store import EXAMPLE, ROW
from finetune_trainer.data.tokens.encode import Block
from finetune_trainer.data.weighting.factors import FACTORS, FactorBlock


def write(spool: Spool, tokens: int) -> None:
    """One example of so many tokens."""
    examples = np.zeros(1, EXAMPLE)
    examples["length"] = tokens
    block = Block(np.arange(tokens, dtype=np.uint32), np.ones(tokens, np.uint8), examples, [(1, 2)])
    spool.write(block, np.zeros(1, ROW), np.zeros(0, np.uint32), FactorBlock(np.zeros(1, FACTORS), np.zeros(0, np.uint16)))


def tokens_committed(folder: Path) -> int:
    found = committed([folder], "this")
    assert found is not None
    return found[1]["tokens.bin"] // 4


def test_commits_take_a_fiftieth_of_the_time_whatever_one_takes(tmp_path: Path) -> None:
    times: Iterator[float] = iter([100, 100, 102, 201.9, 202, 203, 252.9, 253, 253, 253.1, 254])
    spool = Spool(tmp_path / "spool", lambda: next(times))

    def after_a_batch(*, now: bool = False) -> int:
        write(spool, 10)
        spool.commit("this", dict, now=now)
        return tokens_committed(tmp_path / "spool")

    assert after_a_batch() == 10, "nothing is known yet of how long one takes; it takes 2 s"
    assert after_a_batch() == 10, "99.9 s later"
    assert after_a_batch() == 30, "100 s later; it takes 1 s"
    assert after_a_batch() == 30, "49.9 s later"
    assert after_a_batch() == 50, "50 s later; it takes no time"
    assert after_a_batch(now=True) == 60, "whatever the time is"
    assert next(times, None) is None


def test_what_is_committed_is_on_the_disk_while_the_spool_is_still_open(tmp_path: Path) -> None:
    """A kill closes nothing: what a buffer held then would be missing."""
    spool = Spool(tmp_path / "spool", lambda: 0.0)
    write(spool, 10)
    spool.commit("this", lambda: {"counted": 1}, now=True)
    found = committed([tmp_path / "spool"], "this")
    assert found is not None
    folder, lengths, state = found
    assert state == {"counted": 1}
    assert lengths == {path.name: path.stat().st_size for path in folder.glob("*.bin")}
    assert lengths["tokens.bin"] == 40


def test_a_commit_takes_the_place_of_the_one_before_as_a_whole(tmp_path: Path) -> None:
    """Who has the older one open goes on reading it: nothing is written over it, so no kill leaves half a word."""
    spool = Spool(tmp_path / "spool", lambda: 0.0)
    spool.commit("this", lambda: "first", now=True)
    with (tmp_path / "spool/commit.json").open() as older:
        spool.commit("this", lambda: "second", now=True)
        assert json.loads(older.read())["state"] == "first"
    assert json.loads((tmp_path / "spool/commit.json").read_text())["state"] == "second"
    assert not [path.name for path in (tmp_path / "spool").iterdir() if path.name.endswith(".writing")]


def test_a_spool_that_cannot_be_copied_whole_leaves_an_empty_one(tmp_path: Path) -> None:
    earlier, later = Spool(tmp_path / "earlier", lambda: 0.0), Spool(tmp_path / "later", lambda: 0.0)
    write(earlier, 10)
    earlier.commit("this", dict, now=True)
    found = committed([tmp_path / "earlier"], "this")
    assert found is not None
    folder, lengths, _ = found

    assert not later.go_on_from(folder, {**lengths, "ngrams.bin": 2})

    assert later.position == 0
    write(later, 7)
    later.close()
    assert len(later.documents()) == 1
    assert later.documents().ids(0).tolist() == list(range(7))


@pytest.mark.parametrize("unfinished", [b"more than counts", b""])
def test_examples_that_come_after_are_counted_from_what_was_committed(tmp_path: Path, unfinished: bytes) -> None:
    earlier, later = Spool(tmp_path / "earlier", lambda: 0.0), Spool(tmp_path / "later", lambda: 0.0)
    write(earlier, 10)
    earlier.commit("this", dict, now=True)
    for path in (tmp_path / "earlier").glob("*.bin"):
        with path.open("ab") as file:
            file.write(unfinished)
    found = committed([tmp_path / "earlier"], "this")
    assert found is not None
    assert later.go_on_from(*found[:2])
    assert later.position == 10

    write(later, 7)
    later.close()

    documents = later.documents()
    assert [documents.ids(number).tolist() for number in range(2)] == [list(range(10)), list(range(7))]
