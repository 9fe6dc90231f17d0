"""Put one directory in the place of another in one step, where the file system can do that.

rename() replaces no directory that has files in it. Linux can swap two names atomically, but only through a system call
that Python does not offer, and network file systems refuse it; there, two renames leave the name free for an instant.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


def put_in_place(new: Path, target: Path) -> Path:
    """Make `new` the directory named `target`, which exists.

    Returns: where the old one is now, to be deleted.
    Raises: OSError.
    """
    return new if swap(new, target) else replace_in_two_steps(new, target)


def swap(one: Path, other: Path) -> bool:
    """Exchange two names atomically.

    Returns: whether it was done; False if this system or file system cannot.
    Raises: OSError if it could and did not.
    Source: renameat2(2), RENAME_EXCHANGE, Linux 3.15.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(other))


def replace_in_two_steps(new: Path, target: Path) -> Path:
    """The same by two renames; for an instant there is no `target`. If the second fails, the first is undone."""
    old = new.with_name(f"{new.name}-old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    return old
