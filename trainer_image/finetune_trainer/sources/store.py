"""What fetching needs to know of a place: which files there are, and how to get one.

With this much said, one piece of code decides what a URI names and which files are taken, and each scheme is only told
how to list and how to bring.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Protocol

from finetune_trainer.sources.contents import is_visible
from finetune_trainer.sources.location import Location, has_pattern, matcher, split_pattern


class Store(Protocol):
    """Files at the place that a URI names. Paths are relative, with slashes, and never climb."""

    @property
    def path(self) -> str:
        """What the URI names within this store: a file, a directory, a pattern, or all of it if empty."""

    @property
    def revision(self) -> str | None:
        """Commit of the files, where the place has commits."""

    def is_file(self, path: str) -> bool:
        """Whether there is a file of exactly this name."""

    def below(self, path: str) -> list[str]:
        """All files below a directory, relative to it; empty if it is an empty directory.

        Raises: UserError if there is no such directory."""

    def bring(self, path: str, target: Path, *, stop: Event) -> Path:
        """Make a file readable here.

        Args:
            path: a file of this store.
            target: where to put it, if it has to be copied at all.
            stop: set when the caller no longer wants it.
        Returns: where it is: `target`, or the file itself if it is here already."""


def find_files(store: Store, location: Location) -> tuple[str, list[str]] | None:
    """The files that a URI names, if it names a file or a pattern.

    A file whose name has wildcards in it is found by that name first.

    Returns: the directory and the files below it, sorted; None if the URI names a directory.
    Raises: UserError if a pattern matches nothing.
    """
    path = store.path
    if path and not path.endswith("/") and store.is_file(path):
        directory, _, name = path.rpartition("/")
        return directory, [name]
    if not has_pattern(path):
        return None
    directory, pattern = split_pattern(path)
    try:
        matches = matcher(pattern)
    except ValueError as error:
        raise location.problem(str(error)) from None
    names = sorted(name for name in store.below(directory) if is_visible(name) and matches(name))
    if not names:
        raise location.problem("matches no file", hint="* stays within one directory; ** goes through all below.")
    return directory, names


def joined(directory: str, name: str) -> str:
    """A path below a directory that may be empty."""
    return f"{directory.rstrip('/')}/{name}" if directory else name
