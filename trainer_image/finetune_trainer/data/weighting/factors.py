"""What the weight of each row is made of, kept beside the spool of tokens until it is known what is trained on.

Relevance compares an example with all training examples, which are known only when copies are gone and the split is made. So
what it needs of a text, the places of its hashed n-grams, is kept on disk as the text goes by (spool.py): about three bytes a
character.

    factors.bin   one record per row (FACTORS), in the order of rows.bin
    ngrams.bin    uint16, of all rows one after another
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.records import let_go

FACTORS = np.dtype([("own", "<f4"), ("rules", "<f4"), ("quality", "<f4"), ("ngrams", "<i4")])
"""own: the row's weight; rules: product of those that matched; quality: 1 where it was not asked for; ngrams: how many of its
text were kept, none where relevance was not asked for."""

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class FactorBlock:
    """Factors of a batch of rows."""

    records: NDArray[np.void]
    """Shape (rows,), dtype FACTORS."""
    ngrams: NDArray[np.uint16]
    """Of all texts, one after another."""


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring rows and their examples."""

    rows: slice
    examples: slice
    counts: NDArray[np.int64]
    """Examples of each row, at least one, shape (rows,)."""
    records: NDArray[np.void]
    """Shape (rows,), dtype FACTORS."""
    ngrams: NDArray[np.uint16]
    """Of these rows, one after another."""


@dataclass(frozen=True, slots=True)
class Factors:
    """Factors of all rows, mapped."""

    rows: NDArray[np.void]
    """Shape (rows,), dtype ROW."""
    records: NDArray[np.void]
    """Shape (rows,), dtype FACTORS."""
    ngrams: NDArray[np.uint16]

    def spans(self) -> Iterator[Span]:
        """All rows in order, as many at once as are looked at."""
        example, ngram = 0, 0
        for begin in range(0, len(self.rows), _ROWS_AT_ONCE):
            rows = slice(begin, min(begin + _ROWS_AT_ONCE, len(self.rows)))
            counts = np.asarray(self.rows["examples"][rows], np.int64)
            records = np.array(self.records[rows])
            last_example, last_ngram = example + int(counts.sum()), ngram + int(records["ngrams"].sum())
            yield Span(rows, slice(example, last_example), counts, records, np.array(self.ngrams[ngram:last_ngram]))
            example, ngram = last_example, last_ngram
            let_go(self.ngrams)
