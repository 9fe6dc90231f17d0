"""From a store's files to a directory: several at once, each in its place, and nothing else beside them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

from finetune_trainer.sources.location import Location
from finetune_trainer.sources.store import Store

_AT_ONCE = 4


def place_below(destination: Path, name: str, location: Location) -> Path:
    """The place of a file, whatever a server calls it.

    Raises: UserError if it would not be below `destination`.
    """
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise location.problem(f"holds a file with an unusable name: {name!r}")
    return destination / name


def bring_all(store: Store, targets: Mapping[str, Path]) -> dict[Path, Path]:
    """Bring several files at once.

    Args:
        store: where they are.
        targets: from each path in the store to where it is to go.
    Returns: from where each was to go to where it is.
    Raises: the first error of any; the others are given up.
    """
    stop = Event()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        coming = {target: pool.submit(store.bring, path, target, stop=stop) for path, target in targets.items()}
        try:
            done, _ = wait(coming.values(), return_when=FIRST_EXCEPTION)
            for one in done:
                one.result()
            return {target: one.result() for target, one in coming.items()}
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def remove_others(directory: Path, keep: set[Path]) -> None:
    """Remove every file but those to keep and what their downloads left beside them."""
    hidden = {path.with_name(f".{path.name}.version") for path in keep} | {path.with_name(f"{path.name}.part") for path in keep}
    for path in list(directory.rglob("*")):
        if path not in keep and path not in hidden and (path.is_symlink() or not path.is_dir()):
            path.unlink()


def link(target: Path, path: Path) -> None:
    """Make `target` a link to `path`, whatever it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(path)
