"""How well an example is made: five signs in its text, each from 0 (fault) to 1 (none), multiplied.

A corpus of answers holds some that were cut off, that repeat themselves, that are mostly symbols, that say the question again
or dismiss a long question in two words. None of this makes an example wrong by itself (then a rule should leave it out), but
where many are alike the better ones should count more. The signs are cheap and know no language; they say nothing about whether
an answer is true. For that there is a score that the rows bring along.

Source: the signs for repetition and symbols follow the heuristics of Rae et al. 2021 (Gopher, arXiv:2112.11446, appendix A1),
as slopes instead of thresholds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from finetune_api.v1alpha1.weighting import Quality
from finetune_trainer.data.inputs.formats import Example, lookup
from finetune_trainer.data.weighting.weights import number_of

_GRAM = 3
_ENOUGH_WORDS = 12
"""Shorter texts are not judged by repetition, echo or their end: a label, a number or a name is a good answer."""
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_WORD = re.compile(r"\w+")
_LONGEST = 1 << 16
"""Characters of a text that are looked at."""
_ANSWER_PER_QUESTION = 0.1
_SIGN = re.compile(r"[^\w\s]|_")
"""Neither letter, digit nor blank: few characters of a text, the only ones that are looked at one by one."""
_PLAIN = frozenset(".,;:!?'\"()-–—…/%&+€$£@#*„“”‚‘’«»¿¡、。，！？：；「」（）")


class QualityFactor:
    """A factor for each example.

    Args:
        settings: of the manifest.
    """

    def __init__(self, settings: Quality) -> None:
        self._settings = settings

    def __call__(self, row: Mapping[str, Any], example: Example) -> float:
        """From `min` to `max`; 1 where the row lacks the score that was asked for.

        Args:
            row: as it was read, for its score.
            example: what became of it, for its text.
        Raises: UnusableRow if the score is no number.
        """
        said = self._settings
        if said.field is None:
            return said.min + (said.max - said.min) * quality(example)
        assert said.worst is not None
        assert said.best is not None
        score = number_of(lookup(row, said.field), said.field, wanted_by="preparation.weighting.quality")
        if score is None:
            return 1.0
        part = min(1.0, max(0.0, (score - said.worst) / (said.best - said.worst)))
        return said.min + (said.max - said.min) * part


def quality(example: Example) -> float:
    """The product of all signs, from 0 to 1: of every answer that is learned, the worst one counting; of a text without turns
    those of repetition and symbols alone, since a chunk may begin and end anywhere and asks nobody."""
    if example.text is not None:
        text = example.text[:_LONGEST]
        return unrepeated(text) * readable(text)
    asked: list[str] = []
    worst = 1.0
    for message in example.messages:
        text = message.content[:_LONGEST]
        if message.role == "user":
            asked = _words(text)
        elif message.role == "assistant" and message.trained:
            words = _words(text)
            signs = _unrepeated(words) * readable(text) * _finished(text, words) * _original(words, asked)
            worst = min(worst, signs * _answered(words, asked))
    return worst


def unrepeated(text: str) -> float:
    """1 until a fifth of the three-word runs are repeats, 0 from seven tenths on."""
    return _unrepeated(_words(text))


def _unrepeated(words: Sequence[str]) -> float:
    if len(words) < _ENOUGH_WORDS:
        return 1.0
    runs = _runs(words)
    return _falling(1 - len(set(runs)) / len(runs), 0.2, 0.7)


def readable(text: str) -> float:
    """1 until a tenth of the characters are neither letter, digit, mark, blank nor common punctuation, 0 from four tenths on.
    Code between fences is not looked at."""
    prose = _FENCED.sub("", text)
    shown = sum(map(len, prose.split()))
    if not shown:
        return 1.0
    odd = sum(c not in _PLAIN and unicodedata.category(c)[0] != "M" for c in _SIGN.findall(prose))
    return _falling(odd / shown, 0.1, 0.4)


def finished(text: str) -> float:
    """0.5 for a text of some length that breaks off with a comma, a hyphen or an open code fence, 0.75 if its last line has
    more than eight words and ends with a letter or digit, 1 otherwise: a short last line may be a signature or an item."""
    return _finished(text, _words(text))


def _finished(text: str, words: Sequence[str]) -> float:
    last = text.rstrip().rpartition("\n")[2]
    if len(words) < _ENOUGH_WORDS or not last:
        return 1.0
    if last[-1] in ",-–(" or text.count("```") % 2:
        return 0.5
    return 0.75 if last[-1].isalnum() and len(_words(last)) > 8 else 1.0


def original(answer: str, question: str) -> float:
    """1 until half of the answer's three-word runs stand in the question, 0 where all of them do."""
    return _original(_words(answer), _words(question))


def _original(words: Sequence[str], asked: Sequence[str]) -> float:
    if len(words) < _ENOUGH_WORDS:
        return 1.0
    runs = _runs(words)
    known = set(_runs(asked))
    return _falling(sum(run in known for run in runs) / len(runs), 0.5, 1.0)


def answered(answer: str, question: str) -> float:
    """1 if the answer has a tenth of the words of the question or twelve; below, from 0.5 on a line: a short answer to a long
    question is often right, but teaches less."""
    return _answered(_words(answer), _words(question))


def _answered(words: Sequence[str], asked: Sequence[str]) -> float:
    enough = min(float(_ENOUGH_WORDS), _ANSWER_PER_QUESTION * len(asked))
    return 1.0 if len(words) >= enough else 0.5 + 0.5 * len(words) / enough


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(_GRAM)), strict=False))


def _falling(value: float, good: float, bad: float) -> float:
    return min(1.0, max(0.0, (bad - value) / (bad - good)))
