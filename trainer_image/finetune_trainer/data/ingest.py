"""Every row of every dataset, read once: understood, corrected, rendered, encoded, written to a spool of tokens.

What happens to a row does not depend on any other row, so nothing is held in memory but one batch; what depends on all of
them (copies, the split, the longest length) is decided afterwards from the records (select.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from finetune_api.contract.trainer_config import DatasetInput, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import DataError
from finetune_trainer.data.clean import Cleaner
from finetune_trainer.data.deduplicate import FINGERPRINT
from finetune_trainer.data.encode import Draft, Encoder
from finetune_trainer.data.formats import Example, Shape, UnusableRow, detect, to_example
from finetune_trainer.data.problems import Problems
from finetune_trainer.data.read import BrokenRow, Row, read_rows
from finetune_trainer.data.split import group_number, prompt_group
from finetune_trainer.data.store import SplitWriter
from finetune_trainer.data.template import ChatTemplate, Document, Piece, plain_document
from finetune_trainer.data.weights import rule_factor
from finetune_trainer.engine.reporting import ProgressReporter
from finetune_trainer.sources import DataFile

log = logging.getLogger(__name__)

_BATCH = 512
_RUNNING_TEXT_TOKENS = 1024
_DETECTED_FROM = 20


@dataclass(slots=True)
class Source:
    """What is known of one dataset while it is read."""

    dataset: DatasetInput
    files: tuple[str, ...]
    """Their names, in the order in which examples count them."""
    shape: Shape


class Ingest:
    """Reads datasets, one after another, into a spool of tokens and records.

    Args:
        config: orders of the stage.
        workspace: holds the model.
        scratch: a directory for the spool.
    Raises: UserError if the model's tokenizer or chat template cannot be used.
    """

    def __init__(self, config: TrainerConfig, workspace: Workspace, scratch: Path) -> None:
        from finetune_trainer.model.files import check_vocabulary, context_length, load_config, load_tokenizer, stop_ids

        assert config.prepare is not None
        folder, said = workspace.model, config.model
        self.task = config.task
        self.settings = config.prepare.preparation
        self.problems = Problems()
        self.sources: list[Source] = []
        self.labels: dict[str, int] = {}
        self._label_roles: dict[str, set[str]] = {}
        self._rows = 0
        self.model_config = load_config(folder, trust_remote_code=said.trust_remote_code)
        self.tokenizer = load_tokenizer(folder, trust_remote_code=said.trust_remote_code)
        check_vocabulary(self.model_config, self.tokenizer)
        self.context_length = context_length(self.model_config)
        self.classification = self.task == "classification"
        self.cleaner = Cleaner(self.settings.clean)
        self.template: ChatTemplate | None = None
        if not self.classification:
            stops = stop_ids(folder, self.tokenizer)
            self.template = ChatTemplate(self.tokenizer, template=said.chat_template, stop_ids=stops)
            if said.chat_template is not None:
                self.tokenizer.save_pretrained(folder)
        said_length = self.settings.max_length
        running = min(_RUNNING_TEXT_TOKENS if said_length == "auto" else said_length, self.context_length)
        self.encoder = Encoder(self.tokenizer, classification=self.classification, running_text=running)
        self.spool = SplitWriter(scratch / "spool")
        self._fingerprints = (scratch / "fingerprints.bin").open("wb")

    def read(self, dataset: DatasetInput, files: Sequence[DataFile], reporter: ProgressReporter) -> None:
        """Read one dataset to its end, whatever is wrong in it."""
        number = len(self.sources)
        shape = self._shape(dataset, files)
        self.sources.append(Source(dataset, tuple(file.name for file in files), shape))
        for file_number, file in enumerate(files):
            drafts = self._drafts(dataset, number, file, file_number, shape)
            while batch := list(islice(drafts, _BATCH)):
                block = self.encoder.block(batch, whole_texts=shape.format == "text")
                self.spool.write(block.tokens, block.supervised, block.examples)
                marks = np.zeros(len(block.fingerprints), dtype=FINGERPRINT)
                for index, (high, low) in enumerate(block.fingerprints):
                    marks[index] = (high, low, 0, 0)
                self._fingerprints.write(marks.tobytes())
                reporter.report(percent=None, metrics={"rows": self._rows, "tokens": self.spool.position})

    def finish(self) -> None:
        """Close the spool, or end the run if rows must be mended."""
        self.spool.close()
        self._fingerprints.close()
        self.problems.raise_if_any()
        for label, roles in self._label_roles.items():
            if "train" not in roles:
                raise DataError(
                    f'the label "{label}" stands in the data of role {", ".join(sorted(roles))}, but in no training row',
                    field="spec.datasets",
                    hint="Is it misspelt, or are training rows for it missing?",
                )

    def _shape(self, dataset: DatasetInput, files: Sequence[DataFile]) -> Shape:
        """What the dataset is, from its first rows."""
        first: list[Row] = []
        name = files[0].name
        for file in files:
            name = file.name
            first = [row for row in islice(read_rows(file), _DETECTED_FROM) if isinstance(row, Row)]
            if first:
                break
            broken = next(iter(read_rows(file)), None)
            if isinstance(broken, BrokenRow):
                where = f"{file.name} line {broken.line}" if broken.line else file.name
                raise DataError(f'{dataset.field} "{dataset.name}": {where} {broken.reason}', field=f"{dataset.field}.uri")
        if not first:
            raise DataError(f'{dataset.field} "{dataset.name}": {name} is empty', field=f"{dataset.field}.uri")
        shape = detect([row.value for row in first], task=self.task, said=dataset.format, fields=dataset.fields)
        if shape is None:
            found = ", ".join(sorted(map(str, first[0].value))[:12])
            raise DataError(
                f'{dataset.field} "{dataset.name}": {name} line {first[0].line} has the fields {found}, which fit no format of'
                f" the task {self.task}",
                field=f"{dataset.field}.format",
                hint=f"Name the format and map the fields with {dataset.field}.fields.",
            )
        log.info("dataset %s is taken for %s: %s", dataset.name, shape.format, shape.because)
        return shape

    def _drafts(self, dataset: DatasetInput, number: int, file: DataFile, file_number: int, shape: Shape) -> Iterator[Draft]:
        """Every usable row of a file as one or several documents."""
        seed = self.settings.split.seed
        for row in read_rows(file):
            self._rows += 1
            self.problems.read[dataset.name] += 1
            if isinstance(row, BrokenRow):
                self.problems.must_mend(dataset.name, dataset.field, file.name, row.line, row.reason)
                continue
            try:
                example = self.cleaner(to_example(row.value, shape, group_by=self._group_by(dataset)))
                documents = self._documents(example)
            except UnusableRow as unusable:
                if unusable.drop:
                    self.problems.drop(dataset.name, unusable.reason)
                else:
                    self.problems.must_mend(
                        dataset.name, dataset.field, file.name, row.line, unusable.reason, mapped=unusable.field
                    )
                continue
            weight = example.weight * rule_factor(row.value, self.settings.weighting.rules)
            group = group_number(example.group if example.group is not None else _own_group(example), seed=seed)
            label = self._label(example, dataset)
            for document in documents:
                yield Draft(document, label, weight, number, file_number, row.line, group)

    def _group_by(self, dataset: DatasetInput) -> str | None:
        return self.settings.split.group_by if dataset.role == "train" else None

    def _documents(self, example: Example) -> list[Document]:
        if self.classification:
            return [(Piece(example.text or "", supervised=False),)]
        if example.text is not None:
            return [plain_document(example.text, end=str(self.tokenizer.eos_token) if self.tokenizer.eos_token else None)]
        assert self.template is not None
        return self.template.documents(example.messages)

    def _label(self, example: Example, dataset: DatasetInput) -> int:
        if example.label is None:
            return -1
        self._label_roles.setdefault(example.label, set()).add(dataset.role)
        return self.labels.setdefault(example.label, len(self.labels))


def _own_group(example: Example) -> str:
    """What is asked: two answers to one question belong on one side of the split."""
    if example.text is not None:
        return prompt_group(example.text)
    return prompt_group("\n".join(m.content for m in example.messages if m.role == "user"))
