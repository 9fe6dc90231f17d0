"""Publishing to hf://: one commit, which the hub applies whole or not at all.

The library's upload_folder() would be shorter, but where Xet is installed it makes several commits, and readers of the
branch see the states between. So the operations are listed here: all files are added, and what is no longer there is
deleted, in one commit on top of the one that was looked at. Files are given to it open: then it uses plain uploads, which
every hub has and which are heard here as they go on; of Xet storage only the hub of that name knows.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_trainer.sources.credentials import Credentials
from finetune_trainer.sources.hub import Repository, repository
from finetune_trainer.sources.hub_api import asking, hub_api
from finetune_trainer.sources.location import Location
from finetune_trainer.sources.patience import Patience, patiently
from finetune_trainer.sources.publication import Publication, check_replaceable

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.getLogger(__name__)

_MADE_BY_THE_HUB = {".gitattributes", "README.md"}


def publish_hub(
    what: Publication, location: Location, credentials: Credentials, patience: Patience, beat: Callable[[], None]
) -> None:
    """Make a model repository equal to a directory; a repository that does not exist is made, private.

    Args:
        what: the files.
        location: the target: hf://org/name, or hf://org/name@branch.
        credentials: HF_TOKEN, which must be allowed to write, and HF_ENDPOINT.
        patience: how often to try.
        beat: called as bytes are taken.
    Raises: UserError if the repository holds something else or may not be written; Transient if the hub failed too often.
    """
    repo = repository(location, "model")
    if repo.path:
        raise location.problem("names a path in a repository", hint="A publication is a whole repository: hf://org/name.")
    api = hub_api(location, credentials, patience)

    def attempt() -> None:
        commit, found = _prepare(api, repo)
        if found - _MADE_BY_THE_HUB:
            check_replaceable(found, what, location)
        _commit(api, repo, what, commit, found, beat)

    patiently(lambda: asking(location, credentials, attempt), patience)
    logger.info("published %d files at %s", len(what.names), location.shown)


def _prepare(api: HfApi, repo: Repository) -> tuple[str, set[str]]:
    """Make repository and branch if they are not there: the branch's commit, and its files."""
    api.create_repo(repo.id, private=True, exist_ok=True)
    if repo.revision is not None:
        api.create_branch(repo.id, branch=repo.revision, exist_ok=True)
    info = api.model_info(repo.id, revision=repo.revision or "main")
    return info.sha or "", {file.rfilename for file in info.siblings or ()}


class _Heard(io.BufferedReader):
    """An open file that tells when somebody reads on in it."""

    def __init__(self, path: Path, beat: Callable[[], None]) -> None:
        super().__init__(io.FileIO(path))
        self._beat = beat

    def read(self, size: int | None = -1, /) -> bytes:
        self._beat()
        return super().read(size)


def _commit(api: HfApi, repo: Repository, what: Publication, parent: str, found: set[str], beat: Callable[[], None]) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    gone = sorted(found - set(what.names) - {".gitattributes"})
    with ExitStack() as files:
        sources = [files.enter_context(_Heard(what.path(name), beat)) for name in what.names]
        api.create_commit(
            repo.id,
            [*map(CommitOperationAdd, what.names, sources), *map(CommitOperationDelete, gone)],
            commit_message="Publish a fine-tuned model",
            revision=repo.revision or "main",
            parent_commit=parent or None,
        )
