"""Everything wrong with the rows of a run, collected, so that a person mends it in one go.

A row can be left out for a good reason (a copy, too long), which is counted. Or it must be mended, because leaving it out
would change what the user meant; then the run ends after the last row with every such place by name. Content is never
kept: only dataset, file, line and reason.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from finetune_api.errors import DataError

_SHOWN = 10


@dataclass(slots=True)
class _Place:
    file: str
    line: int
    rows: int = 1
    mapped: str | None = None


@dataclass(slots=True)
class Problems:
    """Reasons with their first place and their number of rows, per dataset."""

    read: Counter[str] = field(default_factory=Counter)
    """Rows read, by dataset."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows left out, by reason."""
    dropped_of: dict[str, Counter[str]] = field(default_factory=dict)
    """Rows left out, by dataset and reason."""
    _broken: dict[tuple[str, str, str], _Place] = field(default_factory=dict)

    def drop(self, dataset: str, reason: str, rows: int = 1) -> None:
        """Count rows that are left out."""
        self.dropped[reason] += rows
        self.dropped_of.setdefault(dataset, Counter())[reason] += rows

    def must_mend(self, dataset: str, path: str, file: str, line: int, reason: str, *, mapped: str | None = None) -> None:
        """Note a row that somebody has to mend.

        Args:
            path: of the dataset in the manifest.
            mapped: the field of the row that is to blame, if a mapping could help.
        """
        key = (dataset, path, reason)
        if key in self._broken:
            self._broken[key].rows += 1
        else:
            self._broken[key] = _Place(file, line, mapped=mapped)

    def raise_if_any(self) -> None:
        """End the run if a row must be mended.

        Raises: DataError with every reason, its first place and its number of rows.
        """
        if not self._broken:
            return
        sentences = []
        for (dataset, path, reason), place in list(self._broken.items())[:_SHOWN]:
            where = f"{place.file} line {place.line}" if place.line else place.file
            of = self.read[dataset]
            rows = f" ({place.rows:,} of {of:,} rows)" if of > 1 else ""
            mend = f" Map it with {path}.fields or mend the rows." if place.mapped else ""
            sentences.append(f'{path} "{dataset}": {where} {reason}{rows}.{mend}')
        more = len(self._broken) - _SHOWN
        if more > 0:
            sentences.append(f"And {more} further problems.")
        first = next(iter(self._broken))
        raise DataError("\n".join(sentences), field=None if len({key[1] for key in self._broken}) > 1 else first[1])
