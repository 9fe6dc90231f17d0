"""Copies, splits and lengths: what is kept and where it goes depends on the examples and on nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from finetune_api.errors import DataError
from finetune_api.v1alpha1.preparation import Preparation
from finetune_trainer.data.records import TEST, TRAIN, VALIDATION, Records
from finetune_trainer.data.selection.deduplicate import find_copies
from finetune_trainer.data.selection.dropped import DropCounter
from finetune_trainer.data.selection.select import choose_max_length, select
from finetune_trainer.data.selection.shingles import Shingler
from finetune_trainer.data.selection.split import group_number, prompt_group, thresholds
from finetune_trainer.data.store import EXAMPLE, FINGERPRINT, ROW
from finetune_trainer.data.tokens.encode import content_fingerprint


def records(count: int, **columns: Any) -> NDArray[np.void]:
    examples = np.zeros(count, EXAMPLE)
    defaults = {"length": 10, "prompt": 4, "supervised": 6, "weight": 1.0, "label": -1}
    defaults |= {"group": np.array([group_number(str(i), seed=17) for i in range(count)], np.uint64)}
    for name, value in {**defaults, **columns}.items():
        examples[name] = value
    return examples


def prints(texts: list[str]) -> NDArray[np.void]:
    return np.array([content_fingerprint([text]) for text in texts], FINGERPRINT)


def chosen(
    examples: NDArray[np.void],
    folder: Path,
    texts: list[str] | None = None,
    *,
    roles: tuple[str, ...] = ("train",),
    max_length: int = 100,
    shares: tuple[float, float] = (0.0, 0.0),
    **preparation: Any,
) -> tuple[NDArray[np.uint8], DropCounter]:
    """What `select` makes of examples that are a row each."""
    names = [f"data-{i + 1}" for i in range(len(roles))]
    counter = DropCounter(names)
    said = {"overlong": "drop", "split": {"validation": shares[0], "test": shares[1]}, **preparation}
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.zeros(len(examples), ROW)
    rows["examples"], rows["dataset"], rows["asked"] = 1, examples["dataset"], examples["group"]
    fingerprints = prints(texts or [str(i) for i in range(len(examples))])
    found = select(
        Records(examples, fingerprints, rows, np.zeros(0, np.uint32)),
        roles=roles,
        names=names,
        max_length=max_length,
        settings=Preparation.model_validate(said),
        folder=folder,
        drop=counter,
    )
    return np.array(found.destination), counter


# ---------------------------------------------------------------- the split


def test_a_group_is_never_on_two_sides_and_the_shares_are_kept(tmp_path: Path) -> None:
    groups = np.array([group_number(f"customer {i % 200}", seed=17) for i in range(2000)], np.uint64)
    where, _ = chosen(records(2000, group=groups), tmp_path, shares=(0.1, 0.2))
    for group in np.unique(groups):
        assert len(set(where[groups == group])) == 1
    assert np.mean(where == TEST) == pytest.approx(0.2, abs=0.01)
    assert np.mean(where == VALIDATION) == pytest.approx(0.1, abs=0.01)


def test_the_split_does_not_depend_on_the_order_of_the_examples(tmp_path: Path) -> None:
    examples, texts = records(300), [str(i) for i in range(300)]
    shuffled = np.random.default_rng(0).permutation(300)
    one, _ = chosen(examples, tmp_path / "a", texts, shares=(0.1, 0.1))
    two, _ = chosen(examples[shuffled], tmp_path / "b", [texts[i] for i in shuffled], shares=(0.1, 0.1))
    assert (one[shuffled] == two).all()


def test_the_split_of_these_groups_is_this_one_on_every_machine() -> None:
    assert [group_number(f"customer {i}", seed=17) for i in range(3)] == [
        8660173390004406102,
        1216403755382662851,
        6976933504529765174,
    ]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=3, max_size=40),
    shares=st.tuples(st.sampled_from([0.0, 0.05, 0.3]), st.sampled_from([0.0, 0.1, 0.4])),
    seed=st.integers(0, 5),
)
def test_a_share_above_zero_takes_at_least_one_group_and_is_as_near_as_whole_groups_allow(
    sizes: list[int], shares: tuple[float, float], seed: int
) -> None:
    numbers = np.repeat(np.array([group_number(str(i), seed=seed) for i in range(len(sizes))], np.uint64), sizes)
    blocks = np.array_split(numbers, 3)
    bounds = thresholds(lambda: iter(blocks), shares)
    below = [int((numbers < np.uint64(bound)).sum()) for bound in bounds]
    for part, (taken, before, share) in enumerate(zip(below, [0, *below], shares, strict=False)):
        assert (taken > before) == (share > 0), part
        if share > 0:
            wanted = sum(shares[: part + 1]) * len(numbers)
            assert abs(taken - wanted) <= max(sizes) or taken - before <= max(sizes)


def test_questions_that_differ_in_case_and_blanks_are_one_group() -> None:
    assert prompt_group("How  do I\nRESET it?") == prompt_group("how do i reset it?")


# ---------------------------------------------------------------- copies


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40))
def test_of_equal_examples_the_first_stays(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    where, _ = chosen(records(len(texts), group=1, line=np.arange(len(texts))), tmp_path_factory.mktemp("parts"), texts)
    assert [text for text, there in zip(texts, where, strict=True) if there] == list(dict.fromkeys(texts))


@pytest.mark.parametrize("count", [1, 1_000_000])
def test_copies_are_found_in_however_many_parts_they_are_looked_for(count: int, tmp_path: Path) -> None:
    dtype = [*FINGERPRINT.descr, ("index", "<i8"), ("protected", "u1")]
    found = np.zeros(600, dtype)
    for index, one in enumerate(prints([str(index % 200) for index in range(600)])):
        found[index] = (*one, index, index < 400)
    kept = np.full(600, -1, np.int64)
    find_copies(iter(np.array_split(found, 7)), ("protected",), count, kept, folder=tmp_path)
    assert kept.tolist() == [400 + index % 200 for index in range(400)] + [-1] * 200
    assert not list(tmp_path.iterdir())


def test_a_training_example_that_stands_in_the_test_data_is_left_out(tmp_path: Path) -> None:
    examples = records(5, dataset=np.array([0, 0, 0, 1, 1]))
    where, counter = chosen(examples, tmp_path, ["a", "b", "a", "b", "c"], roles=("train", "test"))
    assert where.tolist() == [TRAIN, 0, 0, TEST, TEST]
    assert counter.counts == {("data-1", "duplicate"): 1, ("data-1", "stands_in_held_out_data"): 1}


def test_the_same_text_with_another_label_is_no_copy() -> None:
    assert content_fingerprint(["text", "1"]) != content_fingerprint(["text", "2"])
    assert content_fingerprint(["ab", "c"]) != content_fingerprint(["a", "bc"])


def test_all_examples_of_a_row_leave_with_it_and_a_row_is_no_copy_of_itself(tmp_path: Path) -> None:
    """Three rows of two examples each: a conversation of which the template makes one example per answer."""
    text = " ".join(f"word{number}" for number in range(50))
    pairs = [(text, ""), ("something else altogether, of which nothing stands elsewhere", ""), (text.upper() + "!", "")]
    shingles, counts = Shingler()(pairs)
    rows = np.zeros(3, ROW)
    rows["examples"], rows["asked"], rows["shingles"] = 2, [1, 2, 3], counts
    counter = DropCounter(["tickets"])
    found = select(
        Records(records(6, group=np.repeat([1, 2, 3], 2)), prints(list("abcdef")), rows, shingles),
        roles=("train",),
        names=("tickets",),
        max_length=100,
        settings=Preparation.model_validate(
            {"deduplicate": "near", "nearSimilarity": 0.75, "split": {"validation": 0, "test": 0}}
        ),
        folder=tmp_path,
        drop=counter,
    )
    assert found.destination.reshape(3, 2).tolist() in ([[0, 0], [1, 1], [1, 1]], [[1, 1], [1, 1], [0, 0]])
    assert counter.counts == {("tickets", "near_duplicate"): 2}


# ---------------------------------------------------------------- lengths and weights


def test_the_longest_length_is_the_99th_percentile_of_the_training_data_capped_by_the_model() -> None:
    examples = records(1000, length=np.arange(1, 1001), dataset=np.repeat([0, 1], 500))
    training = np.array([True, False])
    assert choose_max_length(examples, training, said="auto", model=4096) == 495
    assert choose_max_length(examples, training, said="auto", model=300) == 300
    assert choose_max_length(examples, training, said=77, model=4096) == 77


def test_too_many_long_examples_end_the_run_unless_the_manifest_says_otherwise(tmp_path: Path) -> None:
    examples = records(100, length=np.where(np.arange(100) < 6, 101, 10))
    with pytest.raises(DataError, match=r"6 of 100 examples \(6%\).*the longest has 101") as caught:
        chosen(examples, tmp_path / "a", overlong="fail")
    assert caught.value.field == "spec.preparation.overlong"
    where, counter = chosen(examples, tmp_path / "b", overlong="drop")
    assert (where == 0).sum() == counter.counts["data-1", "too_long"] == 6
    where, _ = chosen(examples, tmp_path / "c", overlong="truncate")
    assert (where == TRAIN).all()


def test_a_few_long_examples_are_left_out_and_counted(tmp_path: Path) -> None:
    where, counter = chosen(records(100, length=np.where(np.arange(100) < 5, 101, 10)), tmp_path, overlong="fail")
    assert (where == 0).sum() == counter.counts["data-1", "too_long"] == 5


def test_examples_that_can_teach_nothing_are_left_out_with_their_reason(tmp_path: Path) -> None:
    examples = records(4, supervised=np.array([6, 0, 6, 6]), weight=np.array([1, 1, 0, 1]), prompt=np.array([4, 4, 4, 100]))
    where, counter = chosen(examples, tmp_path, overlong="truncate")
    assert where.tolist() == [TRAIN, 0, 0, 0]
    assert counter.counts == {("data-1", "nothing_supervised"): 2, ("data-1", "weight_zero"): 1}


def test_nothing_left_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training example is left"):
        chosen(records(3, weight=0.0), tmp_path)
