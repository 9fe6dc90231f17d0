"""Answers of base and tuned model side by side, for an expert to read.

They are texts of data and models and may be as long as those like: of a long one the beginning is seen and more unfolds, and
what no page should carry stands in the report file alone. How much that is, is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune_trainer.evidence.page_words import counted

_OPEN_SAMPLES = 5
_OPEN_CHARACTERS = 700
_SAMPLE_CHARACTERS = 6_000
_ALL_CHARACTERS = 1_500_000
"""Texts of all samples together. A page that a telephone cannot open is read by nobody."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the data: what is seen, what unfolds, and how much only the report file holds."""

    begins: str
    goes_on: str
    further: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands beside the prompt."""

    title: str
    who: str
    text: Text | None
    """None: there is none."""
    remark: str
    tone: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One held-out example with its answers."""

    number: int
    prompt: Text
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Samples:
    """Examples to read."""

    first: list[Sample]
    folded: list[Sample]
    left_out: int
    order: str


def samples(evaluation: Mapping[str, Any], *, classification: bool) -> Samples:
    """Samples until their texts are longer together than a page should be; the others are counted.

    Args:
        evaluation: the evaluation report; empty if there is none.
        classification: whether an answer is a class.
    """
    found: list[Sample] = []
    there = evaluation.get("samples") or []
    limit = (evaluation.get("decoding") or {}).get("maxNewTokens")
    room = _ALL_CHARACTERS
    for index, sample in enumerate(there):
        texts = (str(sample.get(key) or "") for key in ("prompt", "reference", "base", "tuned"))
        room -= sum(min(len(text), _SAMPLE_CHARACTERS) for text in texts)
        if room < 0 and found:
            break
        answers = _classified(sample) if classification else _answered(sample, limit)
        found.append(Sample(index + 1, _text(sample.get("prompt")), answers))
    order = (
        "Examples that the tuned model put into the wrong class come first."
        if classification
        else "The first of the test examples that were drawn by chance and answered; nobody picked them by hand."
    )
    return Samples(found[:_OPEN_SAMPLES], found[_OPEN_SAMPLES:], len(there) - len(found), order)


def _answered(sample: Mapping[str, Any], limit: int | None) -> list[Answer]:
    answers = [Answer("Reference", "reference", _text(sample.get("reference")), "", "neutral")]
    for title, who in (("Base", "base"), ("Tuned", "tuned")):
        text, ended = sample.get(who), sample.get(f"{who}Ended")
        cut = f"cut off at {counted(limit, 'token')}" if limit else "cut off at the limit"
        remark = "" if ended is None else "ended by itself" if ended else cut
        tone = "neutral" if ended is None else "good" if ended else "bad"
        answers.append(Answer(title, who, None if text is None else _text(text), remark, tone))
    return answers


def _classified(sample: Mapping[str, Any]) -> list[Answer]:
    truth = sample.get("reference")
    answers = [Answer("True class", "reference", _text(truth), "", "neutral")]
    for title, who in (("Base chose", "base"), ("Tuned chose", "tuned")):
        chosen = sample.get(who)
        remark = "" if chosen is None else "right" if chosen == truth else "wrong"
        tone = {"right": "good", "wrong": "bad"}.get(remark, "neutral")
        answers.append(Answer(title, who, None if chosen is None else _text(chosen), remark, tone))
    return answers


def _text(text: Any) -> Text:
    """A long text folds after its first part, at a space if there is one near."""
    text = "" if text is None else str(text)
    shown_part = text[:_SAMPLE_CHARACTERS]
    if len(shown_part) <= _OPEN_CHARACTERS * 1.2:
        return Text(shown_part, "", len(text) - len(shown_part))
    at = max(shown_part.rfind(" ", _OPEN_CHARACTERS - 60, _OPEN_CHARACTERS), shown_part.rfind("\n", 0, _OPEN_CHARACTERS))
    at = at + 1 if at > _OPEN_CHARACTERS // 2 else _OPEN_CHARACTERS
    return Text(shown_part[:at], shown_part[at:], len(text) - len(shown_part))
