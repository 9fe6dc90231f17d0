"""The reports of a job as files: unpacked from what a cluster sent, or copied from a workspace, whole or not at all."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from finetune_api.errors import UserError

PAGE, EVALUATION = "report.html", "evaluation.json"
NAMES = (PAGE, EVALUATION, "data.html", "data.json", "training.json", "plan.json", "provenance.json")
"""What there can be, the most telling first; none of them is there before its stage has ended."""
MOST_BYTES = 256 * 2**20
"""More than any report; what is larger is not what it says it is."""


def unpacked(archive: bytes) -> dict[str, bytes]:
    """The reports in a compressed tar. Of what a pod sends only files with these very names are taken.

    Raises: UserError if it is cut off, no tar, or too large when unpacked.
    """
    found: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
            for member in opened:
                total += member.size
                if total > MOST_BYTES:
                    raise UserError(f"the reports are larger than {MOST_BYTES:,} bytes")
                source = opened.extractfile(member) if member.isfile() and member.name in NAMES else None
                if source is not None:
                    found[member.name] = source.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"the reports did not arrive whole: {error}", hint="Try again.") from None
    return found


def read_folder(folder: Path) -> dict[str, bytes]:
    """The reports in a workspace's folder. Raises: UserError if one cannot be read."""
    try:
        return {name: (folder / name).read_bytes() for name in NAMES if (folder / name).is_file()}
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None


def write(reports: Mapping[str, bytes], target: Path) -> list[Path]:
    """Write reports where a person wants them; returns what was written.

    Args:
        target: a name that ends with .html gets the page, one with .json the evaluation; any other is a folder for all.
    Raises: UserError if the one that was asked for is not there, or the place cannot be written.
    """
    alone = {".html": PAGE, ".json": EVALUATION}.get(target.suffix.lower()) if not target.is_dir() else None
    if alone is not None and alone not in reports:
        raise UserError(f"there is no {alone} yet; there is {', '.join(reports) or 'nothing'}")
    chosen = {target: reports[alone]} if alone else {target / name: content for name, content in reports.items()}
    written = []
    try:
        for path, content in chosen.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{path.name}.writing-{os.getpid()}")
            aside.write_bytes(content)
            aside.replace(path)
            written.append(path)
    except OSError as error:
        raise UserError(f"{error.filename or target} cannot be written: {error.strerror}") from None
    return written
