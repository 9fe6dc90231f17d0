"""Likeness to what matters: counted letter sequences, scores that can be checked by hand, the way from scores to factors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_trainer.data.inputs.formats import Example, Message
from finetune_trainer.data.weighting.relevance import (
    BUCKETS,
    MOST_CHARACTERS,
    Middle,
    counted,
    hashed_ngrams,
    hashed_ngrams_of_all,
    log_ratios,
    scores,
    squashed,
    text_of,
)

NAT = 1 << 16


def test_ngrams_are_three_and_five_letters_of_a_word_with_its_borders() -> None:
    assert len(hashed_ngrams("cat")) == 3 + 1  # _ca cat at_, and _cat_
    assert len(hashed_ngrams("a")) == 1
    assert len(hashed_ngrams("")) == len(hashed_ngrams("?!")) == 0


def test_case_punctuation_and_white_space_make_no_difference() -> None:
    assert hashed_ngrams("Die  RECHNUNG, bitte!").tolist() == hashed_ngrams("die rechnung\nbitte").tolist()


def test_a_word_in_a_word_is_found() -> None:
    inside = set(hashed_ngrams("Stromrechnungen").tolist())
    assert len(set(hashed_ngrams("Rechnung").tolist()) & inside) >= 8  # rec ech chn hnu nun ung, echnu chnun hnung rechn


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_ngrams_within_the_places(text: str) -> None:
    found = hashed_ngrams(text)
    assert counted(found).sum() == len(found)


def test_system_prompts_and_what_comes_after_a_few_thousand_characters_are_not_looked_at() -> None:
    turns = (Message("system", "You help."), Message("user", "a"), Message("assistant", "b" * 9999))
    assert text_of(Example(messages=turns)) == ("a\n" + "b" * 9999)[:MOST_CHARACTERS]


def test_a_score_is_the_mean_logarithm_of_how_much_likelier_the_ngrams_are() -> None:
    background = np.zeros(BUCKETS, np.int64)
    background[[0, 1]] = 10**9  # so many that smoothing does not count
    target = np.zeros(BUCKETS, np.int64)
    target[0] = 7
    ratios = log_ratios(target, background)
    # Place 0: 1/2 * 1 / (1/2) + 1/2 = 1.5 times as likely; place 1 stands in the background alone.
    assert ratios[0] == pytest.approx(math.log(1.5) * NAT, abs=3)
    assert ratios[1] == round(math.log(0.5) * NAT)

    found = scores(np.array([0, 0, 0, 1], np.uint16), np.array([3, 0, 1]), ratios)

    assert found[0] == pytest.approx(3 * math.log(1.5) / (3 + 20) * NAT, abs=2)
    assert found[1] == 0
    assert found[2] == pytest.approx(math.log(0.5) / 21 * NAT, abs=2)


def spread_of(values: list[int], *, pieces: int = 1) -> tuple[int, float]:
    middle = Middle()
    for piece in np.array_split(np.array(values, np.int64), pieces):
        middle.add(piece)
    return middle.spread()


def test_median_and_deviation_are_those_of_all_scores() -> None:
    assert spread_of([]) == (0, 0.0)
    assert spread_of([5, 5, 5]) == (5, 0.0)
    median, deviation = spread_of([-3, 1, 2, 10, 40])
    assert median == 2
    assert deviation == pytest.approx(np.std([-3, 1, 2, 10, 40]))


@settings(deadline=None)
@given(st.lists(st.integers(-(10**4), 10**5), min_size=1, max_size=40), st.integers(1, 5), st.randoms(use_true_random=False))
def test_neither_order_nor_blocks_change_the_spread(values: list[int], pieces: int, chance: object) -> None:
    shuffled = list(values)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert spread_of(values) == spread_of(shuffled, pieces=pieces)
    assert spread_of(values)[0] == sorted(values)[(len(values) - 1) // 2]


def test_factors_are_one_in_the_middle_and_stay_within_their_bounds() -> None:
    found = squashed(np.array([-(10**6), -20, 0, 20, 10**6]), median=0, deviation=10.0, low=0.25, high=4.0)
    near = 4 ** math.tanh(1)
    assert found.tolist() == [0.25, round(1 / near, 4), 1.0, round(near, 4), 4.0]


def test_where_all_are_alike_nothing_is_weighed() -> None:
    assert squashed(np.array([7, 7]), median=7, deviation=0.0, low=0.1, high=9.0).tolist() == [1.0, 1.0]


def test_many_texts_at_once_have_the_ngrams_that_each_has_alone() -> None:
    texts = ["Die Rechnung, bitte!", "", "a", "?!", "naïve \ud800 日本語", "x" * 70_000, "cat", "  two  words "]
    together, sizes = hashed_ngrams_of_all(texts)
    alone = [hashed_ngrams(text).tolist() for text in texts]
    assert sizes.tolist() == [len(found) for found in alone]
    assert together.tolist() == [ngram for found in alone for ngram in found]
