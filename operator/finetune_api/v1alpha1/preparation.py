"""`spec.preparation`: from rows to tokens. Correction, deduplication, anonymisation, weighting, split."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from finetune_api.model import AutoInt, Matching, Model, OrAuto, Rule, SecretName, Text, uri
from finetune_api.v1alpha1.anonymize import Anonymize
from finetune_api.v1alpha1.weighting import Weighting

LANGUAGES = (
    *("am", "ar", "az", "be", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "gu", "he"),
    *("hi", "hr", "hu", "hy", "is", "it", "ja", "ka", "kn", "ko", "ku", "lo", "lt", "lv", "ml", "mr", "ms", "nl", "no", "or"),
    *("pa", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "yo", "zh"),
)
"""Languages that can be told apart, ISO 639-1."""
Language = Annotated[str, Matching(f"^({'|'.join(LANGUAGES)})$", "the code of a language, such as de; the manual lists them")]
"""A pattern, because an enum would take 2 KiB of the definition."""


class Clean(Model):
    """Correction of each text before anything else looks at it, and examples that are left out for what they say. The data
    report says of each rule how many examples it changed or left out, and shows three of them, covered."""

    encoding: bool = True
    """Repair text whose encoding was misread, as "fÃ¼r" for "für". What only looks unusual stays."""
    unicode: bool = True
    """Bring text to Unicode NFC and remove characters that are no text (lone surrogates, byte order marks)."""
    control_characters: bool = True
    """Remove control characters except newline and tab."""
    whitespace: bool = True
    """Use \\n line ends, cut blanks at line ends and at both ends of a text, keep at most one empty line in a row."""
    html: bool = False
    """Turn HTML into plain text: tags go, entities become characters, scripts and styles are dropped."""
    boilerplate: Literal["auto", "remove", "keep"] = "auto"
    """Lines that mail programs and websites add, German and English: "Sent from my iPhone", notes on confidentiality, how to
    unsubscribe, cookies, viruses, printing. auto: removed from mail and tickets, kept in tables and documents."""
    boilerplate_phrases: Annotated[tuple[Annotated[str, Field(min_length=3, max_length=200)], ...], Field(max_length=64)] = ()
    """Remove every line that holds one of these phrases, in small or large letters."""
    empty_turns: Literal["drop", "mend", "keep"] = "drop"
    """Conversations in which somebody says nothing before the last answer. drop: leave the row out; mend: remove the empty
    turn, and make one turn of two by the same side."""
    placeholders: bool = True
    """Drop examples whose whole answer is a placeholder (TODO, xxx, n/a, lorem ipsum), unless the question names it."""
    refusals: bool = True
    """Drop examples in which a model begins its answer with what it cannot do because it is one ("As an AI language model I
    cannot ..."), German and English. Other refusals stay."""
    max_repetition: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Drop answers and running texts of which a larger share lies in runs of five words that stood before in them; a sentence
    said five times has 0.8. 1 drops none. Below 200 characters nothing is dropped."""
    languages: Annotated[tuple[Language, ...], Field(max_length=60)] = ()
    """Drop examples whose answer (or text) is in another language than these, as [de, en]. Texts too short to tell, code and
    numbers stay. Left out: every language stays."""
    min_characters: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Drop examples whose answer (or text) is shorter."""
    max_characters: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
    """Drop examples whose texts are longer together."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minCharacters <= self.maxCharacters",
            holds=lambda clean: clean.min_characters <= clean.max_characters,
            message="must not be larger than maxCharacters",
            field="minCharacters",
        ),
    )


class Split(Model):
    """How examples are held out. An example's group decides, by a hash of the group and the seed: so the split is the same
    on every machine and in every order of the files, and no group is on both sides."""

    validation: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share held out for validation: early stopping and the choice of the best checkpoint. Left out: 0.1, or 0 where a
    dataset has the role validation."""
    test: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share held out for the comparison of base and tuned model, looked at once. Left out: 0.1, or 0 where a dataset has
    the role test."""
    group_by: Text | None = None
    """Field that names the group (customer, contract, page): examples of one group stay together. Left out, examples with
    the same prompt are one group."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 17
    """Seed of the split."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.validation) ? self.validation : 0.1) + (has(self.test) ? self.test : 0.1) < 1.0",
            holds=lambda split: _or(split.validation, 0.1) + _or(split.test, 0.1) < 1.0,
            message="validation and test together must leave something to train on",
            field="validation",
        ),
    )


class Contradictions(Model):
    """Rows that give the same input different labels."""

    resolve: Literal["majority", "drop", "keep"] = "majority"
    """majority: of training rows with the same input those stay whose label has more than half of them; where none has, none
    stays. drop: none stays. keep: all stay. Case and white space of the input are no difference."""
    answer_words: Annotated[int, Field(ge=0, le=20)] = 0
    """For conversations: answers of at most so many words count as labels. 0: none does."""


NEAR_SIMILARITY = 0.75
"""Of `nearSimilarity` where it is left out: in a text of 100 words about seven may differ."""


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


_HOST_AND_PORT = "^[a-z]+://[^/?#@]+:[0-9]+$"


class DaskEngine(Model):
    """A Dask cluster of yours. Its workers run the trainer's image of the same version; they get batches of rows, the model's
    tokenizer and the key of the anonymisation from the stage, and need no volume."""

    address: Annotated[str, Field(min_length=1, max_length=253), uri("tls", "tcp")]
    """The scheduler, as in tls://scheduler.dask.svc:8786. tcp:// is neither encrypted nor asks for a password: raw texts go
    over it, so only where nobody else can listen."""
    secret_name: SecretName | None = None
    """Secret with CA, CERT and KEY, the texts of the PEM files, for tls://."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.address.matches('{_HOST_AND_PORT}')",
            holds=lambda dask: re.search(_HOST_AND_PORT, dask.address) is not None,
            message="must be a host and a port, as in tls://scheduler.dask.svc:8786",
            field="address",
        ),
        Rule(
            cel="!self.address.startsWith('tls://') || has(self.secretName)",
            holds=lambda dask: not dask.address.startswith("tls://") or dask.secret_name is not None,
            message="is needed for tls://",
            field="secretName",
        ),
    )


