"""A file that others read is there whole or not at all, whenever its writer is killed or the disk is full."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file aside and rename it; what stood there before stays until then."""
    aside = path.with_name(f"{path.name}.writing")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
