"""Publishing to s3://: object stores know no rename, so the order of writes has to do.

Readers begin at the files that are written last. When a publication is replaced, these are deleted first: so a reader sees
the old one, nothing, or the new one, whatever happens in between. A marker stands at the target for as long as the rest may
be half written; it tells the next attempt that what lies there without a manifest is ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from finetune_api.errors import UserError
from finetune_trainer.sources.location import Location
from finetune_trainer.sources.publication import Publication, check_replaceable
from finetune_trainer.sources.s3 import S3Store
from finetune_trainer.sources.s3_api import asking

logger = logging.getLogger(__name__)

MARKER = ".publishing"
_MARK = b"A model is being published here. Until manifest.json stands beside this file, it is not complete.\n"
_ENTRIES = ("config.json", "adapter_config.json")
_PART = 64 << 20


def publish_s3(what: Publication, store: S3Store, location: Location, beat: Callable[[], None]) -> None:
    """Make the objects below a prefix equal to a directory.

    Args:
        what: the files.
        store: the bucket.
        location: the target.
        beat: called as bytes are taken.
    Raises: UserError if the prefix holds something else or may not be written; Transient if the store failed too often.
    """
    target = _Target(store, location, beat)
    found = target.sizes()
    if target.has(what.manifest, what.path(what.manifest).read_bytes(), found) and what.sizes().items() <= found.items():
        target.delete(name for name in (MARKER,) if name in found)
        logger.info("already published at %s", location.shown)
        return
    if found:
        check_replaceable(found, what, location, marker=MARKER)
    target.write(MARKER, _MARK)
    target.abort_uploads(what)
    # Where readers begin goes first, also where the old publication was of another kind than the new one.
    entries = dict.fromkeys((*reversed(what.last), *_ENTRIES))
    target.delete(name for name in entries if name in found)
    target.delete(name for name in found if name not in what.names and name not in entries and name != MARKER)
    for name in what.first:
        target.upload(name, what)
    kept = target.sizes()
    if any(kept.get(name) != size for name, size in what.sizes().items() if name in what.first):
        raise location.transient("did not keep all that was uploaded")
    for name in what.last:
        target.upload(name, what)
    target.delete([MARKER])
    logger.info("published %d files at %s", len(what.names), location.shown)


@dataclass(frozen=True, slots=True)
class _Target:
    store: S3Store
    location: Location
    beat: Callable[[], None]

    @property
    def client(self) -> Any:
        return self.store.client

    @property
    def bucket(self) -> str:
        return self.location.host

    def key(self, name: str) -> str:
        prefix = self.store.path.strip("/")
        return f"{prefix}/{name}" if prefix else name

    def sizes(self) -> dict[str, int]:
        """What is there: relative names and bytes."""
        start = self.key("")
        pages = self.client.get_paginator("list_objects_v2")
        entries = asking(
            self.location,
            lambda: [
                entry
                for page in pages.paginate(Bucket=self.bucket, Prefix=start)
                for entry in page.get("Contents", ())
                if entry["Key"] != start
            ],
        )
        return {entry["Key"].removeprefix(start): entry["Size"] for entry in entries}

    def has(self, name: str, content: bytes, found: dict[str, int]) -> bool:
        """Whether an object has this content; asked only if its size fits."""
        if found.get(name) != len(content):
            return False
        answer = asking(self.location, lambda: self.client.get_object(Bucket=self.bucket, Key=self.key(name)), what=name)
        return bool(asking(self.location, answer["Body"].read, what=name) == content)

    def write(self, name: str, content: bytes) -> None:
        asking(self.location, lambda: self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=content), what=name)

    def upload(self, name: str, what: Publication) -> None:
        """Upload a file, a large one in parts; if that fails, the parts are taken back."""
        from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]  # has no annotations

        parts = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=4)
        with what.path(name).open("rb") as file:
            told = {"Config": parts, "Callback": lambda _: self.beat()}
            asking(self.location, lambda: self.client.upload_fileobj(file, self.bucket, self.key(name), **told), what=name)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, one after the other, in this order."""
        for name in names:
            asking(self.location, partial(self.client.delete_object, Bucket=self.bucket, Key=self.key(name)), what=name)

    def abort_uploads(self, what: Publication) -> None:
        """Take back the parts of a publish that was killed: nobody sees them, and they are paid for.

        Below a prefix all are ours. In a bucket without one others may be uploading, so there it is those of our names alone.
        """
        try:
            answer = asking(self.location, lambda: self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=self.key("")))
        except UserError:
            return  # may write, may not list uploads: then they stay
        for upload in answer.get("Uploads", ()):
            if not self.key("") and upload["Key"] not in what.names:
                continue
            which = {"Bucket": self.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            asking(self.location, partial(self.client.abort_multipart_upload, **which))
