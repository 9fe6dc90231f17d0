"""Columns of names in small tables, as mails and tickets have them: a heading says "Nachname", nothing else tells of the cells.

Read are rows with |, ; or tabs between the cells, or commas where the heading is nothing but short cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_trainer.data.anonymize.letters import CAPITALS, NAME, WORD
from finetune_trainer.data.anonymize.signs import any_in

_HEADING = re.compile(
    r"(?i:\A(?:vor|nach|familien|kunden|patienten|ruf)?name|\Aname,? ?vorname|\A(?:first|last|full|given|family|patient"
    r"|customer|client|contact)"
    r"[ _]?name|\Asurname|\Aansprechpartner(?:in)?|\Asachbearbeiter(?:in)?|\Apatient(?:in)?|\Amitarbeiter(?:in)?"
    r"|\Amieter(?:in)?|\Aemployee"
    r"|\Atenant|\Aversicherte[r]?)\Z"
)
_ANY = ("name", "ansprechpartner", "sachbearbeiter", "patient", "mitarbeiter", "mieter", "employee", "tenant", "versicherte")
OF_PEOPLE = re.compile(
    r"(?i:vorname|nachname|anrede|mail|telefon|tel\.?\Z|phone|mobil|handy|geburt|birth|geb\.|adresse|address|stra(?:ß|ss)e"
    r"|wohnort|alter\Z|age\Z)"
)
"""What heads other columns where the rows are people: Name, Type, Default heads settings."""
_CELL = re.compile(rf"(?:(?:{WORD}|{CAPITALS}),[ ](?:{WORD}|{CAPITALS})|{NAME})\Z")
_SEPARATORS = ("|", "\t", ";", ",")
_LONGEST_LINE = 1_000
_LONGEST_HEADING = 30


def names_in_columns(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each cell that stands in a column of names and looks like one."""
    if "\n" not in text or not _may_head(text):
        return
    columns: tuple[int, ...] = ()
    separator, count, position = "", 0, 0
    for line in text.split("\n"):
        cells = _cells(line, separator) if separator else []
        if separator and len(cells) == count:
            for number in columns:
                begin, cell = cells[number]
                if _CELL.match(cell):
                    yield position + begin, position + begin + len(cell)
        elif not separator or not _is_rule(line):
            separator, columns, count = _heading(line)
        position += len(line) + 1


def _heading(line: str) -> tuple[str, tuple[int, ...], int]:
    """Separator, columns of names and number of cells, if the line heads a table; else nothing."""
    for separator in _SEPARATORS:
        if separator in line:
            if len(line) > _LONGEST_LINE or not _may_head(line):
                break
            cells = _cells(line, separator)
            columns = tuple(number for number, (_, cell) in enumerate(cells) if _HEADING.match(cell))
            short = all(len(cell) <= _LONGEST_HEADING for _, cell in cells)
            plain = all(cells[number][1].lower() == "name" for number in columns)
            people = not plain or any(OF_PEOPLE.search(cell) for _, cell in cells)
            return (separator, columns, len(cells)) if columns and short and people and len(cells) > 1 else ("", (), 0)
    return "", (), 0


def _may_head(text: str) -> bool:
    return any_in(text.lower(), _ANY)


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
