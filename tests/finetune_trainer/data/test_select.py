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
from finetune_trainer.data.deduplicate import FINGERPRINT, content_fingerprint, mark_duplicates
from finetune_trainer.data.select import TEST, TRAIN, VALIDATION, DropCounter, choose_max_length, select
from finetune_trainer.data.split import group_number, prompt_group, thresholds
from finetune_trainer.data.store import EXAMPLE


def records(count: int, **columns: Any) -> NDArray[np.void]:
    examples = np.zeros(count, EXAMPLE)
    defaults = {"length": 10, "prompt": 4, "supervised": 6, "weight": 1.0, "label": -1}
    defaults |= {"group": np.array([group_number(str(i), seed=17) for i in range(count)], np.uint64)}
    for name, value in {**defaults, **columns}.items():
        examples[name] = value
    return examples


def prints(texts: list[str]) -> NDArray[np.void]:
    found = np.zeros(len(texts), FINGERPRINT)
    for index, text in enumerate(texts):
        found[index] = (*content_fingerprint([text]), 0, 0)
    return found


def chosen(
    examples: NDArray[np.void], folder: Path, texts: list[str] | None = None, **settings: Any
) -> tuple[Any, DropCounter]:
    roles = settings.pop("roles", ["train"])
    counter = DropCounter([f"data-{i + 1}" for i in range(len(roles))])
    options = {"max_length": 100, "overlong": "drop", "deduplicate": True, "shares": (0.0, 0.0), "suites": []}
    folder.mkdir(parents=True, exist_ok=True)
    found = select(
        examples,
        prints(texts or [str(i) for i in range(len(examples))]),
        roles=roles,
        folder=folder,
        drop=counter,
        **{**options, **settings},
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
@given(texts=st.lists(st.sampled_from("abcdefgh"), max_size=40))
def test_of_equal_examples_the_first_stays(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    marks = np.zeros(len(texts), np.uint8)
    found = prints(texts)
    found["index"] = np.arange(len(texts))
    mark_duplicates(iter([found]), 1_000_000, marks, folder=tmp_path_factory.mktemp("parts"))
    assert [text for text, mark in zip(texts, marks, strict=True) if not mark] == list(dict.fromkeys(texts))


def test_a_training_example_that_stands_in_the_test_data_is_left_out(tmp_path: Path) -> None:
    examples = records(5, dataset=np.array([0, 0, 0, 1, 1]))
    where, counter = chosen(examples, tmp_path, ["a", "b", "a", "b", "c"], roles=["train", "test"])
    assert where.tolist() == [TRAIN, 0, 0, TEST, TEST]
    assert counter.counts == {("data-1", "duplicate"): 1, ("data-1", "stands_in_held_out_data"): 1}


def test_the_same_text_with_another_label_is_no_copy() -> None:
    assert content_fingerprint(["text", "1"]) != content_fingerprint(["text", "2"])
    assert content_fingerprint(["ab", "c"]) != content_fingerprint(["a", "bc"])


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
