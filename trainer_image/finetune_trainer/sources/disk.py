"""A full disk is the user's to mend, a traceback is not what tells them so.

Everything this package writes goes through here, so that "no space left" names the field that makes the volume larger.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune_api.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def writing(directory: Path, *, field: str, size_field: str, enlarge: str) -> Iterator[None]:
    """Around code that writes below `directory`: say what a full or closed disk means.

    Args:
        directory: where is written, for the message.
        field: which part of the manifest chose the disk.
        size_field: which part chose its size.
        enlarge: the hint when it is full.
    Raises: UserError instead of an OSError that somebody can mend; any other OSError as it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(f"No space is left in {directory}{_sizes(directory)}.", field=size_field, hint=enlarge) from None
        if error.errno in _CLOSED:
            raise UserError(
                f"{directory} cannot be written by user {os.geteuid()}: {error.strerror}.",
                field=field,
                hint="Mount it writable, and let that user or its group own it.",
            ) from None
        raise


def _sizes(directory: Path) -> str:
    existing = next((place for place in (directory, *directory.parents) if place.exists()), Path("/"))
    disk = os.statvfs(existing)
    return (
        f" (the disk holds {disk.f_blocks * disk.f_frsize / 2**30:.1f} GiB, {disk.f_bavail * disk.f_frsize:,} bytes are free)"
    )


def files_below(directory: Path) -> list[str]:
    """All files below a directory as relative paths with slashes, sorted."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def sync(path: Path) -> None:
    """Make a file or a directory's entries survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
