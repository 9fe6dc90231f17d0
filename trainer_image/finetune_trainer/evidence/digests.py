"""Digests: what something is, whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_CHUNK = 1 << 22


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits, in memory of a few MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def tree_digest(folder: Path, names: Iterable[str]) -> str:
    """SHA-256 over names and contents of files below a directory, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\x00{file_digest(folder / name)}\n".encode())
    return digest.hexdigest()
