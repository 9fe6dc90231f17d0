"""Which examples resemble what matters: a log-likelihood ratio of counted letter sequences.

The idea is that of DSIR: count hashed n-grams of what matters and of everything, and score an example by the logarithm of how
much likelier its n-grams are in the one than in the other. It needs no model, no network and no GPU, works in any language and
script, and one pass over counts that were kept. Two things differ. The n-grams are letters inside words and not words: a
description has few words, and "Rechnung" must find "Stromrechnungen". And the score becomes a factor on the loss, not a chance
to be drawn: it is taken per n-gram, so that length does not count, and squashed around the middle of the training examples.

All sums are whole numbers, so they are the same in every order of the rows; a factor is rounded to four digits, so that the
last bit of a machine's logarithm does not reach the data.

Source: Xie et al. 2023, Data Selection for Language Models via Importance Resampling (arXiv:2302.03169); McNamee and Mayfield
2004, Character N-Gram Tokenization for European Language Text Retrieval (doi:10.1023/B:INRT.0000009441.78971.be).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune_api.errors import UserError
from finetune_trainer.data.inputs.formats import Example

BUCKETS = 1 << 16
"""Hashed n-grams are counted in so many places; a number of a place fits into two bytes."""
MOST_CHARACTERS = 4096
"""Of an example that are looked at, which bounds what is kept of it: at most 11 KB."""

_DESCRIPTION = "spec.preparation.weighting.relevance.description"
_SIZES = (3, 5)
"""Letters of the n-grams: 3 finds words in words, 5 tells them apart (docs/decisions.md has the numbers)."""
_WORD = re.compile(r"\w+")
_AT_ONCE = 1 << 16
"""Characters: texts are short, and numpy takes as long for one as for a hundred."""
_BLANK = np.uint64(ord(" "))
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF = 0.5
"""Part of the target that is taken for background: what was not seen in a short description is no sign against an example."""
_SMOOTHING = 0.1
_SHRINK = 20
"""N-grams without meaning that are added to each example, so that the score of a very short one stays near 0."""
_ONE = 1 << 16
"""Scores are whole numbers of this part of a nat."""


@dataclass(frozen=True, slots=True)
class WhatMatters:
    """What examples are compared with."""

    counts: NDArray[np.int64]
    """Of hashed n-grams, shape (BUCKETS,)."""
    told: str
    """In words, for the report."""


def text_of(example: Example) -> str:
    """What an example is about: everything but system prompts, which many examples share."""
    if example.text is not None:
        return example.text[:MOST_CHARACTERS]
    return "\n".join(message.content for message in example.messages if message.role != "system")[:MOST_CHARACTERS]


def hashed_ngrams(text: str) -> NDArray[np.uint16]:
    """Places of the n-grams of a text, shape (n-grams,); a word has blanks around it."""
    return hashed_ngrams_of_all([text])[0]


def hashed_ngrams_of_all(texts: Sequence[str]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Places of the n-grams of texts.

    Returns: those of one text after another; and how many each has, shape (texts,).
    """
    places, sizes = [np.zeros(0, np.uint16)], [np.zeros(0, np.int64)]
    begin = characters = 0
    for end, text in enumerate(texts, 1):
        characters += len(text)
        if characters >= _AT_ONCE or end == len(texts):
            found, counts = _hashed(texts[begin:end])
            places.append(found)
            sizes.append(counts)
            begin, characters = end, 0
    return np.concatenate(places), np.concatenate(sizes)


def _hashed(texts: Sequence[str]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    padded = [f" {' '.join(_WORD.findall(text.casefold()))} " for text in texts]
    letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in padded])
    blank = letters == _BLANK
    found, whose = [np.zeros(0, np.uint16)], [np.zeros(0, np.int64)]
    for size in _SIZES:
        count = len(letters) - size + 1
        if count < 1:
            continue
        mixed = np.full(count, size, np.uint64)
        across = np.zeros(count, np.bool_)  # into the next word; so into the next text too, between which stand two blanks
        for offset in range(size):
            mixed = (mixed ^ letters[offset : offset + count]) * _MULTIPLIER
            mixed ^= mixed >> np.uint64(29)
            if 0 < offset < size - 1:
                across |= blank[offset : offset + count]
        found.append((mixed[~across] >> np.uint64(48)).astype(np.uint16))
        whose.append(owners[:count][~across])
    owner = np.concatenate(whose)
    return np.concatenate(found)[np.argsort(owner, kind="stable")], np.bincount(owner, minlength=len(texts))


