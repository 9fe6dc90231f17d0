"""What the rules did: how often, and at most three examples of each, which show the shape of a text and not what it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SAMPLES = 3
"""Examples of a rule that are kept: the first ones, in the order of the rows."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One text before and after a rule, covered by cover.py."""

    dataset: str
    file: str
    line: int
    before: str
    after: str | None
    """None: the row was left out."""
    found: str = ""
    """What the rule says of it, in a word or two."""


@dataclass(slots=True)
class Tally:
    """Counts of a part of the rows, merged in the order of the rows."""

    changed: Counter[str] = field(default_factory=Counter)
    """Examples changed, by rule."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows left out, by rule."""
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    """By rule."""
    languages: Counter[str] = field(default_factory=Counter)
    """Rows by language, of those that were looked at."""

    def merge(self, later: Tally) -> None:
        """Add what happened to rows that come after these."""
        self.changed.update(later.changed)
        self.dropped.update(later.dropped)
        self.languages.update(later.languages)
        for rule, samples in later.samples.items():
            self.samples[rule] = [*self.samples.get(rule, ()), *samples][:SAMPLES]
