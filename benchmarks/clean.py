"""What the rules of the correction cost, and how their cost grows with hostile texts.

    .venv/bin/python benchmarks/clean.py

First the cost of one row with each rule alone and with all that are on by default, in microseconds of CPU time, the least of
several passes, on short questions and answers of the quickstart (English), on invented German ones with umlauts, and on long
answers. Then, per rule, a text made to be slow at four lengths up to a megabyte, and how much longer twice the length takes:
2 is linear, 4 would be quadratic.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import texts

from finetune_api.v1alpha1.preparation import Clean
from finetune_trainer.data.correction.clean import Cleaner
from finetune_trainer.data.inputs.formats import Example, Message, UnusableRow

_PASSES = 7
_LONGEST = 2**20
_OFF: dict[str, Any] = {
    **dict.fromkeys(("encoding", "unicode", "control_characters", "whitespace", "placeholders", "refusals"), False),
    "boilerplate": "keep",
    "empty_turns": "keep",
    "max_repetition": 1,
}
_ALONE: dict[str, dict[str, Any]] = {
    "encoding": {"encoding": True},
    "unicode, controlCharacters, whitespace": dict.fromkeys(("unicode", "control_characters", "whitespace"), True),
    "html": {"html": True},
    "boilerplate (in mail and tickets)": {"boilerplate": "remove"},
    "boilerplatePhrases": {"boilerplate_phrases": ("Amtsgericht Musterstadt", "HRB 12345")},
    "emptyTurns": {"empty_turns": "drop"},
    "placeholders": {"placeholders": True},
    "refusals": {"refusals": True},
    "maxRepetition": {"max_repetition": 0.8},
    "languages": {"languages": ("de", "en")},
}
_HOSTILE = {
    "encoding": ("Ã", "ÃƒÂ¼", "Ã ", "\x80"),
    "unicode, controlCharacters, whitespace": ("\u0301", " ", "\n \n", "\r"),
    "html": ("<", "<p ", "&", "<!--"),
    "boilerplate (in mail and tickets)": ("sent from my ", "\n-\n", "wenn sie diese e-mail "),
    "boilerplatePhrases": ("Amtsgericht Muster", "HRB 12345\n"),
    "placeholders": ("xx ", "lorem ipsum "),
    "refusals": ("ich bin nur eine KI ",),
    "maxRepetition": ("a", "ab c d e "),
    "languages": ("```", "ö "),
}
_GERMAN = (
    "Für welche Größe gilt die Lieferung nach Österreich, und was kostet sie zusätzlich?",
    "Die Größe „M“ wird – wie üblich – ohne Aufpreis geliefert. Bitte prüfen Sie vorher Ihre Adresse im Menü „Übersicht“.",
)


def main() -> None:
    """Both tables, as Markdown."""
    questions = texts.questions()
    short = [_chat(row["prompt"], row["completion"]) for row in questions[:2000]]
    german = [_chat(f"{_GERMAN[0]} ({n})", f"{_GERMAN[1]} {n}") for n in range(2000)]
    long = [_chat("q", "\n".join(row["completion"] for row in questions[n : n + 25])) for n in range(0, 2500, 25)]
    kinds = {"short": short, "German": german, "long": long}
    print("| rules | " + " | ".join(f"{name}, {_length(rows):.0f} characters" for name, rows in kinds.items()) + " |")
    print("| --- | --- | --- | --- |")
    _row("none", kinds, _OFF)
    for name, settings in _ALONE.items():
        _row(f"{name} alone", kinds, {**_OFF, **settings})
    _row("all that are on by default", kinds, {})
    print("\n| rule | hostile text | seconds for 1 MiB | twice the length takes |\n| --- | --- | --- | --- |")
    for name, pieces in _HOSTILE.items():
        for piece in pieces:
            seconds = [
                _seconds([_chat("q", piece * (length // len(piece)))], {**_OFF, **_ALONE[name]}, 3) for length in _lengths()
            ]
            growth = [after / before for before, after in itertools.pairwise(seconds)]
            print(f"| {name} | {piece!r} | {seconds[-1]:.3f} | {', '.join(f'{one:.1f}' for one in growth)} |")


def _row(name: str, kinds: dict[str, list[Example]], settings: dict[str, Any]) -> None:
    cost = (1e6 * _seconds(rows, settings, _PASSES) / len(rows) for rows in kinds.values())
    print(f"| {name} | {' | '.join(f'{one:.2f}' for one in cost)} |")


def _seconds(rows: Sequence[Example], settings: dict[str, Any], passes: int) -> float:
    cleaner = Cleaner(Clean(max_characters=2 * _LONGEST, **settings))
    took = []
    for _ in range(passes):
        cleaner.begin("benchmark", "rows")
        begun = time.process_time()
        for line, row in enumerate(rows, 1):
            try:
                cleaner(row, line=line)
            except UnusableRow:
                continue
        took.append(time.process_time() - begun)
    return min(took)


def _lengths() -> list[int]:
    return [_LONGEST // 8, _LONGEST // 4, _LONGEST // 2, _LONGEST]


def _length(rows: Sequence[Example]) -> float:
    return sum(len(message.content) for row in rows for message in row.messages) / len(rows)


def _chat(question: str, answer: str) -> Example:
    return Example(messages=(Message("user", question), Message("assistant", answer)))


if __name__ == "__main__":
    main()