def counted(ngrams: NDArray[np.uint16]) -> NDArray[np.int64]:
    """How often each place occurs, shape (BUCKETS,)."""
    return np.asarray(np.bincount(ngrams, minlength=BUCKETS), np.int64)


def described(text: str) -> WhatMatters:
    """A description.

    Raises: UserError if it holds no word.
    """
    counts = counted(hashed_ngrams(text))
    if not counts.any():
        raise UserError("the description holds no word that could be looked for", field=_DESCRIPTION)
    return WhatMatters(counts, f"a description of {len(text.split()):,} words")


def log_ratios(target: NDArray[np.int64], background: NDArray[np.int64]) -> NDArray[np.int64]:
    """How much likelier each n-gram is in what matters than in everything, as a logarithm.

    Args:
        target: counts of what matters, shape (BUCKETS,), at least one.
        background: counts of the training examples, shape (BUCKETS,).
    Returns: shape (BUCKETS,), whole 65,536ths of a nat; log 1/2 for what the target does not hold.
    """
    everything = (background + _SMOOTHING) / (background.sum() + _SMOOTHING * BUCKETS)
    ratio = (1 - _HALF) * (target / target.sum()) / everything + _HALF
    return np.asarray(np.rint(np.log(ratio) * _ONE), np.int64)


def scores(ngrams: NDArray[np.uint16], sizes: NDArray[np.int64], ratios: NDArray[np.int64]) -> NDArray[np.int64]:
    """The mean log-ratio of each example's n-grams.

    Args:
        ngrams: of all examples, one after another.
        sizes: n-grams per example, shape (examples,).
        ratios: from `log_ratios`.
    Returns: shape (examples,), whole 65,536ths of a nat.
    """
    sums = np.concatenate(([0], np.cumsum(ratios[ngrams])))
    ends = np.cumsum(sizes)
    return np.asarray(np.rint((sums[ends] - sums[ends - sizes]) / (sizes + _SHRINK)), np.int64)


class Middle:
    """Middle and spread of scores that come in blocks, in any order."""

    def __init__(self) -> None:
        self._lowest = 0  # the score that stands at the beginning of the counts
        self._counts = np.zeros(1, np.int64)

    def add(self, found: NDArray[np.int64]) -> None:
        """Count scores: whole numbers, shape (n,). Memory grows with the distance between the lowest and the highest."""
        if not len(found):
            return
        lowest, highest = min(self._lowest, int(found.min())), max(self._lowest + len(self._counts) - 1, int(found.max()))
        wider = np.bincount(found - lowest, minlength=highest - lowest + 1)
        begin = self._lowest - lowest
        wider[begin : begin + len(self._counts)] += self._counts
        self._lowest, self._counts = lowest, wider

    def spread(self) -> tuple[int, float]:
        """Their median and their standard deviation; (0, 0.0) if there are none."""
        total = int(self._counts.sum())
        if not total:
            return 0, 0.0
        median = self._lowest + int(np.searchsorted(np.cumsum(self._counts), (total + 1) // 2))
        apart = (self._lowest - median) + np.arange(len(self._counts), dtype=np.float64)
        parts = self._counts / total
        mean = float((apart * parts).sum())
        return median, max(0.0, float((apart**2 * parts).sum()) - mean**2) ** 0.5


def squashed(found: NDArray[np.int64], *, median: int, deviation: float, low: float, high: float) -> NDArray[np.float64]:
    """Factors of scores: 1 at the median, high^tanh(z/2) above and low^tanh(-z/2) below, where z is the distance from the
    median in standard deviations; so two deviations go three quarters of the way, and the bounds are never passed.

    Args:
        found: shape (examples,).
        low: from above 0 to 1.
        high: at least 1.
    Returns: shape (examples,), rounded to four digits; 1 for all where all scores are the same.
    """
    if deviation == 0:
        return np.ones(len(found))
    way = np.tanh((found - median) / (2 * deviation))
    factors: NDArray[np.float64] = np.round(np.where(way >= 0, high, 1 / low) ** way, 4)
    return factors
