"""Answers from which nothing good is learned: placeholders, refusals of another model, text that turns in circles.

Each is recognised by a narrow definition: what is left out is out of sight, so a doubtful answer stays.
"""

from __future__ import annotations

import re

# ---------------------------------------------------------------- placeholders

_LONGEST_PLACEHOLDER = 60
_AROUND = " \t\n.,:;!?…*_#~\"'`()[]{}<>-–—"
_NOTHING_SAID = frozenset(" \t\n.?-_*…–—")
_WORDS = (
    *("todo", "to do", "tbd", "tba", "fixme", "to be done", "to be defined", "to be determined", "wird nachgereicht"),
    *("folgt noch", "folgt in kürze", "asdf", "asdfasdf", "qwerty", "qwertz", "foo bar", "foobar", "bla bla", "blabla"),
    *("bla bla bla", "testtext", "test text", "test answer", "testantwort", "dummy text", "sample text", "beispieltext"),
    *("blindtext", "mustertext", "platzhalter", "placeholder", "insert text here", "your text here", "your answer here"),
    *("text hier einfügen", "hier text einfügen", "ihr text hier", "antwort hier einfügen", "n/a", "n.a", "n. a", "k.a"),
    *("k. a", "keine angabe", "keine angaben", "not applicable", "nan", "object object"),
)
_PLACEHOLDERS = frozenset(_WORDS)
"""Not among them: what is an answer too (test, none, null, an empty list)."""
_REPEATED = re.compile(r"x{3,}|x{2,}(?:[ -]x{2,})+|test(?: test)+")
LOREM = "lorem ipsum"


def is_placeholder(answer: str, question: str) -> bool:
    """Whether an answer is nothing but a placeholder, unless the question itself names it ("answer n/a if you cannot tell").

    Args:
        answer: the whole answer.
        question: what stands before it.
    """
    if len(answer) > _LONGEST_PLACEHOLDER:
        return answer.startswith(("Lorem ipsum", "lorem ipsum", "LOREM IPSUM")) and LOREM not in question.lower()
    bare = answer.strip(_AROUND).lower()
    if not bare:
        return bool(answer) and _NOTHING_SAID.issuperset(answer) and answer not in question
    if bare not in _PLACEHOLDERS and not (bare[0] in "xtl" and (bare.startswith(LOREM) or _REPEATED.fullmatch(bare))):
        return False
    return bare not in question.lower()


# ---------------------------------------------------------------- refusals

_BEGINNING = 300
"""Characters in which a refusal says that it is one."""
_KINDS = "powered|based|assistant|language|model|chatbot|bot|assistent(?:in)?|sprachmodell|modell|system"
_IS = rf"(?:[ -](?:{_KINDS})\b){{0,3}}"
MACHINE = re.compile(
    rf"\b(?:as|i am|i'm|being) (?:just |only )?an? (?:(?:ai|artificial intelligence|(?:large )?language model)\b|a\.i\.){_IS}"
    rf"|\bals (?:eine? |reine[sr]? |große[sr]? ){{0,2}}(?:ki|künstliche intelligenz|sprachmodell)\b{_IS}"
    rf"|\bich bin (?:nur |lediglich |bloß )?(?:eine? )?(?:ki|künstliche intelligenz|sprachmodell)\b{_IS}",
    re.IGNORECASE,
)
"""A model speaks of itself."""
UNABLE = re.compile(
    r"\b(?:can't|cannot|can not|unable|not able|don't have|do not have|not capable|not possible|not allowed|won't|decline)\b"
    r"|\b(?:nicht|keine?[nrms]?|außerstande)\b",
    re.IGNORECASE,
)
"""... and of what it cannot do."""


def is_refusal(answer: str) -> bool:
    """Whether an answer begins with a model that speaks of itself and of what it cannot do, in German or English."""
    beginning = answer[:_BEGINNING]
    if not ("AI" in beginning or "KI" in beginning or "odel" in beginning or "ntellige" in beginning):
        return False  # almost every answer
    beginning = beginning.replace("’", "'")
    return MACHINE.search(beginning) is not None and UNABLE.search(beginning) is not None


# ---------------------------------------------------------------- repetition

_RUN = 5
"""Words that make a run."""
LEAST_CHARACTERS = 200
"""In less nothing is called a repetition."""
_LEAST_WORDS = 20
_LONGEST_WORD = 30
"""Characters a word has on average at most; beyond, a text is not made of words and is counted by character."""


def is_repetitive(text: str, allowed: float) -> bool:
    """Whether more than this share of a text repeats what stands in it already.

    Args:
        text: of LEAST_CHARACTERS at least.
        allowed: 0 to 1.
    """
    # Each word of a repetition stands before, so many different words leave no room for it, and as a rule the first ones are
    # enough of them: almost every text ends here.
    most = 1 + text.count(" ") + text.count("\n") + text.count("\t") + (0 if text.isascii() else text.count("\u00a0"))
    room = (1 - allowed) * most
    if most * _LONGEST_WORD >= len(text) and len(set(text.split(None, int(1.6 * room) + _RUN)[:-1])) > room:
        return False
    words = _words(text)
    if len(words) < _LEAST_WORDS or len(set(words)) > (1 - allowed) * len(words):
        return False
    return _share(words) > allowed


def repetition(text: str) -> float:
    """Share of the words of a text that stand in a run of five words that stood before in it, 0 to 1.

    A text of less than 20 words has none. Where words have more than 30 characters on average, characters count as words.
    Source: Rae et al. 2021 (arXiv:2112.11446), table A1, duplicate 5-grams; there by characters, and over web pages.
    """
    words = _words(text)
    return _share(words) if len(words) >= _LEAST_WORDS else 0.0


def _words(text: str) -> list[str]:
    words = text.split()
    return words if len(words) * _LONGEST_WORD >= len(text) else list(text)


def _share(words: list[str]) -> float:
    seen: set[tuple[str, ...]] = set()
    covered = end = 0
    for place, run in enumerate(zip(*(words[shift:] for shift in range(_RUN)), strict=False)):
        if run in seen:
            covered += place + _RUN - max(place, end)
            end = place + _RUN
        else:
            seen.add(run)
    return covered / len(words)
