"""A URI taken apart once, and the one place that decides how it is shown.

A query may be a signature that opens the file to whoever reads it, and messages end in logs, statuses and Events. So
nothing outside this module writes a URI: errors are made by a `Location`, which knows its field and leaves the query out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from finetune_api.errors import Transient, UserError
from finetune_trainer.sources.patience import Again

_URI = re.compile(r"(?P<scheme>[A-Za-z0-9+]+)://(?P<host>[^/?#]*)(?:/(?P<path>[^?#]*))?(?P<query>[?#].*)?")


@dataclass(frozen=True, slots=True)
class Location:
    """Where something is, and whom to blame when it is not there.

    Args:
        scheme: file, pvc, configMap, https, hf, s3, presidio+http or presidio+https.
        host: what stands before the first slash: host, bucket, claim, config map or organisation.
        raw_path: the rest up to the query, as written, without its first slash.
        query: the query with its question mark; a secret.
        field: path of the URI in the manifest.
    """

    scheme: str
    host: str
    raw_path: str
    query: str = field(repr=False)
    field: str

    @property
    def path(self) -> str:
        """The path with %20 and the like replaced by what they stand for: a URI has no other way to name a blank."""
        return unquote(self.raw_path)

    @property
    def shown(self) -> str:
        """The URI for people: without its query."""
        return f"{self.scheme}://{self.host}/{self.raw_path}" if self.raw_path else f"{self.scheme}://{self.host}"

    def problem(self, message: str, *, hint: str | None = None) -> UserError:
        """An error about this URI that somebody has to put right."""
        return UserError(f"{self.shown} {message}.", field=self.field, hint=hint)

    def transient(self, message: str) -> Transient:
        """An error about this URI that may be over when the stage is started again."""
        return Transient(f"{self.shown} {message}.", field=self.field)

    def again(self, message: str, *, after: float | None = None) -> Again:
        """A failed try that may work in a moment."""
        return Again(self.transient(message), after=after)

    def secret_hint(self, *variables: str) -> str:
        """How to give credentials for this URI."""
        block = self.field.rpartition(".")[0]
        place = f"{block}.secretName" if block else "secretName"
        return f"Name a Secret with {' and '.join(variables)} in {place}; in a local run set them in the environment."


def parse(uri: str, *, field: str) -> Location:
    """Take a URI apart.

    Args:
        uri: as in the manifest.
        field: its path in the manifest, for messages.
    Raises: UserError if it is no URI, climbs out with `..`, carries a password, or has a query where none can be meant.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise UserError("This is no URI of the form scheme://place/path.", field=field)
    location = Location(match["scheme"], match["host"], match["path"] or "", match["query"] or "", field)
    if "@" in location.host and location.scheme in ("https", "presidio+http", "presidio+https"):
        bare = Location(location.scheme, location.host.rpartition("@")[2], location.raw_path, "", field)
        raise bare.problem("carries a user name or password", hint=bare.secret_hint("HTTPS_TOKEN"))
    if location.query and location.scheme != "https":
        raise location.problem("must not have a query or fragment", hint="Write ? as %3F and # as %23 in a file name.")
    if ".." in location.path.split("/") or "\0" in location.path:
        raise location.problem("must not contain .. in its path")
    return location


def has_pattern(path: str) -> bool:
    """Whether a path has `*` or `[` in it, so that it may name several files."""
    return "*" in path or "[" in path


def split_pattern(path: str) -> tuple[str, str]:
    """A pattern as the directory above its first wildcard, and what must match below: data/2026-*/x -> data, 2026-*/x."""
    segments = path.split("/")
    first = next(position for position, segment in enumerate(segments) if has_pattern(segment))
    return "/".join(segments[:first]), "/".join(segments[first:])


def matcher(pattern: str) -> Callable[[str], bool]:
    """A pattern as a predicate on relative paths: `*` within a name, `**` over directories, `[ab]` one of these.

    One meaning for every scheme: a bucket, a hub and a directory would otherwise each read a pattern differently.

    Raises: ValueError for a set that makes no sense, such as [z-a].
    """
    said = {"**/": "(?:.+/)?", "**": ".*", "*": "[^/]*"}
    parts = re.split(r"(\*\*/|\*\*|\*|\[[^\]/]+\])", pattern)
    expression = "".join(
        said[part] if part in said else _one_of(part) if part.startswith("[") and part.endswith("]") else re.escape(part)
        for part in parts
    )
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no pattern: {error}") from None
    return lambda name: compiled.fullmatch(name) is not None


def _one_of(part: str) -> str:
    inside = part[1:-1].replace("\\", "\\\\")
    return f"(?!/)[^{inside[1:]}]" if inside.startswith("!") else f"(?!/)[{inside}]"
