"""Long texts, and copies of them as people make them: a few words, another number, capitals, punctuation."""

from __future__ import annotations

import random
from functools import cache

from real_texts import paragraphs

_paragraphs = cache(paragraphs)


def long_texts(count: int, *, words: int = 90) -> list[str]:
    """So many texts of at least so many words about different things, the same ones on every machine with this Python."""
    found: list[str] = []
    text: list[str] = []
    for paragraph in _paragraphs(100_000):
        text.append(" ".join(paragraph.split()))
        if sum(len(part.split()) for part in text) >= words:
            found.append(" ".join(text))
            text = []
        if len(found) == count:
            break
    assert len(found) == count
    return found


def edited(text: str, chance: random.Random, *, words: int = 3) -> str:
    """A copy in which `words` words are others, missing or new, one number is another, and perhaps capitals and commas."""
    found = text.split()
    for _ in range(words):
        place = chance.randrange(len(found))
        match chance.choice(["other", "missing", "new"]):
            case "other":
                found[place] = chance.choice(["Wednesday", "printer", "4711", "nobody"])
            case "missing":
                del found[place]
            case _:
                found.insert(place, chance.choice(["also", "however", "4712"]))
    numbers = [place for place, word in enumerate(found) if word.strip("().,:").isdigit()]
    if numbers:
        place = chance.choice(numbers)
        found[place] = str(int(found[place].strip("().,:")) + 1)
    copy = " ".join(found)
    match chance.choice(["as it is", "capitals", "small", "no commas", "more signs"]):
        case "capitals":
            return copy.upper()
        case "small":
            return copy.lower()
        case "no commas":
            return copy.replace(",", "").replace(";", " -")
        case "more signs":
            return copy.replace(". ", " !! ").replace(" ", "  ", 9)
        case _:
            return copy
