"""From URIs to files, and from a directory to a URI. Nothing else in the trainer knows a scheme.

What comes out is the same wherever the data was: a directory that holds a model and nothing else, files of examples in an
order that never changes. What goes in is whatever people name, so every way in which it is not what they think ends in a
sentence with the field and the remedy, and every way in which a server fails in Transient, after some patience.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune_api.contract.trainer_config import Mounts
from finetune_trainer.sources.contents import ModelFiles, check_shards, data_files, listed, model_files, printable
from finetune_trainer.sources.credentials import Credentials
from finetune_trainer.sources.disk import writing
from finetune_trainer.sources.download import version_beside
from finetune_trainer.sources.gather import bring_all, link, place_below, remove_others
from finetune_trainer.sources.hub import RepoType, open_hub
from finetune_trainer.sources.location import Location, parse
from finetune_trainer.sources.mounted import MountedStore, open_mounted
from finetune_trainer.sources.patience import PATIENCE, Patience
from finetune_trainer.sources.publication import publication
from finetune_trainer.sources.publish_hub import publish_hub
from finetune_trainer.sources.publish_mounted import publish_mounted
from finetune_trainer.sources.publish_s3 import publish_s3
from finetune_trainer.sources.s3 import open_s3
from finetune_trainer.sources.store import Store, find_files, joined
from finetune_trainer.sources.web import open_web

__all__ = [
    "PATIENCE",
    "Credentials",
    "DataFile",
    "FetchedModel",
    "Patience",
    "fetch_files",
    "fetch_model",
    "printable",
    "publish",
    "stamp",
    "version_beside",
]

logger = logging.getLogger(__name__)

_ENLARGE = "Enlarge the workspace: spec.workspace.size, or the claim that it names."


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of examples.

    Args:
        path: where to read it.
        name: what messages call it: its path below the directory that was named, or its file name.
        inside: domains and addresses from which mail is an answer.
        questions: whether a document counts by the questions that it answers.
        more: further files that are read as one with it, as the messages of a mail directory are.
        revision: commit of a model hub from which it came; None elsewhere.
    """

    path: Path
    name: str
    more: tuple[Path, ...] = ()
    inside: tuple[str, ...] = ()
    questions: bool = False
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A model that is here.

    Args:
        directory: holds the model's files, or links to them.
        gguf: the one file that is the model, if it is a GGUF file.
        revision: commit of a model hub; None elsewhere.
        uri: where it came from, without a query.
    """

    directory: Path
    gguf: Path | None
    revision: str | None
    uri: str


def fetch_model(
    uri: str,
    destination: Path,
    *,
    revision: str,
    trust_remote_code: bool,
    credentials: Credentials,
    mounts: Mounts,
    field: str,
    patience: Patience = PATIENCE,
) -> FetchedModel:
    """Bring a model's files together in one directory; those that are on this machine already as links.

    Doing it again keeps what is complete. `destination` belongs to this function: files of another model that lie in it
    are removed, because transformers would load them.

    Args:
        uri: a directory in Hugging Face layout or one .gguf file; file, pvc, https, hf or s3.
        destination: the directory.
        revision: branch, tag or commit of an hf:// model that names none itself.
        trust_remote_code: whether to take the model's Python files.
        credentials: for the URI.
        mounts: directories of claims.
        field: path of the URI in the manifest, for messages.
        patience: how long to bear with a server.
    Raises: UserError if there is no usable model, Transient if a server failed too often.
    """
    location = parse(uri, field=field)
    store = _open(location, "model", revision, credentials, mounts, patience)
    if isinstance(store, MountedStore) and store.place.resolve().is_relative_to(destination.resolve()):
        raise location.problem("lies in the workspace's own model directory, which is overwritten", hint="Move it.")
    base, chosen = _choose_model(store, location, trust_remote_code)
    targets = {joined(base, name): place_below(destination, name, location) for name in chosen.names}
    logger.info("fetching a model of %d files from %s", len(targets), location.shown)
    with writing(destination, field="spec.workspace", size_field="spec.workspace.size", enlarge=_ENLARGE):
        destination.mkdir(parents=True, exist_ok=True)
        remove_others(destination, set(targets.values()))
        for target, path in bring_all(store, targets).items():
            if path != target:
                link(target, path)
        check_shards(destination, location)
    gguf = destination / chosen.gguf if chosen.gguf is not None else None
    return FetchedModel(destination, gguf, store.revision, location.shown)


def stamp(uri: str, *, mounts: Mounts, field: str) -> str | None:
    """What tells whether files that are read where they lie are still the same; None for whatever is downloaded.

    Args:
        uri: a file or a directory, of any scheme.
        mounts: directories of claims.
        field: path of the URI in the manifest, for messages.
    Raises: UserError if it cannot be looked at.
    """
    location = parse(uri, field=field)
    return open_mounted(location, mounts).stamp() if location.scheme in ("file", "pvc") else None


def fetch_files(
    uri: str,
    destination: Path,
    *,
    revision: str,
    credentials: Credentials,
    mounts: Mounts,
    field: str,
    patience: Patience = PATIENCE,
) -> list[DataFile]:
    """Make the files of a dataset readable; those that are on this machine already stay where they are.

    Args:
        uri: a file, a directory, of which the files with the usual endings are taken, or a pattern; any scheme.
        destination: a directory of this dataset's own, for what has to be downloaded.
        revision: branch, tag or commit of an hf:// dataset that names none itself.
        credentials: for the URI.
        mounts: directories of claims and config maps.
        field: path of the URI in the manifest, for messages.
        patience: how long to bear with a server.
    Returns: at least one file, sorted by name.
    Raises: UserError if there is nothing to read, Transient if a server failed too often.
    """
    location = parse(uri, field=field)
    store = _open(location, "dataset", revision, credentials, mounts, patience)
    base, names = find_files(store, location) or _data_directory(store, location)
    targets = {joined(base, name): place_below(destination, name, location) for name in names}
    with writing(destination, field="spec.workspace", size_field="spec.workspace.size", enlarge=_ENLARGE):
        paths = bring_all(store, targets)
    return [DataFile(paths[targets[joined(base, name)]], printable(name), revision=store.revision) for name in names]


def publish(
    directory: Path,
    uri: str,
    *,
    credentials: Credentials,
    mounts: Mounts,
    field: str,
    last: Sequence[str],
    patience: Patience = PATIENCE,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Make what is at a URI equal to a directory. Readers see all of it or nothing of it, at any moment.

    What stands there already is kept if its manifest is the same, replaced if it is an older publication, and never
    touched if it is anything else. A publish that was killed is made good by the next one.

    Args:
        directory: what to publish; files that are links are published as what they lead to.
        uri: pvc, file, s3 or hf.
        credentials: for the URI.
        mounts: directories of claims.
        field: path of the URI in the manifest, for messages.
        last: files by which readers find the others, in the order in which they are written where files are written one
            by one; the last of them is the manifest, by which a publication is known as such.
        patience: how long to bear with a server.
        beat: called again and again while bytes get there, from any thread: a large model takes hours.
    Raises: UserError if the target is taken or may not be written, Transient if a server failed too often.
    """
    location = parse(uri, field=field)
    what = publication(directory, last)
    match location.scheme:
        case "file" | "pvc":
            publish_mounted(what, open_mounted(location, mounts), location, beat)
        case "s3":
            publish_s3(what, open_s3(location, credentials, patience), location, beat)
        case "hf":
            publish_hub(what, location, credentials, patience, beat)
        case _:
            raise location.problem("cannot be written: an output goes to pvc, s3, hf or file")


