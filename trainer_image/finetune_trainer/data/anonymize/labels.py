"""Whether what stands behind a label is somebody: "Name: Function" and "author": "Redaktion" are not.

A colon in a line says more than the quotation marks of JSON, the border of a cell, a tag, or a label in the line above: there
any other value may stand, so a list has to know a part of the name, or other labels of people have to stand nearby.
"""

from __future__ import annotations

import re

from finetune_trainer.data.anonymize.extents import LEAST_CAPITALS
from finetune_trainer.data.anonymize.known_names import known_given
from finetune_trainer.data.anonymize.letters import plain_case
from finetune_trainer.data.anonymize.mentions import is_noun, is_surname
from finetune_trainer.data.anonymize.signs import OF_PEOPLE, Signs

_NAMED = re.compile(r"(?i:name)[\"'*)\]`\s]*[:=|\t>]")
"""A label of people, and of parameters, files and programs: "Name: Function" is nobody if no address or the like is near."""
_OF_A_PERSON = re.compile(
    r"(?i:(?:vor|nach|familien|zu|geburts|ruf|kunden)name|(?:first|last|middle|given|family)[ _]?name|surname)"
)
"""Labels of nothing but people."""
_LOOSELY = re.compile(r"[\"'\n|>]|\A[^:=]*\t")
"""Between a label and a name: as in JSON, in a cell, a tag or the line above, where any other value may stand."""
_OF_A_THING = re.compile(
    r"(?i:(?<![\w-])(?:typ|type|version|wert|value|default|format|größe|size|beschreibung|description)[\"'*]{0,3}"
    r"[ \t]{0,3}[:=|])"
)
"""Labels beside which a name is that of a thing."""
_NEARBY = 200
_LINE_ENDS = re.compile(r"[ \t]*\r?$", re.MULTILINE)


def is_labelled(signs: Signs, match: re.Match[str], end: int, words: list[str]) -> bool:
    """Whether what stands behind a label is a name, and not the name of a thing.

    Args:
        match: of the label with what stands behind it, in its first group.
        end: of the name.
        words: of the name.
    """
    text = signs.text
    label = text[match.start() : match.start(1)]
    if ">" in label and text[match.start() - 1 : match.start()] not in ("<", ":"):
        return False
    if "\n" in label and not _LINE_ENDS.match(text, end):
        return False
    if _OF_A_PERSON.match(label) and "|" not in label and "\t" not in label:
        return True
    known = any(plain_case(word.strip(",")).split("-")[0] in known_given() or is_surname(word.strip(",")) for word in words)
    if not _LOOSELY.search(label):
        is_lone = len(words) == 1 and not known
        return not (is_lone and _NAMED.match(label)) or signs.is_of_people
    if is_noun(words[-1]):
        return False
    if known and len(words) > 1:
        return True
    if "\n" not in label and not signs.is_of_people:
        return False
    nearby = text[max(0, match.start() - _NEARBY) : match.end() + _NEARBY]
    if "|" in label or "\t" in label or _OF_A_THING.search(nearby) or (words[0].isupper() and len(words[0]) < LEAST_CAPITALS):
        return False
    return ("\n" in label and len(words) > 1 and _NAMED.match(label) is not None) or OF_PEOPLE.search(nearby) is not None
