"""Bring one file here whole: nothing looks complete that is not, and a broken line costs what was under way.

Bytes go to NAME.part and are renamed once their number, and their digest where the place tells one, is right. What a part
or a complete file is a copy of stands beside it, in .NAME.version: so the next attempt goes on where a killed one stopped,
keeps what is complete, and never joins two versions of a file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from finetune_api.errors import Interrupted
from finetune_trainer.sources.location import Location
from finetune_trainer.sources.patience import Patience, patiently

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Body:
    """An answer that is being read.

    Args:
        read: at most so many next bytes; b"" at the end. Raises Again when the connection breaks.
        close: ends it.
        offset: where it begins in the file: what was asked for, or 0 where a server does not go on in the middle.
        size: bytes of the whole file; None if the protocol itself marks the end.
        version: what tells this content from any other under the same name; None if nothing does.
    """

    read: Callable[[int], bytes]
    close: Callable[[], None]
    offset: int
    size: int | None
    version: str | None


class Stale(Exception):
    """The server will not go on with the part that we have: begin anew."""


Opener = Callable[[int, str | None], Body]
"""From an offset and the version that is here to a body. Raises Again, Stale, or an error that ends it."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file before it is asked for; each None if not known.

    Args:
        version: as in `Body.version`.
        size: bytes.
        sha256: hexadecimal digest of the content.
        git: hexadecimal Git object name of the content.
    """

    version: str | None = None
    size: int | None = None
    sha256: str | None = None
    git: str | None = None


def download(
    location: Location, open_body: Opener, target: Path, expected: Expected, *, patience: Patience, stop: Event
) -> Path:
    """Copy one file to `target`, as described above.

    Args:
        location: for messages.
        open_body: asks for the file, from an offset on.
        target: where the whole file goes; its directory is made.
        expected: what the file must be. A target of the expected version is kept as it is.
        patience: how often to try.
        stop: set when the caller no longer wants the file.
    Returns: `target`.
    Raises: Transient if the file never came whole; Interrupted after `stop`; what `open_body` raises; OSError of the disk.
    """
    part = target.with_name(f"{target.name}.part")
    version = _beside(target)
    known = expected.version is not None and _read(version) == expected.version
    if known and target.is_file() and not target.is_symlink() and expected.size in (None, target.stat().st_size):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    if expected.version is None and target.is_file() and not target.is_symlink() and version.exists():
        target.replace(part)  # asking for what comes after it tells whether it is still the same
    else:
        target.unlink(missing_ok=True)
    if expected.version is not None and not known:
        part.unlink(missing_ok=True)

    def attempt() -> None:
        here = _size(part) if _read(version) is not None else 0
        if here == 0 or here != expected.size:
            _receive(location, open_body, part, version, here, expected, stop)
        if (wrong := _difference(part, expected)) is not None:
            part.unlink()
            raise location.again(f"came broken: {wrong}")

    patiently(attempt, patience, progress=lambda: _size(part))
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    return target


def _receive(
    location: Location, open_body: Opener, part: Path, version: Path, here: int, expected: Expected, stop: Event
) -> None:
    try:
        body = open_body(here, _read(version))
    except Stale:
        part.unlink(missing_ok=True)
        raise location.again("changed while it was read") from None
    try:
        with part.open("r+b" if body.offset else "wb") as file:
            file.seek(body.offset)
            file.truncate()
            # Only now, when nothing of another version is left in the part.
            if body.version is None:
                version.unlink(missing_ok=True)
            else:
                version.write_text(body.version, encoding="utf-8")
            while chunk := body.read(_CHUNK):
                if stop.is_set():
                    raise Interrupted(f"{location.shown} is no longer wanted")
                file.write(chunk)
            received = file.tell()
    finally:
        body.close()
    size = body.size if expected.size is None else expected.size
    if size is not None and received != size:
        if received > size:
            part.unlink()
        raise location.again(f"ended after {received:,} of {size:,} bytes")


def _difference(part: Path, expected: Expected) -> str | None:
    if expected.sha256 is not None:
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected.sha256:
            return f"its SHA-256 is {found[:12]}…, not {expected.sha256[:12]}…"
    elif expected.git is not None:
        digest = hashlib.sha1(b"blob %d\0" % _size(part), usedforsecurity=False)
        with part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != expected.git:
            return "its Git object name is another"
    return None


def version_beside(path: Path) -> str | None:
    """What told this file's content from any other under the same name where it came from; None if nothing did."""
    return _read(_beside(path))


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.version")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
