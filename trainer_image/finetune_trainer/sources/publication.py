"""What every way of publishing relies on: the files, their order, and how a publication of ours is told from other things.

A publication has a manifest with the digest of each of its files, and it is written last. So a directory with a manifest is
whole and ours, two publications with equal manifests are equal, and whatever has none is somebody else's: never replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune_api.errors import UserError
from finetune_trainer.sources.contents import listed
from finetune_trainer.sources.disk import files_below
from finetune_trainer.sources.location import Location


@dataclass(frozen=True, slots=True)
class Publication:
    """A directory that is to be published.

    Args:
        directory: where it is.
        first: files in no particular order, as relative paths.
        last: files by which a reader finds the others, in the order in which they are written; the manifest ends it.
    """

    directory: Path
    first: tuple[str, ...]
    last: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All files in the order in which they are written."""
        return (*self.first, *self.last)

    @property
    def manifest(self) -> str:
        """The file that makes it whole."""
        return self.last[-1]

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self.directory / name

    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {name: self.path(name).stat().st_size for name in self.names}


def publication(directory: Path, last: Sequence[str]) -> Publication:
    """Take stock of a directory.

    Raises: ValueError if `last` is empty or names a file that is not there: a mistake of the caller.
    """
    names = files_below(directory)
    if not last or (missing := sorted(set(last) - set(names))):
        raise ValueError(f"cannot be written last: {missing if last else 'nothing named'}")
    return Publication(directory, tuple(name for name in names if name not in last), tuple(last))


def check_replaceable(names: Collection[str], by: Publication, location: Location, *, marker: str | None = None) -> None:
    """Make sure that what stands at the target may be replaced.

    Args:
        names: files below the target, as relative paths; at least one.
        by: the new publication.
        location: the target.
        marker: a file that tells an unfinished publication of ours, where there may be one.
    Raises: UserError if it is not one publication of ours and nothing else.
    """
    if by.manifest not in names and marker not in names:
        raise foreign(location, f"{len(names)} files and no {by.manifest}")
    inner = sorted(name for name in names if name.endswith(f"/{by.manifest}") and name not in by.names)
    if inner:
        raise location.problem(
            f"holds other publications below it: {listed([name.rpartition('/')[0] for name in inner])}",
            hint="Choose another path for one of them.",
        )


def foreign(location: Location, found: str) -> UserError:
    """The target holds something else."""
    return location.problem(f"exists and was not published by a job: {found}", hint="Choose another path.")