def _open(
    location: Location,
    repo_type: RepoType,
    revision: str,
    credentials: Credentials,
    mounts: Mounts,
    patience: Patience,
) -> Store:
    match location.scheme:
        case "file" | "pvc":
            return open_mounted(location, mounts)
        case "configMap" if repo_type == "dataset":
            return open_mounted(location, mounts)
        case "https":
            return open_web(location, credentials, patience)
        case "hf":
            return open_hub(location, repo_type, revision=revision, credentials=credentials, patience=patience)
        case "s3":
            return open_s3(location, credentials, patience)
        case _:
            schemes = "hf, s3, pvc, https, file" + (" or configMap" if repo_type == "dataset" else "")
            raise location.problem(f"cannot be read: a {repo_type} comes from {schemes}")


def _choose_model(store: Store, location: Location, trust_remote_code: bool) -> tuple[str, ModelFiles]:
    named = find_files(store, location)
    if named is None:
        directory = store.path.rstrip("/")
        return directory, model_files(store.below(directory), location, trust_remote_code=trust_remote_code)
    directory, names = named
    if len(names) == 1 and names[0].lower().endswith(".gguf"):
        return directory, ModelFiles((names[0],), gguf=names[0])
    raise location.problem("is a file, but no .gguf file", hint="Name the model's directory, or one .gguf file.")


def _data_directory(store: Store, location: Location) -> tuple[str, list[str]]:
    directory = store.path.rstrip("/")
    names = data_files(store.below(directory))
    if not names:
        raise location.problem(
            "holds no data files",
            hint="Their names end in .jsonl, .json, .csv, .tsv or .parquet, or these with .gz or .zst; "
            "or, where no table is, .mbox, .eml, .md, .txt, .html, .pdf or .docx.",
        )
    if location.scheme == "hf" and not directory and len(names) > 1:
        raise location.problem(
            f"holds {len(names)} data files: {listed(names)}",
            hint=f"Name one, as in {location.shown}/{names[0]}, or a pattern, as in {location.shown}/**/*.parquet.",
        )
    return directory, names
