"""What happens to one row, whatever process it happens in: understood, corrected, made anonymous, rendered, encoded.

None of it depends on any other row, so batches of rows go to as many processes as there are cores (workers.py). A pipeline is
built in each of them from orders that can be pickled, and answers a batch with tokens, records and counts. Merged in the order
of the batches, the answers are the same to the byte whoever gave them.

A step is a callable from Example to Example that raises UnusableRow to leave a row out, and counts what it did in an object
with `merge`. Its counts travel in `Counts`, so that none is lost on the way from a worker or by an interruption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune_api.contract.trainer_config import DatasetInput, TrainerConfig
from finetune_trainer.data.anonymize import Anonymizer, Found, Placed
from finetune_trainer.data.anonymize.glance import Glance, Glimpsed
from finetune_trainer.data.correction.clean import Cleaner
from finetune_trainer.data.correction.combining import OVERLOADED, has_overloaded_letter
from finetune_trainer.data.counts import Counts
from finetune_trainer.data.defects import told_without_words
from finetune_trainer.data.inputs.formats import Example, Shape, UnusableRow, group_of, to_example
from finetune_trainer.data.inputs.read import BrokenRow, Row
from finetune_trainer.data.inputs.tickets import answers_without_mark
from finetune_trainer.data.problems import Problems
from finetune_trainer.data.selection.shingles import Shingler, asked_and_answered, words
from finetune_trainer.data.selection.split import group_number, prompt_group
from finetune_trainer.data.store import ROW
from finetune_trainer.data.tokens.encode import Block, Draft, Encoder
from finetune_trainer.data.tokens.template import ChatTemplate, Document, Piece, plain_document
from finetune_trainer.data.weighting.factors import FACTORS, FactorBlock
from finetune_trainer.data.weighting.quality import QualityFactor
from finetune_trainer.data.weighting.relevance import hashed_ngrams_of_all, text_of
from finetune_trainer.data.weighting.weights import FieldRules

BY_KEY = ("surrogate", "hash")
"""Strategies of the anonymisation whose result differs with the key."""
_RUNNING_TEXT_TOKENS = 1024
_LIGHTEST, _HEAVIEST = 1e-30, 1e30
"""Of a weight above 0, so that as float32 it neither becomes 0, which leaves the row out, nor infinite."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Neighbouring rows of one file."""

    dataset: DatasetInput
    number: int
    """Of the dataset."""
    file: str
    file_number: int
    shape: Shape
    rows: list[Row | BrokenRow] = field(repr=False)
    """Not told by `repr`, which libraries log of what they fail with."""
    letters: bool = False
    """Whether they are mail or tickets."""
    enough: frozenset[str] = frozenset()
    """Rules of which earlier batches gave all the samples that are kept."""
    glance: int = 0
    """How many of the first are looked at for personal data where nobody asked for more."""

    @property
    def place(self) -> str:
        """Where they stand."""
        return f"{self.file} line {self.rows[0].line} to {self.rows[-1].line}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch; plain values, which another process can send."""

    block: Block
    rows: NDArray[np.void]
    """Dtype ROW: those of which there are examples."""
    shingles: NDArray[np.uint32]
    """Their sets of pairs of words, one after another."""
    factors: FactorBlock
    """What their weights are made of."""
    counts: Counts


@dataclass(frozen=True, slots=True)
class Understood:
    """A row that can be used, corrected and without personal data."""

    row: Row = field(repr=False)
    example: Example = field(repr=False)
    group: int
    """Number of its group for the split."""


@dataclass(frozen=True, slots=True)
class _Used:
    """A row of which something became."""

    example: Example
    asked: int
    """Number of what is asked, as it is learned."""
    rules: float
    """Factor of the weight; the row's own stands in the example."""
    quality: float
    """Likewise."""
    drafts: list[Draft]


