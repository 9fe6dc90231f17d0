"""Questions that a document asks and answers itself: headings that ask, sections of frequent questions, marked pairs.

A manual as running text teaches a model to go on writing manuals. Where the document already says what somebody would ask, and
answers it, that is an example of a dialogue, and nothing has to be invented for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_ASKS = re.compile(
    r"(?:wie|was|wer|wen|wem|wo|wohin|woher|wann|warum|weshalb|wieso|wozu|womit|wofür|wodurch|welche[rsnm]?|kann ich"
    r"|können wir|darf ich|muss ich|brauche ich|gibt es|how|what|who|whom|whose|where|when|why|which|can i|can we|may i"
    r"|do i|do we|should i|is there|are there|is it) \w.*",
    re.IGNORECASE,
)
_FREQUENT = re.compile(
    r"\bfaqs?\b|\bhäufig\w*(?: \w+)? fragen\b|\bfrequently asked\b|\bfragen und antworten\b|\bq ?& ?a\b", re.IGNORECASE
)
_NUMBER = re.compile(r"^(?:\d+(?:\.\d+)*[.):]?|[-*•])\s+")
_MARKED = re.compile(r"(?:[qf]\s?\d{0,3}\s?:|(?:frage|question)\s?\d{0,3}\s?[:.)])\s+(.+)", re.IGNORECASE | re.DOTALL)
_ANSWER = re.compile(r"(?:a\s?\d{0,3}\s?:|(?:antwort|answer)\s?\d{0,3}\s?[:.)])\s+(.+)", re.IGNORECASE | re.DOTALL)
_LONGEST_QUESTION = 300


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its answer; both empty for a section that asks nothing."""

    place: int
    """Number of the section, from 1."""
    question: str = ""
    answer: str = ""


def asks(text: str) -> bool:
    """Whether a heading or paragraph is a question: by its mark, or by how it begins."""
    bare = _NUMBER.sub("", text.strip())
    return 0 < len(bare) <= _LONGEST_QUESTION and (bare.endswith("?") or _ASKS.fullmatch(bare) is not None)


def questions_of(sections: Iterable[tuple[Sequence[str], str]]) -> Iterator[Asked]:
    """The questions of a document.

    Args:
        sections: headings, outermost first, and text of each, in order.
    Yields: per question what stands below it, with the headings in between; per section without any an empty one.
    """
    begun: tuple[int, tuple[str, ...], list[str]] | None = None
    for number, (headings, text) in enumerate(sections, 1):
        depth = next((depth for depth in range(len(headings), 0, -1) if asks(headings[depth - 1])), 0)
        path = tuple(headings[:depth])
        if begun is not None and begun[1] != path:
            yield _of_heading(begun)
            begun = None
        if depth:
            below = " > ".join(headings[depth:])
            begun = begun or (number, path, [])
            begun[2].append(f"{below}\n\n{text}" if below else text)
            continue
        pairs = list(_pairs(text.split("\n\n"), frequent=any(map(_FREQUENT.search, headings))))
        yield from (Asked(number, question, answer) for question, answer in pairs)
        if not pairs:
            yield Asked(number)
    if begun is not None:
        yield _of_heading(begun)


def _of_heading(begun: tuple[int, tuple[str, ...], list[str]]) -> Asked:
    number, path, texts = begun
    return Asked(number, _NUMBER.sub("", path[-1].strip()), "\n\n".join(texts).strip())


def _pairs(paragraphs: Sequence[str], *, frequent: bool) -> Iterator[tuple[str, str]]:
    """Paragraphs marked Q: and A:; in a section of frequent questions also any that asks, with all up to the next one."""
    question = ""
    answer: list[str] = []
    for paragraph in paragraphs:
        bare = paragraph.strip().strip("*_").strip()
        marked = _MARKED.fullmatch(bare)
        if marked or (frequent and bare.endswith("?") and asks(bare)):
            if question and answer:
                yield question, "\n\n".join(answer)
            asked, _, rest = (marked[1] if marked else _NUMBER.sub("", bare)).partition("\n")
            question, answer = asked.strip(), []
            paragraph = rest
        said = _ANSWER.fullmatch(paragraph.strip())
        if question and (said or paragraph.strip()):
            answer.append((said[1] if said else paragraph).strip())
    if question and answer:
        yield question, "\n\n".join(answer)
