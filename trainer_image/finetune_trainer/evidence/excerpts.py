"""A few words of an example for a person who judges its weight, without what leads to somebody.

Where personal data was replaced, an excerpt is masked once more, its digits are covered (a number of no known form may lead to
somebody), and it is shown only if the second look finds nothing in it. Everywhere else, and where it finds something, letters
are covered too: then the length and the form are seen, and the place says where to read it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from finetune_api.v1alpha1.anonymize import Anonymize
from finetune_trainer.data.anonymize import Anonymizer, leftovers
from finetune_trainer.data.correction.cover import covered, without_digits
from finetune_trainer.data.inputs.formats import ROLES, Example, Message
from finetune_trainer.data.store import Documents

_SHOWN = 160
"""Characters of what is asked, and of what is answered."""
_READ = 4096
"""Tokens of either that are decoded: an item that is cut at the end of the excerpt must still be known as one."""


class Excerpts:
    """Excerpts of prepared examples.

    Args:
        tokenizer: by which they were encoded.
        settings: of the anonymisation.
    """

    def __init__(self, tokenizer: Any, settings: Anonymize) -> None:
        self._tokenizer = tokenizer
        masked = settings.model_copy(update={"strategy": "mask", "secret_name": None})
        self._mask = Anonymizer(masked, {}) if settings.strategy != "none" else None

    def __call__(self, documents: Documents, index: int) -> str:
        """The beginning of what is asked last and of what is answered, on one line."""
        ids, learned = documents.ids(index), documents.mask(index)
        begin = int(np.argmax(learned)) if learned.any() else len(ids)
        # A document of which all is learned has a first token without loss, which is no question.
        parts = [ids] if begin <= 1 else [ids[:begin], ids[begin:]]
        texts = self._shown([self._last_turn(part) for part in parts[:-1]] + [self._decoded(parts[-1])])
        return " → ".join(_cut(text) for text in texts if text)

    def _last_turn(self, ids: np.ndarray) -> str:
        """What is asked last: before it may stand a system prompt, which is the same in many examples."""
        borders = np.flatnonzero(np.isin(ids, self._tokenizer.all_special_ids))
        turns = [self._decoded(part) for part in np.split(ids, borders)]
        for turn in reversed(turns):
            role, _, rest = turn.partition(" ")
            said = rest if role.lower() in ROLES else turn
            if said:
                return said
        return ""

    def _decoded(self, ids: np.ndarray) -> str:
        return " ".join(self._tokenizer.decode(ids[:_READ].tolist(), skip_special_tokens=True).split())

    def _shown(self, texts: list[str]) -> list[str]:
        if self._mask is not None:
            # As one conversation: who is introduced in the question is known in the answer.
            masked = self._mask(Example(messages=tuple(Message("user", text) for text in texts)), place="")
            found = [message.content for message in masked.messages]
            if not any(leftovers(text) for text in found):
                return [without_digits(text) for text in found]
        return [covered(text) for text in texts]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN].rstrip()}…"
