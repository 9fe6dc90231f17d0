"""Columns of names and dates of birth in small tables, as mails and tickets have them: a heading says "Nachname", nothing else
tells of the cells.

Read are rows with |, ; or tabs between the cells, or commas where the heading is nothing but short cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.letters import CAPITALS, NAME, WORD
from finetune_trainer.data.anonymize.signs import OF_PEOPLE, any_in

_HEADING = re.compile(
    r"(?i:\A(?:vor|nach|familien|kunden|patienten|ruf)?name|\Aname,? ?vorname|\A(?:first|last|full|given|family|patient"
    r"|customer|client|contact)"
    r"[ _]?name|\Asurname|\Aansprechpartner(?:in)?|\Asachbearbeiter(?:in)?|\Apatient(?:in)?|\Amitarbeiter(?:in)?"
    r"|\Amieter(?:in)?|\Aemployee"
    r"|\Atenant|\Aversicherte[r]?)\Z"
)
_NAMED_BY = (
    "name",
    "ansprechpartner",
    "sachbearbeiter",
    "patient",
    "mitarbeiter",
    "mieter",
    "employee",
    "tenant",
    "versicherte",
)
_CELL = re.compile(rf"(?:(?:{WORD}|{CAPITALS}),[ ](?:{WORD}|{CAPITALS})|{NAME})\Z")
_BIRTHS = re.compile(
    r"(?i:geburts(?:datum|tag|tage)|geb\.?(?:[ -]?(?:dat(?:um|\.)?|am))?|geboren(?: am)?|date[ _]?of[ _]?birth"
    r"|birth[ _]?da(?:te|y)|born|d\.?o\.?b\.?)\Z"
)
_BORN_BY = ("geb.", "geb-", "geburts", "geboren", "birth", "born", "dob", "d.o.b")
"""Geb alone stands within half of all German words."""
_DATE = re.compile(
    r"(?:\d{1,2}[./-][ ]?\d{1,2}[./-][ ]?(?:\d{4}|\d{2})|\d{4}[./-]\d{1,2}[./-]\d{1,2}"
    r"|\d{1,2}\.?[ ][A-Za-zä]{3,9}\.?,?[ ]\d{4})\Z"
)
_SEPARATORS = ("|", "\t", ";", ",")
_LONGEST_LINE = 1_000
_LONGEST_HEADING = 30


@dataclass(frozen=True, slots=True)
class _Column:
    """What is looked for below a heading."""

    heading: re.Pattern[str]
    any_of: tuple[str, ...]
    """Of these, in small letters, one stands in each heading."""
    cell: re.Pattern[str]


_NAMES = _Column(_HEADING, _NAMED_BY, _CELL)
_DATES = _Column(_BIRTHS, _BORN_BY, _DATE)


def names_in_columns(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each cell that stands in a column of names and looks like one."""
    return _cells_below(text, _NAMES)


def births_in_columns(text: str) -> Iterator[Finding]:
    """The dates in columns of dates of birth."""
    for begin, end in _cells_below(text, _DATES):
        yield Finding("DATE_OF_BIRTH", begin, end)


def _cells_below(text: str, wanted: _Column) -> Iterator[tuple[int, int]]:
    if "\n" not in text or not any_in(text.lower(), wanted.any_of):
        return
    columns: tuple[int, ...] = ()
    separator, count, position = "", 0, 0
    for line in text.split("\n"):
        cells = _cells(line, separator) if separator else []
        if separator and len(cells) == count:
            for number in columns:
                begin, cell = cells[number]
                if wanted.cell.match(cell):
                    yield position + begin, position + begin + len(cell)
        elif not separator or not _is_rule(line):
            separator, columns, count = _heading(line, wanted)
        position += len(line) + 1


def _heading(line: str, wanted: _Column) -> tuple[str, tuple[int, ...], int]:
    """Separator, columns of what is wanted and number of cells, if the line heads a table; else nothing."""
    for separator in _SEPARATORS:
        if separator in line:
            if len(line) > _LONGEST_LINE or not any_in(line.lower(), wanted.any_of):
                break
            cells = _cells(line, separator)
            columns = tuple(number for number, (_, cell) in enumerate(cells) if wanted.heading.match(cell))
            short = all(len(cell) <= _LONGEST_HEADING for _, cell in cells)
            plain = all(cells[number][1].lower() == "name" for number in columns)
            people = not plain or any(OF_PEOPLE.search(cell) for _, cell in cells)
            return (separator, columns, len(cells)) if columns and short and people and len(cells) > 1 else ("", (), 0)
    return "", (), 0


def _cells(line: str, separator: str) -> list[tuple[int, str]]:
    """Each cell without blanks and quotation marks, with where it begins; the frame of a table in Markdown is no cell."""
    if len(line) > _LONGEST_LINE:
        return []
    found, position = [], 0
    for part in line.split(separator):
        bare = part.strip(' "\r')
        found.append((position + part.find(bare) if bare else position, bare))
        position += len(part) + 1
    if separator == "|":
        found = found[1:] if found and not found[0][1] else found
        found = found[:-1] if found and not found[-1][1] else found
    return found


def _is_rule(line: str) -> bool:
    """A line of dashes under a heading, or an empty frame."""
    return not line.strip(" |:+-\r")
