"""Which language a text is in, by a local identifier with its model inside (eldc, Nito-ELD).

It is right for all but one in a hundred texts from thirty characters on; below, and for text that is code, numbers or
addresses, nobody can say, and nothing is left out for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune_api.errors import UserError

UNDETERMINED = "undetermined"
_LEAST_LETTERS = 24
"""In about thirty characters of prose."""
_LOOKED_AT = 1000
"""Characters."""
_BLANKS = b" \t\n"
_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_PROSE = _LETTERS + bytes(range(48, 58)) + b".,!?-"
_MOST_SIGNS = 0.07
"""Share of signs that are not those of sentences, among what is no blank. Of functions in Python 96 in 100 have more, of
paragraphs fewer than two."""


class Identifier:
    """Says the language of texts.

    Args:
        needed: whether the manifest asks for it.
    Raises: UserError if it is needed and the library is missing.
    """

    def __init__(self, *, needed: bool) -> None:
        self._detect: Any = None
        try:
            import eldc

            eldc.init()
            self._detect = eldc.detect_details
        except ImportError:
            if needed:
                raise UserError(
                    "languages cannot be told apart here: the library eldc is not installed",
                    field="spec.preparation.clean.languages",
                    hint="Install the trainer with its extra: pip install finetune-operator[trainer].",
                ) from None

    @property
    def is_there(self) -> bool:
        """Whether it can say anything."""
        return self._detect is not None

    def __call__(self, texts: Sequence[str]) -> str:
        """The language of an example, ISO 639-1, or `undetermined`.

        Args:
            texts: its texts, the answer last. The answer decides; where it says too little, all of them do.
        """
        found = self._of(texts[-1])
        return self._of("\n".join(texts)) if found == UNDETERMINED and len(texts) > 1 else found

    def _of(self, text: str) -> str:
        if "```" in text:
            text = "".join(text.split("```")[::2])
        text = text[:_LOOKED_AT]
        ascii_part = text.encode("ascii", "ignore")
        plain = ascii_part.translate(None, _BLANKS)
        letters = len(text) - len(ascii_part) + len(plain) - len(plain.translate(None, _LETTERS))
        if letters < _LEAST_LETTERS or len(plain.translate(None, _PROSE)) > _MOST_SIGNS * len(plain):
            return UNDETERMINED
        try:
            details = self._detect(text)
        except UnicodeEncodeError:  # a lone surrogate, where the rule that removes them is off
            return UNDETERMINED
        return str(details.language) if details.reliable else UNDETERMINED
