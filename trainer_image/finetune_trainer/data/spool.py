"""Examples as they come out of the rows, appended to flat files, with a mark up to where they count.

A prepare may be killed at any byte. So examples count only up to the last commit: the files are on the disk before the commit
that tells their lengths is, and the commit takes its place by a rename. Whatever lies beyond those lengths was under way and is
done again. An attempt that goes on copies what counts into a directory of its own: the one that it follows may not be quite
dead, and what that still appends then lies beyond the mark, where nobody looks.

    tokens.bin supervised.bin examples.bin      as in store.py
    fingerprints.bin rows.bin shingles.bin      by which they are compared: store.py, selection/shingles.py
    factors.bin ngrams.bin                      by which they are weighed: weighting/factors.py
    commit.json                                 what the examples are of, the lengths, and what was counted

It holds no text: tokens are those of rows that are already anonymous, numbers of their groups are hidden under the key of the
anonymisation, and counts name files, lines, reasons and classes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.records import Records
from finetune_trainer.data.selection.split import opened
from finetune_trainer.data.store import EXAMPLE, FINGERPRINT, ROW, Documents
from finetune_trainer.data.tokens.encode import Block
from finetune_trainer.data.weighting.factors import FACTORS, FactorBlock, Factors

_KINDS: dict[str, np.dtype[Any]] = {
    "tokens.bin": np.dtype("<u4"),
    "supervised.bin": np.dtype("u1"),
    "examples.bin": EXAMPLE,
    "fingerprints.bin": FINGERPRINT,
    "rows.bin": ROW,
    "shingles.bin": np.dtype("<u4"),
    "factors.bin": FACTORS,
    "ngrams.bin": np.dtype("<u2"),
}
"""The files, and what the records of each are."""
_FILES = tuple(_KINDS)
_COMMIT = "commit.json"
_COPIED_AT_ONCE = 1 << 22
_COMMIT_SHARE = 50
"""A commit waits for the disk: at most one part in so many of the time goes into them, however slow the disk is."""


class Spool:
    """Appends examples to a directory of its own.

    Args:
        folder: is made.
        clock: seconds, from any beginning.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        folder.mkdir(parents=True)
        self._folder, self._clock = folder, clock
        self._files: dict[str, BinaryIO] = {name: (folder / name).open("ab") for name in _FILES}
        self.position = 0
        """Tokens so far."""
        self._since, self._took = clock(), 0.0

    def write(self, block: Block, rows: NDArray[np.void], shingles: NDArray[np.uint32], factors: FactorBlock) -> None:
        """Append examples whose offsets count from the beginning of the block.

        Args:
            block: examples with their tokens.
            rows: of which they are, dtype ROW, shape (rows,).
            shingles: sets of pairs of words of these rows, one after another; as long as `rows` says.
            factors: of these rows.
        """
        moved = block.examples.copy()
        moved["offset"] += self.position
        marks = np.array(block.fingerprints, dtype=FINGERPRINT)
        parts = (block.tokens, block.supervised, moved, marks, rows, shingles, factors.records, factors.ngrams)
        for name, part in zip(_FILES, parts, strict=True):
            self._files[name].write(np.ascontiguousarray(part).data)
        self.position += len(block.tokens)

    def commit(self, of: str, state: Callable[[], Any], *, now: bool) -> None:
        """Let everything so far count.

        Args:
            of: the mark of what the examples are made from (marks.py).
            state: gives what was counted up to here, as JSON types.
            now: False leaves it to the clock whether it is time again.
        """
        begin = self._clock()
        if not now and begin - self._since < _COMMIT_SHARE * self._took:
            return
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        lengths = {name: file.tell() for name, file in self._files.items()}
        _write_through(self._folder / _COMMIT, json.dumps({"of": of, "lengths": lengths, "state": state()}))
        self._since = self._clock()
        self._took = self._since - begin

    def go_on_from(self, earlier: Path, lengths: Mapping[str, int]) -> bool:
        """Begin with what counts in another spool; only while this one is empty.

        Args:
            lengths: as `committed` found them.
        Returns: whether that was possible; if not, this one is empty as before.
        """
        try:
            for name in _FILES:
                with (earlier / name).open("rb") as source:
                    _copy(source, self._files[name], lengths[name])
        except OSError:  # no room for a second copy, or it is gone
            for name, file in self._files.items():
                with suppress(OSError):  # what it still held has no room either
                    file.close()
                self._files[name] = (self._folder / name).open("wb")
            return False
        self.position = lengths["tokens.bin"] // np.dtype(np.uint32).itemsize
        return True

    def close(self) -> None:
        """No more is written."""
        for file in self._files.values():
            file.close()

    def documents(self) -> Documents:
        """Everything that was written, mapped."""
        return Documents(*(self._mapped(name) for name in _FILES[:3]))

    def records(self, key: bytes | None = None) -> Records:
        """Everything by which examples are selected, mapped.

        Args:
            key: under which the numbers of groups were hidden before they came here; None: they were not.
        """
        examples, fingerprints, rows, shingles = (self._mapped(name) for name in _FILES[2:6])
        return Records(examples, fingerprints, rows, shingles, None if key is None else partial(opened, key=key))

    def factors(self) -> Factors:
        """What the weights of rows are made of, mapped."""
        return Factors(*(self._mapped(name) for name in ("rows.bin", "factors.bin", "ngrams.bin")))

    def _mapped(self, name: str) -> NDArray[Any]:
        path, kind = self._folder / name, _KINDS[name]
        return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.zeros(0, kind)


def committed(folders: Iterable[Path], of: str) -> tuple[Path, dict[str, int], Any] | None:
    """The furthest spool that was made from the same.

    Args:
        folders: of spools, some of which may be broken or of something else.
        of: the mark of what the examples must be made from.
    Returns: its directory, lengths and state; None if there is none.
    """
    found: list[tuple[int, Path, dict[str, int], Any]] = []
    for folder in folders:
        try:
            said = json.loads((folder / _COMMIT).read_text(encoding="utf-8"))
            lengths = {name: int(said["lengths"][name]) for name in _FILES}
            whole = all((folder / name).stat().st_size >= lengths[name] for name in _FILES)
            if said["of"] == of and whole:
                found.append((sum(lengths.values()), folder, lengths, said["state"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return max(found, key=lambda one: (one[0], str(one[1])))[1:] if found else None


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    left = size
    while left:
        chunk = source.read(min(left, _COPIED_AT_ONCE))
        if not chunk:
            raise OSError("shorter than it was")
        target.write(chunk)
        left -= len(chunk)
    target.flush()


def _write_through(path: Path, text: str) -> None:
    """Replace a file so that either the old or the new one is there after a power failure."""
    aside = path.with_name(f"{path.name}.writing")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
