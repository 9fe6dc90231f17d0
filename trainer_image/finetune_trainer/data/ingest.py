"""Every row of every dataset, read once: understood, corrected, rendered, encoded, written to a spool of tokens.

What happens to a row (rows.py) does not depend on any other row, so nothing is held in memory but the batches on which workers
are; what depends on all of them (copies, the split, the longest length) is decided afterwards from the records (selection/).

Hours of work are not lost with a node: after a batch everything so far may be committed (spool.py), and an attempt that comes
after goes on with the next row. The outcome is the same to the byte, since a batch begins where the one before it ended.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from finetune_api.contract.trainer_config import DatasetInput, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import DataError
from finetune_trainer.data.anonymize import KEY_VARIABLE, Found, Placed, check_key
from finetune_trainer.data.anonymize.detectors import credentials_of
from finetune_trainer.data.anonymize.glance import Glance, Glimpsed
from finetune_trainer.data.batches import batches
from finetune_trainer.data.correction.names_shown import class_told
from finetune_trainer.data.correction.personal_labels import PersonalLabels, found_in, glimpsed_in, refuse
from finetune_trainer.data.correction.tally import SAMPLES, Tally
from finetune_trainer.data.counts import Counts
from finetune_trainer.data.dask_engine import DaskWorkers
from finetune_trainer.data.inputs.detect import shape_of
from finetune_trainer.data.inputs.formats import Shape
from finetune_trainer.data.inputs.read import join_mail
from finetune_trainer.data.marks import mark
from finetune_trainer.data.plain import from_plain, to_plain
from finetune_trainer.data.problems import Problems
from finetune_trainer.data.rows import BY_KEY, Outcome, RowPipeline
from finetune_trainer.data.selection.split import hidden
from finetune_trainer.data.spool import Spool, committed
from finetune_trainer.data.workers import Workers, worker_count
from finetune_trainer.digests import Contents, contents_of
from finetune_trainer.reporting import ProgressReporter
from finetune_trainer.sources import DataFile

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Source:
    """What is known of one dataset while it is read."""

    dataset: DatasetInput
    files: tuple[str, ...]
    """Their names, in the order in which examples count them."""
    shape: Shape
    contents: Contents
    """What was read, before anything was done to it."""
    revision: str | None
    """Commit, where it came from a hub."""


@dataclass(slots=True)
class Done:
    """How far the datasets have been read, and what is known from it; written with each commit (plain.py)."""

    dataset: int = 0
    """Whole datasets."""
    file: int = 0
    """Whole files of the next one."""
    rows: int = 0
    """Rows of its next file."""
    shapes: list[Shape] = field(default_factory=list)
    """Of datasets that were begun."""
    labels: dict[str, int] = field(default_factory=dict)
    """Classes and their numbers."""
    label_datasets: dict[str, set[int]] = field(default_factory=dict)
    """Numbers of the datasets in which each class occurs."""
    counts: Counts = field(default_factory=Counts)


class Ingest:
    """Reads datasets, one after another, into a spool of tokens and records.

    Args:
        config: orders of the stage.
        workspace: holds the model.
        scratch: a directory for the spool.
        environment: may hold the key of the anonymisation, credentials for its detectors, and the number of cores (see
            worker_count).
        detectors: of personal data, beside those that are built in.
        workers: processes that work on rows; None leaves it to the size of the data.
        clock: seconds, from any beginning; how often it is worth while to commit depends on what that takes.
    Raises: UserError if the model's tokenizer or chat template, or a detector, cannot be used; Transient if one is silent.
    """

    def __init__(
        self,
        config: TrainerConfig,
        workspace: Workspace,
        scratch: Path,
        environment: Mapping[str, str] | None = None,
        *,
        detectors: Sequence[Placed] = (),
        workers: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from finetune_trainer.model.files import check_vocabulary

        assert config.prepare is not None
        self.settings = config.prepare.preparation
        self.sources: list[Source] = []
        self.done = Done()
        self.config, self._model, self._workers = config, workspace.model, workers
        self._environment = dict(environment or {})
        self._secrets: dict[str, str] = {}
        if self.settings.anonymize.strategy != "none":
            self.done.counts.personal = Found()
            check_key(self.settings.anonymize, self._environment)
            # Without a key from outside one is made here, the same for all workers, and forgotten with this process.
            self._secrets = {KEY_VARIABLE: self._environment.get(KEY_VARIABLE, secrets.token_hex(32))}
        self.detectors = tuple(detectors)
        self._secrets |= credentials_of(self.detectors, self._environment)
        self.pipeline = RowPipeline(config, workspace.model, self._secrets, self.detectors)
        self.tokenizer, self.template = self.pipeline.tokenizer, self.pipeline.template
        self.model_config, self.context_length = self.pipeline.model_config, self.pipeline.context_length
        self.classification = self.pipeline.classification
        check_vocabulary(self.model_config, self.tokenizer)
        if self.template is not None and config.model.chat_template is not None:
            self.tokenizer.save_pretrained(workspace.model)
        self.task = config.task
        self.spool = Spool(scratch / "spool", clock)
        self._mark: str | None = None

    @property
    def problems(self) -> Problems:
        """What was wrong with rows."""
        return self.done.counts.problems

    @property
    def glimpsed(self) -> Glimpsed:
        """What a glance saw of personal data where nobody asked for more."""
        return self.done.counts.glimpsed

    @property
    def tally(self) -> Tally:
        """What the rules of the correction did."""
        return self.done.counts.tally

    @property
    def personal(self) -> Found | None:
        """What anonymisation found; None where it was not asked for."""
        return self.done.counts.personal

    @property
    def key(self) -> bytes | None:
        """Of the anonymisation; None where it was not asked for."""
        return self._secrets[KEY_VARIABLE].encode() if KEY_VARIABLE in self._secrets else None

    @property
    def key_is_given(self) -> bool:
        """Whether the key of the anonymisation comes from outside, so that another run can have it again."""
        return KEY_VARIABLE in self._environment

    @property
    def differs_from_run_to_run(self) -> bool:
        """Whether another run replaces people otherwise, since its key is another one."""
        return self.settings.anonymize.strategy in BY_KEY and not self.key_is_given

    @property
    def turn_by_turn(self) -> int:
        """Conversations of which the template made an example per answer."""
        return self.done.counts.turn_by_turn

    @property
    def labels(self) -> dict[str, int]:
        """Classes and their numbers."""
        return self.done.labels

    def go_on(self, inputs: Sequence[Sequence[DataFile]], earlier: Iterable[Path]) -> None:
        """Go on where an earlier attempt stopped, if it made the same from the same; and keep commits for a later one.

        Args:
            inputs: the files of every dataset that will be read, in order.
            earlier: directories given to earlier attempts as `scratch`.
        """
        if self._secrets and KEY_VARIABLE not in self._environment:
            log.info("an interruption would begin anew: the key of the anonymisation comes from no Secret, and is not kept")
            return
        models = [one.directory for one in self.detectors if one.directory is not None]
        self._mark = mark(self.config, self._model, inputs, models, self._secrets.get(KEY_VARIABLE, ""))
        found = committed([folder / "spool" for folder in earlier], self._mark)
        if found is None:
            return
        folder, lengths, state = found
        try:
            done: Done = from_plain(Done, state)
        except ValueError:
            return
        if self.spool.go_on_from(folder, lengths):
            self.done = done
            self._commit(now=True)
            rows = sum(self.problems.read.values())
            log.info(
                "goes on after %s rows and %s tokens that an interrupted attempt prepared",
                f"{rows:,}",
                f"{self.spool.position:,}",
            )

    def read(self, dataset: DatasetInput, files: Sequence[DataFile], reporter: ProgressReporter) -> None:
        """Read one dataset to its end, whatever is wrong in it, from where `go_on` found it.

        Raises: OutOfMemory if a worker was killed; FinetuneError if one ended otherwise.
        """
        number = len(self.sources)
        contents, revision = contents_of((file.name, file.path) for file in files), files[0].revision
        files = join_mail(files, inside=dataset.mail.inside_domains or ())
        files = [replace(file, questions=dataset.documents.examples == "questions") for file in files]
        if number == len(self.done.shapes):
            self.done.shapes.append(shape_of(dataset, files, self.task))
        shape = self.done.shapes[number]
        self.sources.append(Source(dataset, tuple(file.name for file in files), shape, contents, revision))
        if number < self.done.dataset:
            return
        size = sum(path.stat().st_size for file in files[self.done.file :] for path in (file.path, *file.more))
        workers = self._crew(dataset, size)
        ends: deque[tuple[int, int]] = deque()
        left = batches(dataset, number, files, shape, begin=(self.done.file, self.done.rows), ends=ends, enough=self._enough)
        for outcome in workers.outcomes(left):
            self._take(outcome)
            self.done.file, self.done.rows = ends.popleft()
            self._commit(now=False)
            rows = sum(self.problems.read.values())
            reporter.report(percent=None, metrics={"rows": rows, "tokens": self.spool.position})
        self.done.dataset, self.done.file, self.done.rows = number + 1, 0, 0
        self._commit(now=True)

    def _crew(self, dataset: DatasetInput, size: int) -> Workers | DaskWorkers:
        """Who works on the rows of a dataset of so many bytes."""
        built_from = (self.config, self._model, self._secrets, self.detectors)
        if (dask := self.settings.engine.dask) is not None:
            return DaskWorkers(dask, self._environment, *built_from)
        count = self._workers or worker_count(size, self._environment, with_models=any(d.directory for d in self.detectors))
        if count > 1:
            log.info("dataset %s is prepared by %d processes", dataset.name, count)
        return Workers(count, self.pipeline, *built_from)

    def finish(self) -> None:
        """Close the spool.

        Raises: DataError if rows must be mended, too much personal data is left, labels hold some that would be replaced in a
            text, or a label is in no training row.
        """
        self.spool.close()
        self.problems.raise_if_any()
        if self.personal is not None:
            self.personal.raise_if_more_is_left_than(self.settings.anonymize.max_residual_rate)
        if self.personal is not None:
            refuse(self.personal_labels())
        for label, datasets in self.done.label_datasets.items():
            roles = {self.sources[number].dataset.role for number in datasets}
            if "train" not in roles:
                where = f"stands in the data of role {', '.join(sorted(roles))}, but in no training row"
                raise DataError(
                    f"the label {class_told(label)} {where}",
                    field="spec.datasets",
                    hint="Is it misspelt, or are training rows for it missing?",
                )

    def personal_labels(self) -> list[PersonalLabels]:
        """The datasets whose labels hold personal data, or seem to where nobody asked for anonymisation."""
        of: dict[int, list[str]] = {}
        for label, datasets in self.done.label_datasets.items():
            for number in datasets:
                of.setdefault(number, []).append(label)
        found = []
        for number, labels in sorted(of.items()):
            if self.pipeline.anonymizer is not None:
                holding, kinds = found_in(labels, self.pipeline.anonymizer)
            else:
                holding, kinds = glimpsed_in(labels, Glance(self.settings.anonymize.languages))
            if holding:
                dataset, column = self.sources[number].dataset, self.sources[number].shape.fields["label"]
                found.append(PersonalLabels(dataset.name, dataset.field, column, len(labels), holding, kinds))
        return found

    def _enough(self) -> frozenset[str]:
        """Rules that need no further sample, whatever the batches say that are still on their way: these come first."""
        return frozenset(rule for rule, samples in self.tally.samples.items() if len(samples) >= SAMPLES)

    def _take(self, outcome: Outcome) -> None:
        """Write what became of a batch, and add its counts."""
        block = outcome.block
        numbers = [self.labels.setdefault(label, len(self.labels)) for label in block.labels]
        for label in block.labels:
            self.done.label_datasets.setdefault(label, set()).add(len(self.sources) - 1)
        labelled = block.examples["label"] >= 0
        if numbers:
            block.examples["label"][labelled] = np.array(numbers, dtype=np.int32)[block.examples["label"][labelled]]
        if self.key is not None:
            block.examples["group"] = hidden(block.examples["group"], self.key)
        self.spool.write(block, outcome.rows, outcome.shingles, outcome.factors)
        self.done.counts.merge(outcome.counts)

    def _commit(self, *, now: bool) -> None:
        if self._mark is not None:
            self.spool.commit(self._mark, lambda: to_plain(self.done), now=now)
