"""A glance at data that nobody asked to make anonymous: whether the first rows seem to hold something personal.

It changes nothing and proves nothing. But whoever forgot the block `anonymize` reads in the report what they forgot, before a
model has learned it. Looked for is only what is seldom anything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from finetune_trainer.data.anonymize.detect import FirstPass
from finetune_trainer.data.anonymize.findings import BORDER
from finetune_trainer.data.anonymize.second import is_reserved
from finetune_trainer.data.inputs.formats import Example

_OBVIOUS = ("EMAIL", "PHONE", "IBAN", "CREDIT_CARD", "TAX_ID", "SOCIAL_SECURITY", "DATE_OF_BIRTH", "PERSON")
_CHARACTERS = 4_000
"""Of each example: documents may be long, and this is only a glance."""
_OF_FIRST_FILE, _OF_FURTHER_FILES, _FILES = 1_024, 16, 64


@dataclass(slots=True)
class Glimpsed:
    """What a glance saw: numbers, never what."""

    examples: int = 0
    """Looked at."""
    holding: int = 0
    """Of these seem to hold something personal."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Examples by kind."""

    def merge(self, later: Glimpsed) -> None:
        """Add what was seen in examples that come after these."""
        self.examples += later.examples
        self.holding += later.holding
        self.kinds.update(later.kinds)


class Glance:
    """Counts examples that seem to hold personal data.

    Args:
        languages: of the texts, as declared.
    """

    def __init__(self, languages: tuple[str, ...]) -> None:
        self._find = FirstPass(_OBVIOUS, languages, {})

    def __call__(self, examples: Iterable[Example]) -> Glimpsed:
        """What is seen in these."""
        seen = Glimpsed()
        for example in examples:
            text = example.text if example.text is not None else BORDER.join(message.content for message in example.messages)
            part = text[:_CHARACTERS]
            kinds = {
                one.kind
                for one in self._find(part)
                if one.kind != "EMAIL" or not is_reserved(part[one.begin : one.end].rpartition("@")[2])
            }
            seen.examples += 1
            seen.holding += bool(kinds)
            seen.kinds.update(sorted(kinds))
        return seen


def rows_to_glance_at(file_number: int, rows_before: int) -> int:
    """How many of the next rows of a file a glance is at: the same ones after an interruption.

    Args:
        file_number: of the dataset.
        rows_before: of this file.
    """
    most = _OF_FIRST_FILE if file_number == 0 else _OF_FURTHER_FILES if file_number < _FILES else 0
    return max(0, most - rows_before)
