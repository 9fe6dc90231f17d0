"""file://, pvc:// and configMap://: files that are here already, read in place and never copied.

In a pod a claim or config map is a mounted directory; on one machine the user says which directory stands for it. Either
way a URI must not lead out of it: by `..`, which no URI may have, or by a link that somebody put into the volume.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from finetune_api.contract.trainer_config import Mounts
from finetune_api.errors import UserError
from finetune_trainer.sources.contents import printable
from finetune_trainer.sources.location import Location


@dataclass(frozen=True, slots=True)
class MountedStore:
    """A directory of this machine.

    Args:
        location: the URI.
        root: the directory that must not be left.
        path: what the URI names below it.
    """

    location: Location
    root: Path
    path: str
    revision: str | None = None

    @property
    def place(self) -> Path:
        """The file or directory that the URI names."""
        return self._within(self.path)

    def is_file(self, path: str) -> bool:
        """Whether there is a file of exactly this name."""
        try:
            return self._within(path).is_file()
        except PermissionError:
            raise self._closed(path) from None

    def below(self, path: str) -> list[str]:
        """All files below a directory, hidden ones left out."""
        directory = self._within(path)
        if not directory.is_dir():
            raise self.location.problem("is no directory" if directory.exists() else "does not exist")
        names = []
        for here, directories, files in os.walk(directory, onerror=self._unreadable):
            directories[:] = [name for name in directories if not name.startswith(".")]
            relative = Path(here).relative_to(directory)
            names += [
                (relative / name).as_posix() for name in files if not name.startswith(".") and not _is_special(Path(here, name))
            ]
        return sorted(names)

    def bring(self, path: str, target: Path, *, stop: Event) -> Path:
        """The file itself: nothing is copied."""
        found = self._within(path)
        try:
            found.open("rb").close()
        except PermissionError:
            raise self._closed(path) from None
        except FileNotFoundError:
            raise self.location.problem(f"holds a link that leads nowhere: {printable(path)}") from None
        return found

    def stamp(self) -> str | None:
        """SHA-256 over names, sizes and times of the file or of all files of the directory; None where nothing is."""
        place = self.place
        try:
            if not place.exists():
                return None
            names = self.below(self.path) if place.is_dir() else [""]
            told = [f"{name}\x00{_told_apart(place / name)}\n" for name in names]
        except PermissionError:
            raise self._closed(self.path) from None
        return hashlib.sha256("".join(told).encode("utf-8", "surrogateescape")).hexdigest()

    def _within(self, path: str) -> Path:
        found = self.root / path
        try:
            inside = found.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError) as error:
            raise self.location.problem(f"cannot be followed: {error}") from None
        if not inside:
            raise self.location.problem(f"leads out of {self.location.scheme}://{self.location.host} by a link")
        return found

    def _closed(self, path: str) -> UserError:
        return self.location.problem(f"may not be read by user {os.geteuid()}: {printable(path)}")

    def _unreadable(self, error: OSError) -> None:
        raise self.location.problem(f"cannot be listed: {error.strerror}") from None


def open_mounted(location: Location, mounts: Mounts) -> MountedStore:
    """The directory that a file://, pvc:// or configMap:// URI means.

    Args:
        location: the URI.
        mounts: which directory stands for which claim and config map.
    Raises: UserError if a claim or config map has no directory, or file:// is not absolute.
    """
    match location.scheme:
        case "file":
            if location.host:
                raise location.problem("is not absolute", hint="Write three slashes: file:///directory/file.")
            root = Path("/")
        case "pvc":
            root = _mount(location, mounts.claims, "claim", "--claim")
        case _:
            root = _mount(location, mounts.config_maps, "config map", "--config-map")
    return MountedStore(location, root, location.path.lstrip("/"))


def _is_special(path: Path) -> bool:
    """Whether it is neither a file nor a link that leads nowhere, which is told: a pipe, a socket, a device. Whoever opens a
    pipe may wait for ever."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _told_apart(path: Path) -> str:
    """By what a file is told from what it was; a link that leads nowhere has neither size nor time."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _mount(location: Location, directories: dict[str, str], kind: str, option: str) -> Path:
    if not location.host:
        raise location.problem(f"names no {kind}", hint=f"Write {location.scheme}://NAME/path.")
    directory = directories.get(location.host)
    if directory is None:
        raise location.problem(
            f'means the {kind} "{location.host}", for which no directory is known here',
            hint=f"In a local run say which directory stands for it: finetune run {option} {location.host}=DIR.",
        )
    return Path(directory).absolute()