class RowPipeline:
    """Turns batches of rows into tokens.

    Args:
        config: orders of the stage.
        model: directory of the base model.
        environment: holds the key of the anonymisation, and credentials for its detectors.
        detectors: of personal data, beside those that are built in.
    Raises: UserError if the model's tokenizer or chat template, or a detector, cannot be used; Transient if one is silent.
    """

    def __init__(
        self, config: TrainerConfig, model: Path, environment: Mapping[str, str], detectors: Sequence[Placed] = ()
    ) -> None:
        from finetune_trainer.model.files import context_length, load_config, load_tokenizer, stop_ids

        assert config.prepare is not None
        said = config.model
        self.settings = config.prepare.preparation
        self.model_config = load_config(model, trust_remote_code=said.trust_remote_code)
        self.tokenizer = load_tokenizer(model, trust_remote_code=said.trust_remote_code)
        self.context_length = context_length(self.model_config)
        self.classification = config.task == "classification"
        self.cleaner = Cleaner(self.settings.clean, self.settings.anonymize)
        wanted = self.settings.anonymize
        self.anonymizer = Anonymizer(wanted, environment, detectors) if wanted.strategy != "none" else None
        self._differs_by_key = wanted.strategy in BY_KEY
        weighting = self.settings.weighting
        self.rules = FieldRules(weighting.rules)
        self._unmarked: Counter[str] = Counter()
        self._guessed: Counter[str] = Counter()
        self.quality = QualityFactor(weighting.quality) if weighting.quality is not None else None
        self.glance = Glance(wanted.languages) if wanted.strategy == "none" else None
        self.template: ChatTemplate | None = None
        if not self.classification:
            stops = stop_ids(model, self.tokenizer)
            self.template = ChatTemplate(self.tokenizer, template=said.chat_template, stop_ids=stops)
        said_length = self.settings.max_length
        running = min(_RUNNING_TEXT_TOKENS if said_length == "auto" else said_length, self.context_length)
        self.shingler = Shingler() if self.settings.deduplicate == "near" else None
        self.encoder = Encoder(self.tokenizer, classification=self.classification, running_text=running)

    def __call__(self, batch: Batch) -> Outcome:
        """What becomes of the rows. Content that cannot be used is counted in `problems`, never kept."""
        with told_without_words(lambda: batch.place):
            return self._outcome(batch)

    def _outcome(self, batch: Batch) -> Outcome:
        problems = Problems()
        self.rules.matched = Counter()
        self._unmarked, self._guessed = Counter(), Counter()
        before = self.template.turn_by_turn if self.template else 0
        read = self.understood(batch, problems)
        glimpsed = Glimpsed()
        if self.glance is not None and batch.glance:
            glimpsed = self.glance(one.example for one in read[: batch.glance])
        used = [one for found in read for one in self._used(found, batch, problems)]
        drafts = [draft for one in used for draft in one.drafts]
        block = self.encoder.block(drafts, whole_texts=batch.shape.format == "text")
        became = iter(block.of_draft)
        counts = [sum(islice(became, len(one.drafts))) for one in used]
        kept = [(one, count) for one, count in zip(used, counts, strict=True) if count]
        return Outcome(
            block,
            *self._rows(kept, batch.number),
            self._factors([one for one, _ in kept]),
            Counts(
                problems,
                self.cleaner.tally,
                self.anonymizer.count if self.anonymizer is not None else None,
                self.rules.matched,
                glimpsed,
                self.template.turn_by_turn - before if self.template else 0,
                self._unmarked,
                self._guessed,
            ),
        )

    def understood(self, batch: Batch, problems: Problems) -> list[Understood]:
        """The rows that can be used as examples, corrected and without personal data.

        Args:
            problems: is told of all others.
        """
        self.cleaner.begin(batch.dataset.name, batch.file, letters=batch.letters, enough=batch.enough)
        read = [one for row in batch.rows for one in self._examples(row, batch, problems)]
        if self.anonymizer is None:
            return [Understood(row, example, self._group(row, example)) for row, example in read]
        self.anonymizer.count = Found()
        places = [f"{batch.file} line {row.line}" for row, _ in read]
        examples = self.anonymizer.all([example for _, example in read], places)
        return [
            # What a key decides must not decide the split: without a key from outside each run would hold out other rows.
            Understood(row, example, self._group(row, before if self._differs_by_key else example))
            for (row, before), example in zip(read, examples, strict=True)
        ]

    def _examples(self, row: Row | BrokenRow, batch: Batch, problems: Problems) -> Iterator[tuple[Row, Example]]:
        """The row as an example, understood and corrected; nothing if it cannot be used."""
        dataset = batch.dataset
        problems.read[dataset.name] += 1
        if isinstance(row, BrokenRow) and row.drop:
            problems.drop(dataset.name, row.reason)
        elif isinstance(row, BrokenRow):
            problems.must_mend(dataset.name, dataset.field, batch.file, row.line, row.reason)
        else:
            try:
                example = to_example(row.value, batch.shape, group_by=self._group_by(dataset))
                if any(map(has_overloaded_letter, _texts(example))):
                    raise UnusableRow(OVERLOADED, drop=True)
                corrected = self.cleaner(example, line=row.line)
                if batch.shape.format == "tickets" and (answers := answers_without_mark(row.value)):
                    self._unmarked[dataset.name] += answers
                self._guessed.update([dataset.name] if row.is_guessed else [])
                yield row, corrected
            except UnusableRow as unusable:
                _leave_out(row, unusable, batch, problems)

    def _used(self, found: Understood, batch: Batch, problems: Problems) -> Iterator[_Used]:
        """An example with its documents, one or several; nothing if it cannot be used."""
        row, example = found.row, found.example
        try:
            documents = self._documents(example)
            rules = self.rules(row.value)
            quality = self.quality(row.value, example) if self.quality is not None else 1.0
        except UnusableRow as unusable:
            _leave_out(row, unusable, batch, problems)
            return
        weight = example.weight * rules * quality
        weight = min(_HEAVIEST, max(_LIGHTEST, weight)) if weight else 0.0
        asked = group_number(_own_group(example), seed=self.settings.split.seed)
        place = (batch.number, batch.file_number, row.line, found.group)
        drafts = [Draft(document, example.label, weight, *place) for document in documents]
        yield _Used(example, asked, rules, quality, drafts)

    def _rows(self, kept: Sequence[tuple[_Used, int]], dataset: int) -> tuple[NDArray[np.void], NDArray[np.uint32]]:
        """By what rows are compared with each other.

        Args:
            kept: rows of which something is left, and of how many examples they are.
        """
        rows = np.array([(n, dataset, one.asked, *self._vote(one), 0) for one, n in kept], ROW)
        shingles = np.zeros(0, np.uint32)
        if self.shingler is not None:
            shingles, rows["shingles"] = self.shingler([asked_and_answered(one.example) for one, _ in kept])
        return rows, shingles

    def _factors(self, kept: Sequence[_Used]) -> FactorBlock:
        """What their weights are made of, and what relevance needs of their texts."""
        if self.settings.weighting.relevance is None:
            parts = [(one.example.weight, one.rules, one.quality, 0) for one in kept]
            return FactorBlock(np.array(parts, FACTORS), np.zeros(0, np.uint16))
        ngrams, sizes = hashed_ngrams_of_all([text_of(one.example) for one in kept])
        parts = [(one.example.weight, one.rules, one.quality, n) for one, n in zip(kept, sizes.tolist(), strict=True)]
        return FactorBlock(np.array(parts, FACTORS), ngrams)

    def _vote(self, used: _Used) -> tuple[int, int]:
        """Numbers of an input and of what is said of it: a label, or an answer so short that it counts as one; 0 for none."""
        example, asked = used.example, used.asked
        seed, most = self.settings.split.seed, self.settings.contradictions.answer_words
        if example.label is not None:
            return asked, group_number(example.label, seed=seed) or 1
        if example.text is not None or not most:
            return asked, 0
        *before, last = example.messages
        answer = words(last.content) or last.content.split()
        if len(answer) > most:
            return asked, 0
        conversation = "\n".join(f"{message.role}: {message.content}" for message in before)
        return group_number(prompt_group(conversation), seed=seed), group_number(" ".join(answer), seed=seed) or 1

    def _group(self, row: Row, example: Example) -> int:
        """Number of the group for the split: the declared one, or else what is asked."""
        own = row.group if example.group is None else example.group
        own = self._known_group(row) if own is None else own
        return group_number(_own_group(example) if own is None else own, seed=self.settings.split.seed)

    def _group_by(self, dataset: DatasetInput) -> str | None:
        return self.settings.split.group_by if dataset.role == "train" else None

    def _known_group(self, row: Row) -> str | None:
        """The declared group of a row of a dataset that need not have one."""
        name = self.settings.split.group_by
        return group_of(row.value, name) if name is not None else None

    def _documents(self, example: Example) -> list[Document]:
        if self.classification:
            return [(Piece(example.text or "", supervised=False),)]
        if example.text is not None:
            return [plain_document(example.text, end=str(self.tokenizer.eos_token) if self.tokenizer.eos_token else None)]
        assert self.template is not None
        return self.template.documents(example.messages)


def _texts(example: Example) -> list[str]:
    return [example.text] if example.text is not None else [message.content for message in example.messages]


def _leave_out(row: Row, unusable: UnusableRow, batch: Batch, problems: Problems) -> None:
    dataset = batch.dataset
    if unusable.drop:
        problems.drop(dataset.name, unusable.reason)
    else:
        problems.must_mend(dataset.name, dataset.field, batch.file, row.line, unusable.reason, mapped=unusable.field)


def _own_group(example: Example) -> str:
    """What is asked: two answers to one question belong on one side of the split."""
    if example.text is not None:
        return prompt_group(example.text)
    return prompt_group("\n".join(m.content for m in example.messages if m.role == "user"))
