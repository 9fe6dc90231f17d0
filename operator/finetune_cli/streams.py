"""The standard streams as a shell may hand them over: closed, full, gone, or in an encoding that knows no umlaut.

Python makes an exception of each, with a traceback, and no user can do anything with it. Whatever is written for programs
stays what they can read: JSON and YAML name by escapes what the encoding does not have.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def settle() -> None:
    """Make the streams usable: what is closed leads nowhere, and no character ends the program.

    A closed stream must not stay closed: the next file to be opened, such as a workspace's lock, would take its number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # for as long as the program runs
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115  # as above
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def knows_all_characters() -> bool:
    """Whether standard output can hold every character."""
    encoding = getattr(sys.stdout, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name.startswith("utf-")


def full(error: OSError) -> bool:
    """Whether an error means that an open stream takes no more."""
    return error.filename is None and error.errno in _NO_ROOM


def abandon_output() -> None:
    """Let nobody try again to write what standard output did not take, least of all the interpreter at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
