"""Documents -> token ids with a mask of what has loss, a batch at a time.

Prompt and answer are encoded apart, as at inference: so no token merges across the border and the mask is exact. Whole
batches go to the Rust tokenizer at once, which costs a quarter of one call per example.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.store import EXAMPLE
from finetune_trainer.data.tokens.segments import Segments
from finetune_trainer.data.tokens.template import Document


@dataclass(frozen=True, slots=True)
class Draft:
    """One document before it has tokens, with what its record will hold."""

    document: Document
    label: str | None
    weight: float
    dataset: int
    file: int
    line: int
    group: int


@dataclass(frozen=True, slots=True)
class Block:
    """Encoded documents, their offsets counted from the beginning of `tokens`."""

    tokens: NDArray[np.uint32]
    supervised: NDArray[np.uint8]
    examples: NDArray[np.void]
    fingerprints: list[tuple[int, int]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    """What the label numbers of `examples` mean, in the order in which they occur; -1 is no label."""
    of_draft: list[int] = field(default_factory=list)
    """How many examples each draft became: a long running text becomes several."""


def content_fingerprint(texts: Iterable[str]) -> tuple[int, int]:
    """128 bits of BLAKE2b over the texts of an example, as two unsigned 64-bit numbers."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\x00")
    value = digest.digest()
    return int.from_bytes(value[:8], "little"), int.from_bytes(value[8:], "little")


class Encoder:
    """Encodes batches of documents.

    Args:
        tokenizer: of the model.
        classification: texts get the tokenizer's own special tokens and no mask; the label is what is learned.
        running_text: longest piece of running text in tokens; longer texts become several examples.
    """

    def __init__(self, tokenizer: Any, *, classification: bool, running_text: int) -> None:
        self._tokenizer = tokenizer
        self._classification = classification
        self._running_text = running_text
        self._fast = getattr(tokenizer, "backend_tokenizer", None)
        self._segments = None if classification else Segments(tokenizer)
        self._begin = _begin_token(tokenizer)

    def block(self, drafts: Sequence[Draft], *, whole_texts: bool) -> Block:
        """Encode a batch.

        Args:
            drafts: documents.
            whole_texts: they are running text: begin with the model's begin token, if it has one, and may be cut.
        """
        pieces = [[piece.text for piece in draft.document] for draft in drafts]
        ids = self._ids(list(chain.from_iterable(pieces)))
        fingerprints = [content_fingerprint((*texts, d.label or "")) for texts, d in zip(pieces, drafts, strict=True)]
        rows: list[tuple[Draft, list[list[int]], list[bool], tuple[int, int]]] = []
        of_draft: list[int] = []
        position = 0
        for draft, fingerprint in zip(drafts, fingerprints, strict=True):
            parts = ids[position : position + len(draft.document)]
            position += len(draft.document)
            flags = [piece.supervised and not self._classification for piece in draft.document]
            before = len(rows)
            if whole_texts:
                rows += [
                    (draft, [part], flags, (fingerprint[0], fingerprint[1] ^ number))
                    for number, part in enumerate(self._cut(parts[0]))
                ]
            else:
                rows.append((draft, parts, flags, fingerprint))
            of_draft.append(len(rows) - before)
        return _assemble(rows, of_draft)

    def _ids(self, texts: list[str]) -> list[list[int]]:
        if self._segments is not None:
            return self._segments.encode(texts)
        if self._fast is not None:
            return [encoding.ids for encoding in self._fast.encode_batch_fast(texts, add_special_tokens=True)]
        return list(self._tokenizer(texts, add_special_tokens=True)["input_ids"])

    def _cut(self, ids: list[int]) -> list[list[int]]:
        ids = [*self._begin, *ids]
        return [ids[begin : begin + self._running_text] for begin in range(0, len(ids), self._running_text)]


def _begin_token(tokenizer: Any) -> list[int]:
    """The begin token, if the tokenizer puts one before plain text."""
    ids = tokenizer("a")["input_ids"]
    return [ids[0]] if tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id] else []


def _assemble(rows: list[tuple[Draft, list[list[int]], list[bool], tuple[int, int]]], of_draft: list[int]) -> Block:
    lengths = [len(part) for _, parts, _, _ in rows for part in parts]
    flags = [flag for _, _, marks, _ in rows for flag in marks]
    total = sum(lengths)
    flat = chain.from_iterable(chain.from_iterable(parts for _, parts, _, _ in rows))
    tokens = np.fromiter(flat, dtype=np.uint32, count=total)
    supervised = np.repeat(np.asarray(flags, dtype=np.uint8), lengths)
    records = []
    labels: dict[str, int] = {}
    offset = 0
    for draft, parts, marks, _ in rows:
        prompt = length = trained = 0
        is_prompt, begins_trained = True, False
        for part, mark in zip(parts, marks, strict=True):
            is_prompt = is_prompt and not mark
            begins_trained = begins_trained or (mark and not length and bool(part))
            prompt += len(part) if is_prompt else 0
            trained += len(part) if mark else 0
            length += len(part)
        trained -= begins_trained  # nothing comes before a document's first token, so nothing can predict it
        label = -1 if draft.label is None else labels.setdefault(draft.label, len(labels))
        place = (draft.weight, draft.dataset, draft.group, draft.line, draft.file)
        records.append((offset, length, min(max(prompt, 1), length), trained, label, *place))
        offset += length
    examples = np.array(records, dtype=EXAMPLE)
    supervised[examples["offset"][examples["length"] > 0]] = 0
    return Block(tokens, supervised, examples, [fingerprint for *_, fingerprint in rows], list(labels), of_draft)
