"""Arguments that several commands share: which manifest, which workspace, which volumes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

from finetune_api.contract.trainer_config import Mounts
from finetune_api.errors import UserError
from finetune_api.uris import file_path
from finetune_cli.manifest import Manifest

DEFAULT_ROOT = Path(".finetune")
"""Below the current directory: one workspace per job."""


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """Declare --workspace."""
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="where the job keeps its files (default: .finetune/NAME)")


def add_volumes(parser: argparse.ArgumentParser) -> None:
    """Declare --claim and --config-map."""
    parser.add_argument("--claim", action="append", default=[], metavar="NAME=DIR", help="directory for pvc://NAME/...")
    parser.add_argument(
        "--config-map", action="append", default=[], metavar="NAME=DIR", help="directory for configMap://NAME/..."
    )


def workspace_of(arguments: argparse.Namespace, name: str) -> Path:
    """The workspace that was named, or the usual one of a job.

    Raises: UserError if that is a file.
    """
    chosen: Path = arguments.workspace or DEFAULT_ROOT / name
    if chosen.exists() and not chosen.is_dir():
        raise UserError(f"the workspace {chosen} is no directory", hint="Name another with --workspace.")
    return chosen.resolve()


def mounts_of(arguments: argparse.Namespace, manifest: Manifest, workspace: Path) -> Mounts:
    """Directories for claims and config maps; a ConfigMap in the manifest's own file is unpacked into the workspace.

    Raises: UserError if an argument is no NAME=DIR, or the directory is not there.
    """
    maps = _pairs(arguments.config_map, "--config-map")
    for name, data in manifest.config_maps.items():
        if name not in maps:
            folder = workspace / "config-maps" / name
            folder.mkdir(parents=True, exist_ok=True)
            for key, text in data.items():
                (folder / Path(key).name).write_text(text, encoding="utf-8")
            maps[name] = str(folder)
    return Mounts(claims=_pairs(arguments.claim, "--claim"), config_maps=maps)


def check_volumes(arguments: argparse.Namespace) -> None:
    """Refuse arguments that name no directory, also where nothing is read from one yet.

    Raises: UserError if an argument is no NAME=DIR, or the directory is not there.
    """
    _pairs(arguments.claim, "--claim")
    _pairs(arguments.config_map, "--config-map")


def local_path(uri: str, mounts: Mounts) -> Path | None:
    """Where a URI leads on this machine; None if it leads elsewhere, or to a claim of which no directory is known."""
    if (path := file_path(uri)) is not None:
        return Path(path)
    claim, _, below = uri.removeprefix("pvc://").partition("/")
    directory = mounts.claims.get(claim) if uri.startswith("pvc://") else None
    return Path(directory) / unquote(below) if directory is not None else None


def _pairs(values: Iterable[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals or not name or not folder:
            raise UserError(f"{option} {value}: NAME=DIR is needed")
        if not Path(folder).is_dir():
            raise UserError(f"{option} {value}: there is no directory {folder}")
        pairs[name] = str(Path(folder).resolve())
    return pairs


def results_of(workspace: Path, status_output: str | None) -> Mapping[str, Path | str]:
    """Where a person finds what a job left, as far as it is there."""
    places: dict[str, Path | str] = {
        "adapter": workspace / "adapter",
        "model": workspace / "merged",
        "report": workspace / "reports" / "report.html",
        "metrics": workspace / "metrics.jsonl",
        "logs": workspace / "attempts",
    }
    found: dict[str, Path | str] = {name: path for name, path in places.items() if isinstance(path, Path) and path.exists()}
    if status_output:
        found = {"published": status_output, **found}
    return found
