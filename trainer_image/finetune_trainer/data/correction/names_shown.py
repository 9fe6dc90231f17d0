"""Names of classes and fields as reports show them: as they are, unless they seem to be somebody's data.

A label may be the colleague who took the ticket, and where a table lacks the line with the names, its fields are called what
its first row holds. Reports have more readers than rows have. So such a name is covered as a text is (cover.py), behind its
number in the order of all, which tells the names apart and leads back to them whoever may read the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from finetune_api.v1alpha1.anonymize import ENTITIES, Anonymize
from finetune_trainer.data.anonymize.detect import FirstPass
from finetune_trainer.data.correction.cover import Cover
from finetune_trainer.data.inputs.shown import NOT_SHOWN, is_like_a_value, value_shown

_LONGEST = 160
"""Longer ones are texts."""
_SHOWN = 60
_COVERED = re.compile(r"(?:class|field) \d{1,9}: (?:\[[A-Z_]{1,40}\]|[xX0_]|\W)*+\Z")


def names_shown(names: Iterable[str], of: Literal["class", "field"]) -> dict[str, str]:
    """How names are shown, by name; no two alike.

    Args:
        names: all of them, in an order that a reader can find again. Names that came out of here before stay as they are.
        of: what they are names of. Of fields all are covered where one seems to be a value: then the line with the names is
            missing, and the others are values of the same person.
    """
    ordered = list(dict.fromkeys(names))
    bare = {name for name in ordered if not _COVERED.match(name)}
    settings = Anonymize()
    find = FirstPass([kind for kind in ENTITIES if kind != "ORGANIZATION"], settings.languages, {})
    hide = {name for name in bare if len(name) > _LONGEST or is_like_a_value(name) or find(name)}
    if hide and of == "field":
        hide = bare
    cover = Cover(settings) if hide else str
    return {name: f"{of} {number}: {_short(cover(name))}" if name in hide else name for number, name in enumerate(ordered, 1)}


def class_told(label: str) -> str:
    """A class as the end of `the label` in a message: in quotes, or not at all if it seems to be somebody's data."""
    return value_shown(label) if names_shown([label], "class")[label] == label else NOT_SHOWN


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
