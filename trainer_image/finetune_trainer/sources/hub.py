"""hf://: models and datasets of a model hub, pinned to a commit and checked byte for byte.

The library resolves the revision and lists the files with their digests, in one request. The files come through our own
download: it goes on where a killed attempt stopped, waits within bounds, leaves no cache, and compares digests, none of
which the library's does. What is given up is the Xet protocol, so that a file of more than 50 GB cannot be fetched.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from finetune_api.errors import FinetuneError
from finetune_trainer.sources.connection import Headers
from finetune_trainer.sources.credentials import Credentials
from finetune_trainer.sources.download import Body, Expected, download
from finetune_trainer.sources.hub_api import asking, hub_api, refusal
from finetune_trainer.sources.location import Location
from finetune_trainer.sources.patience import Patience, patiently
from finetune_trainer.sources.web import Client, client

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

logger = logging.getLogger(__name__)

RepoType = Literal["model", "dataset"]

_REPOSITORY = re.compile(r"(?P<name>[^/@]+)(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(?P<path>.*))?")


@dataclass(frozen=True, slots=True)
class Repository:
    """What an hf:// URI names.

    Args:
        id: organisation and name.
        revision: branch, tag or commit in the URI; None if it has none.
        path: file, directory or pattern in the repository; empty for all of it.
    """

    id: str
    revision: str | None
    path: str


def repository(location: Location, repo_type: RepoType) -> Repository:
    """Take an hf:// URI apart: org/name[@revision][/path], for a dataset also below datasets/.

    Raises: UserError if it names no repository, or one of another type.
    """
    organisation, rest = location.host, location.raw_path
    if organisation == "datasets":
        if repo_type != "dataset":
            raise location.problem("is a dataset, not a model", hint="Write hf://org/name.")
        organisation, _, rest = rest.partition("/")
    match = _REPOSITORY.fullmatch(rest)
    if match is None or not organisation:
        raise location.problem("names no repository", hint="Write hf://org/name or hf://org/name@revision/path.")
    revision = unquote(match["revision"]) if match["revision"] else None
    path = unquote(match["path"] or "").rstrip("/")
    return Repository(f"{organisation}/{unquote(match['name'])}", revision, path)


@dataclass(frozen=True, slots=True)
class HubStore:
    """A repository at one commit.

    Args:
        location: the URI.
        repo: what it names.
        revision: the commit.
        files: every file with its size and digest.
        url: from a file's path to its address.
        client: asks for files.
    """

    location: Location
    repo: Repository
    revision: str
    files: Mapping[str, Expected]
    url: Callable[[str], str]
    client: Client

    @property
    def path(self) -> str:
        """What the URI names in the repository."""
        return self.repo.path

    def is_file(self, path: str) -> bool:
        """Whether there is a file of exactly this name."""
        return path in self.files

    def below(self, path: str) -> list[str]:
        """All files below a directory."""
        start = f"{path}/" if path else ""
        names = [name.removeprefix(start) for name in self.files if name.startswith(start)]
        if path and not names:
            raise self.location.problem(f"does not exist in {self.repo.id} at {self.revision[:12]}")
        return names

    def bring(self, path: str, target: Path, *, stop: Event) -> Path:
        """Download it, and compare it with the digest that the hub tells."""
        expected = self.files[path]

        def open_body(offset: int, version: str | None) -> Body:
            # A commit's file never changes, so a part needs no If-Range; storage hosts have ETags of their own.
            body = self.client.get(self.url(path), offset, None, refusal=self._refusal)
            return replace(body, version=expected.version)

        logger.info("downloading %s of %s at %s", path, self.repo.id, self.revision[:12])
        return download(self.location, open_body, target, expected, patience=self.client.patience, stop=stop)

    def _refusal(self, status: int, headers: Headers) -> FinetuneError:
        return refusal(self.location, status, headers, with_token=self.client.token is not None)


def open_hub(
    location: Location, repo_type: RepoType, *, revision: str, credentials: Credentials, patience: Patience
) -> HubStore:
    """Resolve a repository to a commit and list its files.

    Args:
        location: an hf:// URI.
        repo_type: model or dataset.
        revision: branch, tag or commit, where the URI names none.
        credentials: HF_ENDPOINT, HF_TOKEN.
        patience: how often to try.
    Raises: UserError if the repository or revision does not exist or may not be read; Transient if the hub does not answer.
    """
    from huggingface_hub import hf_hub_url

    repo = repository(location, repo_type)
    api = hub_api(location, credentials, patience)
    wanted = repo.revision or revision

    def ask() -> tuple[str, list[RepoSibling]]:
        look = api.dataset_info if repo_type == "dataset" else api.model_info
        info = look(repo.id, revision=wanted, files_metadata=True, timeout=patience.timeout)
        return info.sha or wanted, info.siblings or []

    commit, siblings = patiently(lambda: asking(location, credentials, ask), patience)
    return HubStore(
        location,
        repo,
        commit,
        {file.rfilename: _expected(file, commit) for file in siblings},
        lambda path: hf_hub_url(repo.id, path, repo_type=repo_type, revision=commit, endpoint=api.endpoint),
        client(location, credentials, patience, token=credentials.get("HF_TOKEN")),
    )


def _expected(file: RepoSibling, commit: str) -> Expected:
    """What the hub tells of a file. Some mirrors tell only its name: then its commit and path are its version."""
    if file.lfs is not None:
        return Expected(version=file.lfs.sha256, size=file.lfs.size, sha256=file.lfs.sha256)
    return Expected(version=file.blob_id or f"{commit}/{file.rfilename}", size=file.size, git=file.blob_id)
