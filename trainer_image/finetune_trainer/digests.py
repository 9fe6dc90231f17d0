"""Digests: what something is, whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 22
_LISTED = 1000
"""Files that are named one by one: a mailbox may be a hundred thousand of them."""


def file_digest(path: Path, *, beat: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits, in memory of a few MiB.

    Args:
        beat: called after each of them: a file of weights takes minutes.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            beat()
    return digest.hexdigest()


def tree_digest(folder: Path, names: Iterable[str], *, beat: Callable[[], None] = lambda: None) -> str:
    """SHA-256 over names and contents of files below a directory, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\x00{file_digest(folder / name, beat=beat)}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What one file held.

    Args:
        name: as messages call it.
        size: in bytes.
        sha256: 64 hexadecimal digits.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What some files held, so that somebody who has them can tell whether they are the same.

    Args:
        digest: SHA-256 over the lines `NAME NUL SHA256 newline` of all files, in the order of their names.
        size: bytes of all files together.
        files: the first of them.
    """

    digest: str
    size: int
    files: tuple[FileDigest, ...]


def contents_of(files: Iterable[tuple[str, Path]]) -> Contents:
    """Read files once for their digests.

    Args:
        files: name and place of each.
    """
    digest, size = hashlib.sha256(), 0
    first: list[FileDigest] = []
    for name, path in sorted(files):
        one = FileDigest(name, path.stat().st_size, file_digest(path))
        digest.update(f"{one.name}\x00{one.sha256}\n".encode("utf-8", "surrogateescape"))
        size += one.size
        if len(first) < _LISTED:
            first.append(one)
    return Contents(digest.hexdigest(), size, tuple(first))
