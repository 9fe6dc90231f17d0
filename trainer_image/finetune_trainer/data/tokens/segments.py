"""Texts -> token ids, where what stands between two control tokens is encoded once and remembered.

A tokenizer cuts a text at its added tokens before it does anything else, so what lies between two of them has the same ids
wherever it stands. A system prompt, which each conversation repeats, need not be encoded each time. That holds for tokenizers
that treat every such part alike; whether this one does is tried at the start and again on the first real texts.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

log = logging.getLogger(__name__)

_KEPT = 4096
"""Parts remembered; more than any set of prompts has, and a few megabytes."""
_SEEN_OFTEN = 4
"""A part that stands so often in one batch is remembered."""
_TOGETHER = 16
"""Parts that are encoded as one text."""
_TRIED_ON_REAL_TEXTS = 512
_PROBES = ("", "a", " a b", "a\n", "\n\n", "Straße, naïve", " \u2581x", "你好", "1234.5", "\t- 'quoted'  ", "🙂")


def any_of(tokens: Sequence[str]) -> str:
    """Pattern of these tokens, the first that fits. What all begin with stands apart, and is looked for ten times as fast."""
    length = 0
    while len({token[: length + 1] for token in tokens}) == 1 and length < min(map(len, tokens)):
        length += 1
    begin = tokens[0][:length]
    return f"{re.escape(begin)}(?:{'|'.join(re.escape(token[len(begin) :]) for token in tokens)})"


class Segments:
    """Encodes batches of texts without the tokenizer's own special tokens around them.

    Args:
        tokenizer: of the model.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._plain_tokenizer = tokenizer
        self._fast = getattr(tokenizer, "backend_tokenizer", None)
        self._ids_of_added: dict[str, list[int]] = {}
        self._known: dict[str, list[int]] = {"": []}
        self._untried = _TRIED_ON_REAL_TEXTS
        self._added = self._border()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, as the tokenizer gives them without special tokens of its own."""
        if self._added is None:
            return self._plainly(texts)
        ids = self._in_parts(texts, self._added)
        if self._untried > 0:
            plainly = self._plainly(texts)
            self._untried -= len(texts)
            if plainly != ids:
                log.info("this tokenizer does not encode parts of a text on their own: every text is encoded whole")
                self._added = None
                return plainly
        return ids

    def _plainly(self, texts: Sequence[str]) -> list[list[int]]:
        if self._fast is not None:
            return [encoding.ids for encoding in self._fast.encode_batch_fast(list(texts), add_special_tokens=False)]
        return list(self._plain_tokenizer(list(texts), add_special_tokens=False)["input_ids"])

    def _in_parts(self, texts: Sequence[str], added: re.Pattern[str]) -> list[list[int]]:
        cut = [added.split(text) for text in texts]  # parts at even places, added tokens between them
        known = self._known
        often = Counter(part for parts in cut for part in parts[::2] if part not in known)
        new = list(often)
        fresh = dict(zip(new, self._apart(new), strict=True)) if new else {}
        for part, times in often.items():
            if times >= _SEEN_OFTEN and len(known) < _KEPT:
                known[part] = fresh[part]
        ids_of = {**known, **fresh, **self._ids_of_added}
        found = []
        for parts in cut:
            ids = [ids_of[part] for part in parts]
            found.append(ids[0] if len(ids) == 1 else list(chain.from_iterable(ids)))
        return found

    def _apart(self, parts: Sequence[str]) -> list[list[int]]:
        """Ids of parts that hold no added token: some of them in one text with such a token between, which costs less."""
        # Of which no other token is made: else the text behind it could make that of it.
        token = next((one for one in self._ids_of_added if sum(one in other for other in self._ids_of_added) == 1), None)
        if token is None:
            return self._plainly(parts)
        (border,) = self._ids_of_added[token]
        found: list[list[int]] = []
        together = [token.join(parts[begin : begin + _TOGETHER]) for begin in range(0, len(parts), _TOGETHER)]
        for ids in self._plainly(together):
            begin = 0
            for _ in range(ids.count(border)):
                end = ids.index(border, begin)
                found.append(ids[begin:end])
                begin = end + 1
            found.append(ids[begin:])
        return found

    def _border(self) -> re.Pattern[str] | None:
        """Matches the added tokens; None if this tokenizer has none, or needs the whole text."""
        if self._fast is None:
            return None
        added = self._fast.get_added_tokens_decoder()
        # A token that is looked for after normalisation is found inside a part as it is inside the whole.
        first = {number: token for number, token in added.items() if not token.normalized}
        if not first or any(token.lstrip or token.rstrip or token.single_word for token in added.values()):
            return None
        self._ids_of_added = {token.content: [number] for number, token in first.items()}
        longest_first = sorted(self._ids_of_added, key=len, reverse=True)
        pattern = re.compile(f"({any_of(longest_first)})")
        between = longest_first[0]
        probes = [f"{one}{between}{other}" for one in _PROBES for other in _PROBES]
        alike = self._in_parts(probes, pattern) == self._plainly(probes)
        self._known = {"": []}
        return pattern if alike else None
