"""Correction of texts before anything else looks at them, and the examples that are left out for what they say.

Each rule is a small function, so that it can be tested and switched off alone, and each counts the examples it changed or left
out and keeps three of them, covered: a correction nobody sees is a silent change of somebody's data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from finetune_api.v1alpha1.anonymize import Anonymize
from finetune_api.v1alpha1.preparation import Clean
from finetune_trainer.data.correction.answers import (
    LEAST_CHARACTERS,
    LOREM,
    MACHINE,
    UNABLE,
    is_placeholder,
    is_refusal,
    is_repetitive,
    repetition,
)
from finetune_trainer.data.correction.boilerplate import SHOWN as SHOWN_BOILERPLATE
from finetune_trainer.data.correction.boilerplate import WithoutPhrases, without_boilerplate
from finetune_trainer.data.correction.cover import Cover
from finetune_trainer.data.correction.encoding import repaired_encoding
from finetune_trainer.data.correction.language import UNDETERMINED, Identifier
from finetune_trainer.data.correction.tally import SAMPLES, Sample, Tally
from finetune_trainer.data.correction.texts import normal_unicode, tidy_whitespace, without_control_characters, without_html
from finetune_trainer.data.inputs.formats import Example, Message, UnusableRow

TextRule = tuple[str, Callable[[str], str], re.Pattern[str] | None]
"""Name, what it does, what of a text it changed may be shown."""

_MARKS = re.compile(
    "[\x80-\xff\u0152\u0153\u0160\u0161\u0178\u0192\u02c6\u02dc\u0300-\u036f\u2010-\u2027\u2030-\u203a\u20ac\u2122]"
)
"""Single letters with marks and signs of typography, between letters that are covered."""
_TAGS = re.compile(
    r"</?(?:html|head|body|style|script|title|p|br|hr|div|span|a|b|i|u|em|strong|font|img|ul|ol|li|dl|dt|dd|table|tr|td|th|tbody"
    r"|h[1-6]|pre|code|blockquote|section|article)\b|&(?:amp|lt|gt|quot|apos|nbsp|[AOUaou]uml|szlig|euro|hellip|ndash);"
)
_REFUSAL = re.compile(f"{MACHINE.pattern}|{UNABLE.pattern}", re.IGNORECASE)
_ANYTHING = re.compile(r"(?s).+")
_ROLE = re.compile(r"^(?:user|assistant|system)$", re.MULTILINE)
_LOREM = re.compile(LOREM, re.IGNORECASE)
LANGUAGES_OF = 8
"""Where no language is declared, that of every eighth row is counted, for the report."""

RULES = (
    *("encoding", "html", "unicode", "controlCharacters", "whitespace", "boilerplate", "boilerplatePhrases", "emptyTurns"),
    *("minCharacters", "maxCharacters", "placeholders", "refusals", "maxRepetition", "languages"),
)
"""In the order in which they act, by the names of their fields in the manifest."""


class Cleaner:
    """The rules of a manifest, applied to examples, with what each of them did.

    Args:
        settings: the rules.
        anonymize: by which samples are covered, whatever the strategy is.
    Raises: UserError if languages are declared and cannot be told apart here.
    """

    def __init__(self, settings: Clean, anonymize: Anonymize | None = None) -> None:
        phrases = WithoutPhrases(settings.boilerplate_phrases)
        boilerplate: TextRule = ("boilerplate", without_boilerplate, SHOWN_BOILERPLATE)
        rules: list[tuple[TextRule, bool]] = [
            # Before control characters go: some of them are halves of garbled letters.
            (("encoding", repaired_encoding, _MARKS), settings.encoding),
            (("html", without_html, _TAGS), settings.html),
            (("unicode", normal_unicode, _MARKS), settings.unicode),
            (("controlCharacters", without_control_characters, None), settings.control_characters),
            (("whitespace", tidy_whitespace, None), settings.whitespace),
            (boilerplate, settings.boilerplate == "remove"),
            (("boilerplatePhrases", phrases, phrases.shown), bool(settings.boilerplate_phrases)),
        ]
        self._rules = [rule for rule, is_on in rules if is_on]
        self._letter_rules = self._rules
        if settings.boilerplate == "auto":
            self._letter_rules = [rule for rule, is_on in rules if is_on or rule is boilerplate]
        self._settings = settings
        self._shortest, self._longest = settings.min_characters, settings.max_characters
        self._empty_turns = settings.empty_turns != "keep"
        self._no_placeholders, self._no_refusals, self._repetition = (
            settings.placeholders,
            settings.refusals,
            settings.max_repetition if settings.max_repetition < 1 else None,
        )
        self._judged = self._no_placeholders or self._no_refusals or self._repetition is not None
        self._identify = Identifier(needed=bool(settings.languages))
        self._every = (1 if settings.languages else LANGUAGES_OF) if self._identify.is_there else 0
        self._first = 1 % self._every if self._every else 0
        self._anonymize = anonymize or Anonymize()
        self._cover: Cover | None = None
        self._enough: Collection[str] = ()
        self._dataset = self._file = ""
        self._are_letters = False
        self.tally = Tally()
        """What was done since `begin`."""

    def begin(self, dataset: str, file: str, *, letters: bool = False, enough: Collection[str] = ()) -> None:
        """A new batch: the tally begins anew, and nothing is left of earlier ones.

        Args:
            dataset, file: where samples come from.
            letters: whether the rows are mail or tickets.
            enough: rules of which earlier rows gave all the samples that are kept.
        """
        self._dataset, self._file, self._are_letters, self._enough = dataset, file, letters, enough
        self.tally = Tally()

    def __call__(self, example: Example, *, line: int = 1) -> Example:
        """The corrected example.

        Args:
            line: its place in the file.
        Raises: UnusableRow if a rule leaves it out.
        """
        texts = [message.content for message in example.messages] if example.text is None else [example.text]
        corrected = self._corrected(texts, line)
        if corrected is not texts:
            example = _with_texts(example, corrected)
        if self._empty_turns and ("" in corrected or self._has_blank(corrected)) and example.text is None:
            example = self._without_empty_turns(example, line)
            corrected = [message.content for message in example.messages]
        if len(corrected[-1]) < self._shortest or sum(map(len, corrected)) > self._longest:
            self._drop_for_length(corrected, line)
        if self._judged and example.label is None:
            self._check_answers(example, line)
        if self._every and line % self._every == self._first:
            self._check_language(example, corrected, line)
        return example

    def _corrected(self, texts: list[str], line: int) -> list[str]:
        for name, rule, keep in self._letter_rules if self._are_letters else self._rules:
            after = [rule(text) for text in texts]
            if after != texts:
                self.tally.changed[name] += 1
                if self._is_wanted(name):
                    before, now = next((one, two) for one, two in zip(texts, after, strict=True) if one != two)
                    self._keep(name, line, *self._covering().change(before, now, keep, blanks=name == "whitespace"))
                texts = after
        return texts

    def _without_empty_turns(self, example: Example, line: int) -> Example:
        """Without turns in which nobody says anything; what then stands side by side becomes one turn."""
        empty = [message.role != "system" and not message.content.strip() for message in example.messages[:-1]]
        if not any(empty):
            return example
        before = _outline(example.messages)
        turns: list[Message] = []
        for message, is_empty in zip(example.messages, [*empty, False], strict=True):
            if is_empty:
                continue
            if turns and turns[-1].role == message.role:
                text = f"{turns[-1].content}\n\n{message.content}"
                turns[-1] = Message(message.role, text, trained=turns[-1].trained and message.trained)
            else:
                turns.append(message)
        first = next(message.role for message in turns if message.role != "system")
        learned = any(message.trained for message in turns if message.role == "assistant")
        if self._settings.empty_turns == "drop" or first == "assistant" or not learned:
            self._drop("emptyTurns", line, before, keep=_ROLE)
        self.tally.changed["emptyTurns"] += 1
        if self._is_wanted("emptyTurns"):
            cover = self._covering()
            self._keep("emptyTurns", line, cover(before, _ROLE), cover(_outline(turns), _ROLE))
        return replace(example, messages=tuple(turns))

    def _has_blank(self, texts: Sequence[str]) -> bool:
        return not self._settings.whitespace and any(map(str.isspace, texts))

    def _drop_for_length(self, texts: Sequence[str], line: int) -> None:
        if len(texts[-1]) < self._shortest:
            self._drop("minCharacters", line, texts[-1], reason="shorter than clean.minCharacters")
        found = f"{sum(map(len, texts)):,} characters"
        self._drop("maxCharacters", line, texts[-1], reason="longer than clean.maxCharacters", found=found)

    def _check_answers(self, example: Example, line: int) -> None:
        """Of a conversation every answer that is learned; running text is an answer to nothing."""
        if example.text is not None:
            self._check_answer(example.text, "", line)
            return
        before = ""
        for message in example.messages:
            if message.role == "assistant" and message.trained:
                answer = message.content
                if self._no_refusals and is_refusal(answer):
                    self._drop("refusals", line, answer, keep=_REFUSAL)
                self._check_answer(answer, before, line)
            before = message.content

    def _check_answer(self, answer: str, question: str, line: int) -> None:
        if self._no_placeholders and is_placeholder(answer, question):
            self._drop("placeholders", line, answer, keep=_LOREM if LOREM in answer.lower() else _ANYTHING)
        allowed = self._repetition
        if allowed is not None and len(answer) >= LEAST_CHARACTERS and is_repetitive(answer, allowed):
            self._drop("maxRepetition", line, answer, found=f"{repetition(answer):.0%} of it stood before")

    def _check_language(self, example: Example, texts: Sequence[str], line: int) -> None:
        spoken = [one.content for one in example.messages if one.role != "system"] if example.text is None else texts
        language = self._identify(spoken)
        self.tally.languages[language] += 1
        declared = self._settings.languages
        if declared and language not in declared and language != UNDETERMINED:
            self._drop("languages", line, texts[-1], found=language)

    # ------------------------------------------------------------ what is told of it

    def _drop(
        self, rule: str, line: int, text: str, *, keep: re.Pattern[str] | None = None, reason: str = "", found: str = ""
    ) -> None:
        self.tally.dropped[rule] += 1
        if self._is_wanted(rule):
            self._keep(rule, line, self._covering()(text, keep), None, found)
        raise UnusableRow(reason or rule, drop=True)

    def _is_wanted(self, rule: str) -> bool:
        """Whether a sample of it would be kept: covering one takes longer than correcting a hundred rows."""
        return rule not in self._enough and len(self.tally.samples.get(rule, ())) < SAMPLES

    def _keep(self, rule: str, line: int, before: str, after: str | None, found: str = "") -> None:
        sample = Sample(self._dataset, self._file, line, before, after, found)
        self.tally.samples.setdefault(rule, []).append(sample)

    def _covering(self) -> Cover:
        """Made when it is first needed: lists of names take a tenth of a second."""
        if self._cover is None:
            self._cover = Cover(self._anonymize)
        return self._cover


def _with_texts(example: Example, texts: list[str]) -> Example:
    if example.text is not None:
        return replace(example, text=texts[0])
    messages = tuple(
        message if message.content == content else replace(message, content=content)
        for message, content in zip(example.messages, texts, strict=True)
    )
    return replace(example, messages=messages)


def _outline(messages: Sequence[Message]) -> str:
    return "\n\n".join(f"{message.role}\n{message.content[:80]}" for message in messages)
