"""By what texts are compared: the pairs of neighbouring words in what is asked, and in what is answered.

Copies that were edited (another number, a word, capitals, a comma) share nearly all pairs; texts about other things share few,
however alike their single words are. Pairs and not the usual five words in a row, because examples for fine-tuning are short: a
changed word costs two pairs, but five of five. A pair is a 31-bit hash, and one bit tells questions from answers, so that
one sorted list holds both. What the system prompt says is left out: it is the same for all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.inputs.formats import Example

ANSWERED = np.uint32(1 << 31)
"""Set in the hashes of what is answered."""

_NO_BLANKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts that write no blanks between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese): each character is a word."""
_WORD = re.compile(rf"[{_NO_BLANKS}]|[^\W_{_NO_BLANKS}]+")
_IN_A_NUMBER = re.compile(r"(?<=\d)[.,:/-](?=\d)")
"""A date, an amount, a time is one word, however it is punctuated: so another one is one other word."""
_KNOWN_WORDS = 1 << 16
_MULTIPLIERS = tuple(np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def words(text: str) -> list[str]:
    """The words of a text, whatever its case, punctuation and white space; numbers are words."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(_IN_A_NUMBER.sub("", text.casefold()))


def asked_and_answered(example: Example) -> tuple[str, str]:
    """The two sides of an example. Running text, and a text to classify, is all asked."""
    if example.text is not None:
        return example.text, ""
    asked, answered = (
        "\n".join(message.content for message in example.messages if message.role == role) for role in ("user", "assistant")
    )
    return asked, answered


class Shingler:
    """Turns texts into sets of pairs. The same text gives the same set in every process on every machine."""

    def __init__(self) -> None:
        self._hashes = _Hashes()

    def __call__(self, sides: Sequence[tuple[str, str]]) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
        """The pairs of a batch of examples.

        Args:
            sides: per example what is asked and what is answered.
        Returns: the pairs of one example after another, each set ascending without repetition, uint32; and how many each has,
            shape (examples,). A side of one word is that word; one of none (signs alone) is its text; a blank one is nothing.
        """
        lists = [words(text) or [text.strip()] * bool(text.strip()) for pair in sides for text in pair]
        sizes = np.array([len(found) for found in lists], np.int64)
        if len(self._hashes) > _KNOWN_WORDS:
            self._hashes.clear()
        hashes = np.fromiter(map(self._hashes.__getitem__, chain.from_iterable(lists)), np.uint64, int(sizes.sum()))
        side = np.repeat(np.arange(len(lists)), sizes)
        begins_pair = np.zeros(len(side), bool)
        begins_pair[:-1] = side[1:] == side[:-1]
        following = np.zeros(len(side), np.uint64)
        following[:-1][begins_pair[:-1]] = hashes[1:][begins_pair[:-1]]
        counts_for = begins_pair | (sizes[side] == 1)
        pairs = mixed(hashes * _MULTIPLIERS[0] + following)[counts_for]
        side = side[counts_for]
        values = (pairs >> np.uint64(33)) | np.where(side % 2 == 1, np.uint64(ANSWERED), np.uint64(0))
        keys = (side // 2).astype(np.uint64) << np.uint64(32) | values
        keys.sort()
        keys = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]  # np.unique takes a hundred times as long
        counts = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(sides))
        return keys.astype(np.uint32), counts.astype(np.int32)


class _Hashes(dict[str, int]):
    """64 bits of BLAKE2b of words, remembered: most words of a text are old acquaintances."""

    def __missing__(self, word: str) -> int:
        digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return self.setdefault(word, int.from_bytes(digest, "little"))


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the result depends on every bit of the number (Steele et al. 2014, SplitMix)."""
    values = (values ^ (values >> np.uint64(30))) * _MULTIPLIERS[1]
    values = (values ^ (values >> np.uint64(27))) * _MULTIPLIERS[2]
    return values ^ (values >> np.uint64(31))
