"""What each step of the prepare stage costs: the whole stage in one process, its CPU-seconds divided among named functions.

A step has what is spent in its functions less what is spent in those of other steps that they call. So the numbers of all steps
are the whole, and what no name stands for is seen too. What only processes beside each other do, handing batches and answers
over, is measured on the same batches and told apart.
"""

from __future__ import annotations

import time

_BEGAN = time.process_time()  # before the imports: they are a step too

import argparse
import functools
import json
import os
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REST, START, HANDED = "all else", "start: imports, model, tables", "hand over between processes"
NAMED: dict[str, tuple[str, ...]] = {
    "read": ("data.ingest:batches*",),
    "understand": ("data.rows:to_example",),
    "correct": ("data.correction.clean:Cleaner.__call__",),
    "languages": ("data.correction.language:Identifier.__call__",),
    "anonymise": ("data.anonymize:Anonymizer.all",),
    "second look": ("data.anonymize:leftovers",),
    "rules of weights": ("data.weighting.weights:FieldRules.__call__",),
    "quality": ("data.weighting.quality:QualityFactor.__call__",),
    "n-grams for relevance": ("data.rows:hashed_ngrams_of_all",),
    "render": ("data.tokens.template:ChatTemplate.documents",),
    "tokenize": ("data.tokens.segments:Segments.encode",),
    "tokens to records": ("data.tokens.encode:Encoder.block",),
    "groups, votes": ("data.rows:RowPipeline._rows", "data.rows:RowPipeline._factors", "data.rows:group_number"),
    "pairs of words": ("data.selection.shingles:Shingler.__call__",),
    "one batch together": ("data.rows:RowPipeline.__call__",),
    "spool and counts": ("data.ingest:Ingest._take", "data.ingest:Ingest._commit"),
    "copies, split": ("prepare.splits:select",),
    "near-duplicates": ("data.selection.repeats:Repeats.leave_out_near",),
    "weights": ("prepare.splits:weigh",),
    "write splits": ("prepare.splits:_write_split",),
    "digests": ("prepare.splits:_digest", "prepare.splits:_model_facts", "prepare:_machine_facts"),
    "report": ("prepare.splits:data_report", "prepare.splits:data_facts", "prepare:write_data_page"),
}
"""Steps and their functions, in the trainer's package; a star after those that yield."""


class Ledger:
    """CPU-seconds by step, each second in one place."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._names, self._since = [REST], time.process_time()

    def enter(self, name: str) -> None:
        """From now on it is this step."""
        self._book()
        self._names.append(name)

    def leave(self) -> None:
        """It is again what it was before."""
        self._book()
        self._names.pop()

    def _book(self) -> None:
        now = time.process_time()
        self.spent[self._names[-1]] += now - self._since
        self._since = now

    def watch(self, name: str, place: str) -> None:
        """Book what a function of the trainer costs under a step."""
        import importlib

        module, _, path = place.rstrip("*").partition(":")
        owner: Any = importlib.import_module(f"finetune_trainer.{module}")
        *before, last = path.split(".")
        for part in before:
            owner = getattr(owner, part)
        function = getattr(owner, last)
        setattr(owner, last, self._pulled(name, function) if place.endswith("*") else self._called(name, function))

    def _called(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def booked(*arguments: Any, **named: Any) -> Any:
            self.enter(name)
            try:
                return function(*arguments, **named)
            finally:
                self.leave()

        return booked

    def _pulled(self, name: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        @functools.wraps(function)
        def booked(*arguments: Any, **named: Any) -> Iterator[Any]:
            items = function(*arguments, **named)
            while True:
                self.enter(name)
                try:
                    item = next(items, None)
                finally:
                    self.leave()
                if item is None:
                    return
                yield item

        return booked


def _handing_over(ledger: Ledger) -> None:
    """Each batch and each answer travels once, as between processes."""
    from finetune_trainer.data.rows import RowPipeline

    answer = RowPipeline.__call__

    def travelled(pipeline: RowPipeline, batch: Any) -> Any:
        ledger.enter(HANDED)
        batch = pickle.loads(pickle.dumps(batch))
        ledger.leave()
        outcome = answer(pipeline, batch)
        ledger.enter(HANDED)
        outcome = pickle.loads(pickle.dumps(outcome))
        ledger.leave()
        return outcome

    RowPipeline.__call__ = travelled  # type: ignore[method-assign]


def main() -> None:
    """Worker: CPU-seconds of each step, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="orders of the stage")
    parser.add_argument("workspace", type=Path)
    arguments = parser.parse_args()
    from finetune_api.contract.trainer_config import TrainerConfig
    from finetune_api.contract.workspace import Workspace
    from finetune_trainer import prepare
    from finetune_trainer.data.ingest import Ingest
    from finetune_trainer.environment import quiet_libraries
    from finetune_trainer.reporting import ProgressReporter

    quiet_libraries(os.environ, online=False)
    config = TrainerConfig.model_validate_json(arguments.config.read_text())
    ledger = Ledger()
    for name, places in NAMED.items():
        for place in places:
            ledger.watch(name, place)
    _handing_over(ledger)
    Ingest.__init__ = ledger._called(START, Ingest.__init__)  # type: ignore[method-assign]
    ledger.spent[START] += time.process_time() - _BEGAN
    ledger.enter(REST)
    reporter = ProgressReporter({}, now=lambda: datetime.now(UTC))
    prepare.run(config, Workspace(arguments.workspace), reporter, dict(os.environ), now=datetime.now(UTC))
    ledger.leave()
    whole = time.process_time() - _BEGAN
    ordered = {name: ledger.spent[name] for name in (START, *NAMED, REST, HANDED)}
    print(json.dumps({"steps": ordered, "whole": whole}))


if __name__ == "__main__":
    main()
