"""s3://: objects of a bucket, each in the version that was listed.

A prefix is no directory: nothing stops somebody from replacing an object between the list and the download, or between two
halves of a download. So every read asks for the ETag that was listed, and a mixture cannot come about.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from finetune_api.errors import Transient, UserError
from finetune_trainer.sources.credentials import Credentials
from finetune_trainer.sources.download import Body, Expected, download
from finetune_trainer.sources.location import Location
from finetune_trainer.sources.patience import Patience
from finetune_trainer.sources.s3_api import asking, broken, s3_client

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class S3Store:
    """A bucket.

    Args:
        location: the URI.
        path: key, prefix or pattern in the bucket.
        client: of boto3.
        patience: how often to go on with a broken download.
        listed: what listing told of each key.
    """

    location: Location
    path: str
    client: Any
    patience: Patience
    listed: dict[str, Expected] = field(default_factory=dict)
    revision: str | None = None

    def is_file(self, path: str) -> bool:
        """Whether there is an object with exactly this key.

        Whoever may read one object need not be allowed to list the bucket: then the object itself is asked for.
        """
        try:
            # Keys come sorted, so the key itself is the first that begins with it.
            page = self._ask(lambda: self.client.list_objects_v2(Bucket=self.location.host, Prefix=path, MaxKeys=1))
        except UserError as refused:
            try:
                head = self._ask(lambda: self.client.head_object(Bucket=self.location.host, Key=path))
            except (UserError, Transient):  # the refusal to list says more, for a HEAD has no words
                raise refused from None
            self.listed[path] = _expected(head["ETag"], head["ContentLength"])
            return True
        self._note(page)
        return path in self.listed

    def below(self, path: str) -> list[str]:
        """All objects below a prefix, which ends where a slash stands."""
        start = f"{path.rstrip('/')}/" if path else ""

        def pages() -> list[dict[str, Any]]:
            return list(self.client.get_paginator("list_objects_v2").paginate(Bucket=self.location.host, Prefix=start))

        names = [key.removeprefix(start) for page in self._ask(pages) for key in self._note(page)]
        if start and not names:
            raise self.location.problem("does not exist: no object has this key or begins with it and a slash")
        return names

    def bring(self, path: str, target: Path, *, stop: Event) -> Path:
        """Download it."""
        expected = self.listed[path]

        def open_body(offset: int, version: str | None) -> Body:
            part = {"Range": f"bytes={offset}-"} if offset else {}
            answer = self._ask(
                lambda: self.client.get_object(Bucket=self.location.host, Key=path, IfMatch=expected.version, **part),
                what=path,
            )
            return Body(
                read=lambda size: self._read(answer["Body"], size),
                close=answer["Body"].close,
                offset=offset,
                size=expected.size,
                version=expected.version,
            )

        logger.info("downloading %s from bucket %s", path, self.location.host)
        return download(self.location, open_body, target, expected, patience=self.patience, stop=stop)

    def _note(self, page: dict[str, Any]) -> list[str]:
        found = {
            entry["Key"]: _expected(entry["ETag"], entry["Size"])
            for entry in page.get("Contents", ())
            if not entry["Key"].endswith("/")
        }
        self.listed.update(found)
        return list(found)

    def _ask(self, action: Any, *, what: str = "") -> Any:
        return asking(self.location, action, what=what)

    def _read(self, body: Any, size: int) -> bytes:
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # has no annotations

        try:
            return bytes(body.read(size))
        except BotoCoreError as error:
            raise broken(self.location, error) from None


def _expected(etag: str, size: int) -> Expected:
    return Expected(version=etag, size=size)


def open_s3(location: Location, credentials: Credentials, patience: Patience) -> S3Store:
    """The bucket of an s3:// URI.

    Raises: UserError if the URI names no bucket, or there are no credentials.
    """
    if not location.host:
        raise location.problem("names no bucket", hint="Write s3://bucket/key.")
    return S3Store(location, location.path, s3_client(location, credentials, patience), patience)
