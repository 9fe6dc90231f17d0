"""Texts that may be shown: personal data replaced by its kind, every other letter and digit covered.

No detector finds every name, so finding alone would not be enough to put a text into a report. What stays are signs, blanks
and lines, and what a rule looked at, as far as that is the same in everybody's texts.
"""

from __future__ import annotations

import re

from finetune_api.v1alpha1.anonymize import ENTITIES, Anonymize
from finetune_trainer.data.anonymize.detect import FirstPass

_SHOWN = 200
"""Characters."""
_BEFORE_THE_CHANGE = 60
_SEARCHED = 200
"""Characters on both sides of what is shown in which cues for personal data may stand."""
_LETTER = re.compile(r"[^\W_]")
_DIGIT = re.compile(r"\d")
_BLANKS = re.compile(r"^[ \t\u00a0]+|(?<![ \t\u00a0])[ \t\u00a0]++(?=[\r\n]|\Z)")


class Cover:
    """Covers texts.

    Args:
        settings: which languages personal data is looked for in, and patterns of one's own, whatever the strategy is.
    """

    def __init__(self, settings: Anonymize) -> None:
        self._find = FirstPass(ENTITIES, settings.languages, {one.name: one.pattern for one in settings.patterns})

    def __call__(self, text: str, keep: re.Pattern[str] | None = None, *, begin: int = 0) -> str:
        """The text from a place on, at most 200 characters of it, covered.

        Args:
            keep: what may be seen besides signs; must match only what is the same in everybody's texts.
        """
        end = min(len(text), begin + _SHOWN)
        start = max(0, begin - _SEARCHED)
        around = text[start : end + _SEARCHED]
        first, last = begin - start, end - start
        pieces, position = [], first
        for finding in self._find(around):
            if finding.end <= position or finding.begin >= last:
                continue
            pieces += [covered(around[position : max(position, finding.begin)], keep), f"[{finding.kind}]"]
            position = finding.end
        pieces.append(covered(around[position:last], keep))
        return f"{'…' if begin else ''}{''.join(pieces)}{'…' if end < len(text) else ''}"

    def change(self, before: str, after: str, keep: re.Pattern[str] | None = None, *, blanks: bool = False) -> tuple[str, str]:
        """Two versions of a text, around the place where they begin to differ.

        Args:
            blanks: make those visible that end a line.
        """
        same = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(after))
        begin = max(0, min(same, len(before)) - _BEFORE_THE_CHANGE)
        shown = self(before, keep, begin=begin), self(after, keep, begin=begin)
        return (_BLANKS.sub(_picture, shown[0]), _BLANKS.sub(_picture, shown[1])) if blanks else shown


def covered(text: str, keep: re.Pattern[str] | None = None) -> str:
    """Letters as x and X, digits as 0; signs, blanks and lines stay.

    Args:
        keep: what may be seen besides.
    """
    if keep is None:
        return _LETTER.sub(_cover, text)
    pieces, position = [], 0
    for match in keep.finditer(text):
        pieces += [_LETTER.sub(_cover, text[position : match.start()]), match.group()]
        position = match.end()
    return "".join([*pieces, _LETTER.sub(_cover, text[position:])])


def without_digits(text: str) -> str:
    """Digits as 0, all else as it is: words may be seen where no number may, since of any form it may lead to somebody."""
    return _DIGIT.sub("0", text)


def _cover(letter: re.Match[str]) -> str:
    one = letter.group()
    return "0" if one.isdigit() else "X" if one.isupper() else "x"


def _picture(blanks: re.Match[str]) -> str:
    return blanks.group().replace("\t", "→").replace(" ", "·").replace("\u00a0", "·")
