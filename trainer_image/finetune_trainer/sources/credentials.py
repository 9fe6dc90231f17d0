"""Who we are to a server: looked up in an environment that is handed in, the URI's own Secret first.

A stage may read a model, several datasets and a suite from stores with different accounts. The Secret of each is mounted
under a prefix of its own; what it leaves out is taken from the variables that all share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials for one URI.

    Args:
        environment: the environment of the process, or a test's own. Never shown: it holds secrets.
        prefix: of the variables that belong to this URI, as in MODEL_.
    """

    environment: Mapping[str, str] = field(repr=False)
    prefix: str = ""

    def get(self, name: str) -> str | None:
        """The variable with the prefix, else without it; None if neither is set to something."""
        return self.environment.get(self.prefix + name) or self.environment.get(name) or None

    def together(self, *names: str) -> tuple[str | None, ...]:
        """Variables that belong together, all from where the first is found: a key of one account and the session of
        another would be refused, and the message would mislead."""
        prefix = self.prefix if self.environment.get(self.prefix + names[0]) else ""
        return tuple(self.environment.get(prefix + name) or None for name in names)
