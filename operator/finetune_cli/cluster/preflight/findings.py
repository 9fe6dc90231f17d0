"""What a look at a cluster found about a job that is not there yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding weighs."""

    PROBLEM = "problem"
    """The job cannot run as it is."""
    WARNING = "warning"
    """It may wait, or fail in a way that cannot be told from here."""
    UNSEEN = "unseen"
    """We were not allowed to look, or there was nothing to tell it by."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to know before the job is submitted."""

    level: Level
    field: str
    """Path into the manifest, where one is concerned."""
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def problem(field: str, message: str) -> Finding:
    """The job cannot run as it is."""
    return Finding(Level.PROBLEM, field, message)


def warning(field: str, message: str) -> Finding:
    """It may wait, or fail."""
    return Finding(Level.WARNING, field, message)


def unseen(field: str, message: str) -> Finding:
    """It could not be looked at."""
    return Finding(Level.UNSEEN, field, message)
