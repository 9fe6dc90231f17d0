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


def how_to_mend(reason: str) -> str | None:
    """What to do about bytes that cannot be read; None where the reason says it itself."""
    if "not UTF-8" not in reason:
        return None
    return (
        "Save it as UTF-8 (in Excel: CSV UTF-8). A file of Windows becomes UTF-8 with iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW."
    )


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

    def merge(self, later: Problems) -> None:
        """Add what was found in rows that come after these."""
        self.read.update(later.read)
        for dataset, reasons in later.dropped_of.items():
            for reason, rows in reasons.items():
                self.drop(dataset, reason, rows)
        for key, place in later._broken.items():
            if key in self._broken:
                self._broken[key].rows += place.rows
            else:
                self._broken[key] = place

    def raise_if_any(self) -> None:
        """End the run if a row must be mended.

        Raises: DataError with every reason, its first place and its number of rows.
        """
        if not self._broken:
            return
        paths = {path for _, path, _ in self._broken}
        sentences = []
        for (dataset, path, reason), place in list(self._broken.items())[:_SHOWN]:
            where = f"{place.file} line {place.line}" if place.line else place.file
            of = self.read[dataset]
            rows = f" ({place.rows:,} of {of:,} rows)" if of > 1 else ""
            mend = f" Map it with {path}.fields or mend the rows." if place.mapped else ""
            whose = f'dataset "{dataset}"' if len(paths) == 1 else f'{path} "{dataset}"'
            sentences.append(f"{whose}: {where} {reason}{rows}.{mend}")
        more = len(self._broken) - _SHOWN
        if more > 0:
            sentences.append(f"And {more} further problems.")
        hints = (hint for _, _, reason in self._broken if (hint := how_to_mend(reason)))
        raise DataError("\n".join(sentences), field=paths.pop() if len(paths) == 1 else None, hint=next(hints, None))
