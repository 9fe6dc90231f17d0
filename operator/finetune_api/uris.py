"""Paths of this machine as file:// URIs and back.

A directory may be called `Übung 50 %`, and a URI in a manifest holds no blank: what is written plainly would be refused when
it is read again. So what a URI cannot hold is written as %20 and the like, and nothing else: letters of any script stay.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

_FILE = "file://"
_NOT_IN_A_URI = re.compile(r"[\s%?#]")


def file_uri(path: Path | str) -> str:
    """The URI of an absolute path. Wildcards in it stay wildcards."""
    return _FILE + _NOT_IN_A_URI.sub(lambda sign: quote(sign[0], safe=""), str(path))


def file_path(uri: str) -> str | None:
    """The path that a file:// URI means, relative if it was written so; None for every other scheme."""
    return unquote(uri.removeprefix(_FILE)) if uri.startswith(_FILE) else None
