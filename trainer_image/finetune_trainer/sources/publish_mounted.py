"""Publishing to file:// and pvc://: written aside, made durable, then renamed.

A server that loads the directory at any moment finds the old publication or the new one, whole. A publish that is killed
leaves .NAME.publishing-XXXX beside the target, which the next one removes.
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune_trainer.sources.disk import files_below, sync, writing
from finetune_trainer.sources.exchange import put_in_place
from finetune_trainer.sources.location import Location
from finetune_trainer.sources.mounted import MountedStore
from finetune_trainer.sources.publication import Publication, check_replaceable, foreign

logger = logging.getLogger(__name__)

_CHUNK = 1 << 22


def publish_mounted(what: Publication, store: MountedStore, location: Location, beat: Callable[[], None]) -> None:
    """Make `what` the directory that the URI names.

    Args:
        what: the files.
        store: the place.
        location: the target.
        beat: called after each few MiB.
    Raises: UserError if the target is taken, is a whole volume, or cannot be written.
    """
    if not store.path.strip("/"):
        raise location.problem("is a whole volume", hint=f"Name a directory in it, as in {location.shown}/my-model.")
    target = store.place.resolve()
    with writing(
        target.parent,
        field=location.field,
        size_field=location.field,
        enlarge="Enlarge the volume of the output, or choose another.",
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        _clean(target)
        if _is_same(what, target):
            logger.info("already published at %s", location.shown)
            return
        _check(what, target, location)
        with _aside(target) as aside:
            _copy(what, aside, beat)
            old = _place(aside, target)
        sync(target.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    logger.info("published %d files at %s", len(what.names), location.shown)


def _clean(target: Path) -> None:
    for leftover in target.parent.glob(f".{_escaped(target.name)}.publishing-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _is_same(what: Publication, target: Path) -> bool:
    manifest = target / what.manifest
    return manifest.is_file() and manifest.read_bytes() == what.path(what.manifest).read_bytes()


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A new directory beside the target; gone if anything fails, so that a full disk does not stay full."""
    aside = target.with_name(f".{target.name}.publishing-{secrets.token_hex(4)}")
    aside.mkdir()
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _copy(what: Publication, aside: Path, beat: Callable[[], None]) -> None:
    directories = {aside}
    for name in what.names:
        copy = aside / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        directories.update(directory for directory in copy.parents if directory.is_relative_to(aside))
        with what.path(name).open("rb") as source, copy.open("wb") as target:
            while chunk := source.read(_CHUNK):
                target.write(chunk)
                beat()
        sync(copy)
        beat()
    for directory in directories:
        sync(directory)


def _check(what: Publication, target: Path, location: Location) -> None:
    if target.exists() and not target.is_dir():
        raise foreign(location, "it is a file")
    if target.exists() and any(target.iterdir()):
        check_replaceable(files_below(target), what, location)


def _place(aside: Path, target: Path) -> Path | None:
    if target.exists():
        return put_in_place(aside, target)
    aside.rename(target)
    return None
