"""What is counted while rows are worked on, as one value.

A batch counts for itself, wherever it is worked on; the stage adds its counts to its own in the order of the batches, and a
prepare that goes on after an interruption begins with those that the earlier one had. So whatever a step counts belongs here,
or in an object that stands here: then it travels, is added up and is kept without a further line anywhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from finetune_trainer.data.anonymize import Found
from finetune_trainer.data.anonymize.glance import Glimpsed
from finetune_trainer.data.correction.tally import Tally
from finetune_trainer.data.problems import Problems


@dataclass(slots=True)
class Counts:
    """Of one batch, or of all so far. Fields are of types that plain.py can write."""

    problems: Problems = field(default_factory=Problems)
    """Rows read, left out, and to be mended."""
    tally: Tally = field(default_factory=Tally)
    """What the rules of the correction did."""
    personal: Found | None = None
    """What anonymisation found; None where it was not asked for."""
    matched: Counter[int] = field(default_factory=Counter)
    """Rows that each rule of the weighting matched, by its number."""
    glimpsed: Glimpsed = field(default_factory=Glimpsed)
    """What a glance saw where anonymisation was not asked for."""
    turn_by_turn: int = 0
    """Conversations of which the template made an example per answer."""
    unmarked: Counter[str] = field(default_factory=Counter)
    """Answers taken from tickets whose export does not say whether customers saw them, by dataset."""
    guessed: Counter[str] = field(default_factory=Counter)
    """Threads of mail that were put together by a guess, by dataset (inputs/mail.py)."""

    def merge(self, later: Counts) -> None:
        """Add what was counted in rows that come after these."""
        self.problems.merge(later.problems)
        self.tally.merge(later.tally)
        self.matched.update(later.matched)
        self.glimpsed.merge(later.glimpsed)
        self.turn_by_turn += later.turn_by_turn
        self.unmarked.update(later.unmarked)
        self.guessed.update(later.guessed)
        if self.personal is not None and later.personal is not None:
            self.personal.merge(later.personal)
