"""Personal data out of examples: found, replaced, looked for again by other means. Fails closed.

Texts of one example are one document: who was introduced in the question is known in the answer. Nothing of what was found is
kept, in memory or on disk, but its kind and how often.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from finetune_api.errors import DataError, UserError
from finetune_api.v1alpha1.anonymize import ENTITIES, Anonymize
from finetune_trainer.data.anonymize.detect import FirstPass, with_plain_blanks
from finetune_trainer.data.anonymize.detectors import Placed, build
from finetune_trainer.data.anonymize.findings import BORDER, Finding
from finetune_trainer.data.anonymize.second import leftovers
from finetune_trainer.data.anonymize.surrogates import Replacement
from finetune_trainer.data.inputs.formats import Example

__all__ = ["Anonymizer", "Finding", "Found", "Placed", "check_key", "leftovers"]

KEY_VARIABLE = "ANONYMIZE_KEY"
_SHOWN = 10
_LEAST_KEY = 16
_GERMAN = frozenset(" der die das und ist nicht ein eine mit für auf ich Sie wir bitte".split())  # noqa: SIM905
_ENGLISH = frozenset("the and is not a an with for on i you we please of to".split())  # noqa: SIM905
DETECTORS = (
    "patterns with check digits",
    "telephone numbers by their national numbering plans",
    "cues, columns of tables and lists of names",
    "forms of postal addresses",
)


@dataclass(slots=True)
class Found:
    """How much was found, and how much a second look still found; never what."""

    found: Counter[str] = field(default_factory=Counter)
    """Items replaced, by kind."""
    left: Counter[str] = field(default_factory=Counter)
    """Items that the second pass found in the result, by kind."""
    changed: int = 0
    """Examples in which something was replaced."""
    looked_at: int = 0
    """Examples."""
    leaking: int = 0
    """Examples in which the second pass found something."""
    places: list[str] = field(default_factory=list)
    """Of the first of these."""

    @property
    def residual_rate(self) -> float:
        """Share of the examples in which the second pass found something."""
        return self.leaking / self.looked_at if self.looked_at else 0.0

    def merge(self, later: Found) -> None:
        """Add what was found in examples that come after these."""
        self.found.update(later.found)
        self.left.update(later.left)
        self.changed += later.changed
        self.looked_at += later.looked_at
        self.leaking += later.leaking
        self.places = [*self.places, *later.places][:_SHOWN]

    def raise_if_more_is_left_than(self, allowed: float) -> None:
        """Fail closed.

        Args:
            allowed: the highest residual rate.
        Raises: DataError with kinds, numbers and places, never with what was found.
        """
        if self.residual_rate <= allowed:
            return
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.left.most_common())
        more = f" and {self.leaking - len(self.places):,} more" if self.leaking > len(self.places) else ""
        raise DataError(
            f"after anonymisation personal data was still found in {self.leaking:,} of {self.looked_at:,} examples"
            f" ({self.residual_rate:.2%}; at most {allowed:.2%} is allowed): {kinds}. {', '.join(self.places)}{more}",
            field="spec.preparation.anonymize.maxResidualRate",
            hint="Look at these rows; declare patterns of your own numbers with preparation.anonymize.patterns.",
        )


def check_key(settings: Anonymize, environment: Mapping[str, str]) -> None:
    """Make sure that a key which was named is there: another one for each run is not what was asked for.

    Raises: UserError.
    """
    if settings.secret_name is not None and KEY_VARIABLE not in environment:
        raise UserError(
            f"the Secret {settings.secret_name} gives no key: {KEY_VARIABLE} is not set",
            field="spec.preparation.anonymize.secretName",
            hint=f"In a cluster it needs the key KEY. On one machine set {KEY_VARIABLE}, or leave secretName out: then a key is"
            " made for this run.",
        )


class Anonymizer:
    """Replaces personal data in examples, and counts.

    Args:
        settings: of the manifest.
        environment: holds the key, if a Secret gives one, and credentials for detectors that are services.
        detectors: beside those that are built in.
    Raises: UserError if the key is too short to protect anything, or a detector is not what it should be; Transient if one
        does not answer.
    """

    def __init__(self, settings: Anonymize, environment: Mapping[str, str], detectors: Sequence[Placed] = ()) -> None:
        said = environment.get(KEY_VARIABLE)
        if said is not None and len(said.encode()) < _LEAST_KEY:
            raise UserError(
                f"{KEY_VARIABLE} is shorter than {_LEAST_KEY} bytes, and could be guessed",
                field="spec.preparation.anonymize.secretName",
                hint="Take a random one, for instance of `openssl rand -hex 32`.",
            )
        for number, pattern in enumerate(settings.patterns):
            try:
                re.compile(pattern.pattern)
            except re.error as error:
                place = f"spec.preparation.anonymize.patterns[{number}].pattern"
                raise UserError(f"{pattern.pattern!r} is no pattern: {error}", field=place) from None
        self._settings = settings
        self._find = FirstPass(
            settings.entities or tuple(kind for kind in ENTITIES if kind != "ORGANIZATION"),
            settings.languages,
            {pattern.name: pattern.pattern for pattern in settings.patterns},
        )
        self._detectors = build(detectors, settings.languages, environment)
        # Without a key from outside one is made and forgotten: consistent within this run, and nobody can repeat it.
        self._replace = Replacement(settings.strategy, said.encode() if said is not None else secrets.token_bytes(32))
        self.count = Found()
        """What was found since somebody put a new one here."""

    def __call__(self, example: Example, *, place: str) -> Example:
        """The example without personal data.

        Args:
            place: file and line, for the message if something is left.
        """
        return self.all([example], [place])[0]

    def all(self, examples: Sequence[Example], places: Sequence[str]) -> list[Example]:
        """Several examples without personal data, in their order: models and services are asked about all of them at once.

        Raises: Transient if a service does not answer.
        """
        texts = [_texts(example) for example in examples]
        documents = [BORDER.join(parts) for parts in texts]
        further = self._further(texts, documents)
        return [
            self._one(example, document, more, place)
            for example, document, more, place in zip(examples, documents, further, places, strict=True)
        ]

    def _further(self, texts: Sequence[Sequence[str]], documents: Sequence[str]) -> list[list[Finding]]:
        """What models and services find in each document. They are shown each text by itself."""
        found: list[list[Finding]] = [[] for _ in documents]
        if not self._detectors:
            return found
        languages = [language_of(document, self._settings.languages) for document in documents]
        owners = [number for number, parts in enumerate(texts) for _ in parts]
        begins = [begin for parts in texts for begin in _begins(parts)]
        flat = [with_plain_blanks(text) for parts in texts for text in parts]
        for detector in self._detectors:
            answers = detector(flat, [languages[owner] for owner in owners])
            for owner, begin, answer in zip(owners, begins, answers, strict=True):
                found[owner] += (replace(one, begin=one.begin + begin, end=one.end + begin) for one in answer)
        return found

    def _one(self, example: Example, document: str, further: Sequence[Finding], place: str) -> Example:
        count = self.count
        count.looked_at += 1
        findings = self._find(document, further)
        result = document
        if findings:
            count.changed += 1
            result = self._replaced(document, findings)
        left = leftovers(result)
        if left:
            count.left += left
            count.leaking += 1
            if len(count.places) < _SHOWN:
                count.places.append(place)
        if result == document:
            return example
        parts = result.split(BORDER)
        if example.text is not None:
            return replace(example, text=parts[0])
        messages = tuple(replace(one, content=part) for one, part in zip(example.messages, parts, strict=True))
        return replace(example, messages=messages)

    def _replaced(self, document: str, findings: list[Finding]) -> str:
        language = language_of(document, self._settings.languages)
        pieces, position = [], 0
        for finding in findings:
            self.count.found[finding.kind] += 1
            item = with_plain_blanks(document[finding.begin : finding.end])
            pieces += [document[position : finding.begin], self._replace(finding.kind, item, language=language)]
            position = finding.end
        return "".join([*pieces, document[position:]])


def _texts(example: Example) -> list[str]:
    texts = [example.text] if example.text is not None else [message.content for message in example.messages]
    return [text.replace(BORDER.strip(), " ") for text in texts]


def _begins(texts: Sequence[str]) -> list[int]:
    """Where each text begins in the document of all."""
    begins, position = [], 0
    for text in texts:
        begins.append(position)
        position += len(text) + len(BORDER)
    return begins


def language_of(text: str, languages: tuple[str, ...]) -> str:
    """de or en, by the small words of a text; of the languages that were declared."""
    if len(languages) == 1:
        return languages[0]
    words = text.lower().split()[:400]
    german, english = sum(word in _GERMAN for word in words), sum(word in _ENGLISH for word in words)
    return "en" if english > german else "de"
