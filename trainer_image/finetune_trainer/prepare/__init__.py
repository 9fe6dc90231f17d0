"""Stage 1: from URIs to packed tokens.

    python -m finetune_trainer prepare --config job.json

Told top to bottom: fetch the model, read every row of every dataset, turn it into tokens with a mask, decide what is kept
and where it goes, write the splits, report. What is written lies in a directory aside that takes its final name at the
end: a killed prepare leaves nothing that looks whole. Tokens that it had committed are gone on with by the next attempt.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import count
from pathlib import Path

from finetune_api.contract.facts import MachineFacts
from finetune_api.contract.result import StageResult
from finetune_api.contract.trainer_config import DatasetInput, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import UserError
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.data.reference import referred
from finetune_trainer.data.weighting.relevance import WhatMatters, described
from finetune_trainer.data.workers import cores
from finetune_trainer.environment import sparing_what_is_loaded
from finetune_trainer.evidence.data_page import write_data_page
from finetune_trainer.prepare.models import bring_model, place_detector
from finetune_trainer.prepare.splits import select_and_write
from finetune_trainer.reporting import ProgressReporter
from finetune_trainer.sources import Credentials, DataFile, fetch_files


def run(
    config: TrainerConfig, workspace: Workspace, reporter: ProgressReporter, environment: Mapping[str, str], *, now: datetime
) -> StageResult:
    """Prepare model and data.

    Args:
        now: goes onto the page.

    Raises: UserError, DataError, Transient as described in finetune_api.errors.
    """
    orders = config.prepare
    assert orders is not None
    earlier = sorted(workspace.root.glob("preparing-*"))
    scratch = _directory_of_its_own(workspace.root, config.job.attempt)
    downloads = workspace.root / "downloads"
    try:
        revision = bring_model(config, workspace, environment)
        detectors = [place_detector(one, number, config, downloads, environment) for number, one in enumerate(orders.detectors)]
        ingest = Ingest(config, workspace, scratch, environment, detectors=detectors)
        inputs = [_fetch(dataset, config, downloads, environment) for dataset in orders.datasets]
        target = _what_matters(config, ingest, downloads, environment)
        ingest.go_on(inputs, earlier)
        _remove(earlier)
        with sparing_what_is_loaded():
            for dataset, files in zip(orders.datasets, inputs, strict=True):
                ingest.read(dataset, files, reporter)
        ingest.finish()
        beat = reporter.repeat
        facts, summary = select_and_write(orders, ingest, target, workspace, scratch, revision, environment, beat=beat)
    except UserError:
        # Nobody comes back for them before somebody has changed something.
        _remove([*earlier, scratch, downloads])
        raise
    write_data_page(config, workspace, now=now)
    _remove([scratch, downloads])  # raw data stays no longer than it is needed
    return StageResult(
        stage="prepare",
        attempt=config.job.attempt,
        model=facts[0],
        data=facts[1],
        machine=_machine_facts(environment) if facts[0] is not None else None,
        prepared=summary,
    )


def _directory_of_its_own(root: Path, attempt: int) -> Path:
    """Where nobody else writes, not even an earlier try of the same attempt that is not quite dead."""
    for number in count(1):
        folder = root / (f"preparing-{attempt}" if number == 1 else f"preparing-{attempt}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(dataset: DatasetInput, config: TrainerConfig, downloads: Path, environment: Mapping[str, str]) -> list[DataFile]:
    return fetch_files(
        dataset.uri,
        # Not in the scratch directory: another attempt finds what was downloaded, and resumes what was not.
        downloads / (".reference" if dataset.role == "reference" else dataset.name),
        revision=dataset.revision,
        credentials=Credentials(environment, dataset.environment_prefix),
        mounts=config.mounts,
        field=f"{dataset.field}.uri",
    )


def _what_matters(config: TrainerConfig, ingest: Ingest, downloads: Path, environment: Mapping[str, str]) -> WhatMatters | None:
    """What examples are compared with, where they are weighed by relevance."""
    assert config.prepare is not None
    relevance, reference = config.prepare.preparation.weighting.relevance, config.prepare.reference
    if relevance is None:
        return None
    if relevance.description is not None:
        return described(relevance.description)
    assert reference is not None, "configure gives the place of reference rows"
    return referred(reference, _fetch(reference, config, downloads, environment), ingest)


def _machine_facts(environment: Mapping[str, str]) -> MachineFacts:
    from finetune_trainer.model.facts import machine_facts

    return machine_facts(cores(environment))
