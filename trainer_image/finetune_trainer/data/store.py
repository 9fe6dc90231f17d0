"""Prepared examples on disk: flat files that any number of processes map into memory.

Loading a dataset of Python objects into each of eight ranks costs eight times its size and minutes. Here a split is
three flat files; a rank maps them and touches only what it reads.

    tokens.bin       uint32, all documents one after another
    supervised.bin   uint8, one per token: 1 where the token has loss
    examples.npy     one record per example (EXAMPLE)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

EXAMPLE = np.dtype(
    [
        ("offset", "<i8"),
        ("length", "<i4"),
        ("prompt", "<i4"),
        ("supervised", "<i4"),
        ("label", "<i4"),
        ("weight", "<f4"),
        ("dataset", "<i4"),
        ("group", "<u8"),
        ("line", "<i8"),
        ("file", "<i4"),
    ]
)
"""offset, length: where its tokens are; prompt: tokens before the first supervised one; supervised: how many have loss;
label: number of its class, -1 for none; weight: factor on its loss; dataset, file, line: where it came from; group: hash,
hidden under the key of the anonymisation where there is one (selection/split.py)."""

ROW = np.dtype(
    [
        ("examples", "<i4"),
        ("dataset", "<i4"),
        ("asked", "<u8"),
        ("input", "<u8"),
        ("answer", "<u8"),
        ("shingles", "<i4"),
    ]
)
"""Of a row, while it is prepared. examples: how many it became, one after another; asked: group number of what is asked; input,
answer: numbers of all that comes before the label or short answer, and of that, 0 for none; shingles: size of its set of pairs
of words (selection/shingles.py), 0 where near-duplicates are not looked for."""

FINGERPRINT = np.dtype([("high", "<u8"), ("low", "<u8")])
"""128 bits of the content of an example."""


@dataclass(frozen=True, slots=True)
class Documents:
    """One split, mapped."""

    tokens: NDArray[np.uint32]
    """Shape (tokens,)."""
    supervised: NDArray[np.uint8]
    """Shape (tokens,)."""
    examples: NDArray[np.void]
    """Shape (examples,), dtype EXAMPLE."""

    def __len__(self) -> int:
        return len(self.examples)

    def ids(self, index: int) -> NDArray[np.int64]:
        """Token ids of one example, int64, shape (length,)."""
        begin, length = int(self.examples["offset"][index]), int(self.examples["length"][index])
        return self.tokens[begin : begin + length].astype(np.int64)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Which of its tokens have loss, shape (length,)."""
        begin, length = int(self.examples["offset"][index]), int(self.examples["length"][index])
        return self.supervised[begin : begin + length].astype(bool)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens per example, shape (examples,)."""
        return self.examples["length"].astype(np.int64)


def open_documents(folder: Path) -> Documents:
    """Map a split. An empty split has empty arrays."""
    examples = np.load(folder / "examples.npy", mmap_mode="r", allow_pickle=False)
    if not len(examples):
        return Documents(np.zeros(0, np.uint32), np.zeros(0, np.uint8), examples)
    tokens = np.memmap(folder / "tokens.bin", dtype=np.uint32, mode="r")
    supervised = np.memmap(folder / "supervised.bin", dtype=np.uint8, mode="r")
    return Documents(tokens, supervised, examples)


class SplitWriter:
    """Writes one split, a block of examples at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._tokens: BinaryIO = (folder / "tokens.bin").open("wb")
        self._supervised: BinaryIO = (folder / "supervised.bin").open("wb")
        self._records: BinaryIO = (folder / "examples.raw").open("wb")
        self.position = 0
        self.count = 0

    def write(self, tokens: NDArray[np.uint32], supervised: NDArray[np.uint8], examples: NDArray[np.void]) -> None:
        """Append examples whose offsets count from the beginning of `tokens`.

        Args:
            tokens: shape (tokens,), uint32.
            supervised: shape (tokens,), uint8.
            examples: shape (examples,), dtype EXAMPLE.
        """
        moved = examples.copy()
        moved["offset"] += self.position
        self._tokens.write(tokens.tobytes())
        self._supervised.write(supervised.tobytes())
        self._records.write(moved.tobytes())
        self.position += len(tokens)
        self.count += len(examples)

    def close(self) -> None:
        """Finish the files; the index becomes an ordinary .npy file."""
        for file in (self._tokens, self._supervised, self._records):
            file.close()
        raw = self._folder / "examples.raw"
        target = np.lib.format.open_memmap(self._folder / "examples.npy", mode="w+", dtype=EXAMPLE, shape=(self.count,))
        if self.count:
            source = np.memmap(raw, dtype=EXAMPLE, mode="r")
            for begin in range(0, self.count, 1 << 16):
                target[begin : begin + (1 << 16)] = source[begin : begin + (1 << 16)]
        target.flush()
        raw.unlink()


def gather(
    source: Documents, indices: NDArray[np.int64], *, at_most: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.void]]:
    """Chosen examples as one block, their offsets counted from its beginning.

    Args:
        source: where they are.
        indices: which, shape (examples,).
        at_most: longer examples are cut after so many tokens.
    Returns: tokens, mask and records, as SplitWriter takes them.
    """
    chosen = np.array(source.examples[indices])
    begins = chosen["offset"].copy()
    lengths = np.minimum(chosen["length"], at_most).astype(np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    where = np.repeat(begins - starts, lengths) + np.arange(int(lengths.sum()), dtype=np.int64)
    tokens, supervised = np.asarray(source.tokens[where]), np.asarray(source.supervised[where])
    chosen["offset"], chosen["length"] = starts, lengths
    chosen["prompt"] = np.minimum(chosen["prompt"], lengths)
    if len(chosen):
        chosen["supervised"] = np.add.reduceat(supervised.astype(np.int64), starts)
    return tokens, supervised, chosen