class Engine(Model):
    """Where rows are worked on."""

    dask: DaskEngine | None = None
    """On the workers of a Dask cluster, for data that takes one machine too long; the outcome is the same to the byte. Left
    out: in the stage's own pod, on each of its cores."""


class Preparation(Model):
    """From rows to tokens: correction, deduplication, anonymisation, weighting, split."""

    clean: Clean = Clean()
    """Correction of texts."""
    deduplicate: Literal["none", "exact", "near"] = "exact"
    """Removal of repeated examples, also across datasets. exact: the same text. near: also nearly the same text, so that a few
    words, numbers, capitals or punctuation marks differ. With both, what stands in a test, validation or suite dataset, or
    belongs to a group that does, leaves the training data."""
    near_similarity: Annotated[float, Field(ge=0.5, le=1)] | None = None
    """For near: share of the pairs of neighbouring words that two examples must have in common, of all that either has. Left
    out: 0.75, with which about seven of 100 words may differ."""
    contradictions: Contradictions = Contradictions()
    """Rows that give the same input different labels."""
    anonymize: Anonymize = Anonymize()
    """Removal of personal data."""
    weighting: Weighting = Weighting()
    """Importance of examples."""
    split: Split = Split()
    """Held-out examples."""
    max_length: Annotated[AutoInt, OrAuto(8, 1_048_576)] = "auto"
    """Longest example in tokens. auto: the 99th percentile of the data, at most what the model can take."""
    overlong: Literal["fail", "drop", "truncate"] = "fail"
    """What happens to longer examples. fail: drop them, but end with an error when they are more than 5 %."""
    engine: Engine = Engine()
    """Where rows are worked on."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.nearSimilarity) || self.deduplicate == 'near'",
            holds=lambda preparation: preparation.near_similarity is None or preparation.deduplicate == "near",
            message="is for deduplicate: near alone",
            field="nearSimilarity",
        ),
    )
