"""From a spool of tokens to splits: where every example goes, how much it counts, and what is told of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from finetune_api.contract.data_words import told
from finetune_api.contract.facts import DataFacts, ModelFacts
from finetune_api.contract.summary import DataSummary
from finetune_api.contract.trainer_config import PrepareConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import DataError
from finetune_trainer.data.export import export_examples
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.data.records import FIRST_SUITE, TEST, TRAIN, VALIDATION, let_go
from finetune_trainer.data.selection.dropped import DropCounter
from finetune_trainer.data.selection.select import Selection, choose_max_length, select
from finetune_trainer.data.store import Documents, SplitWriter, gather, open_documents
from finetune_trainer.data.weighting.relevance import WhatMatters
from finetune_trainer.data.weighting.weighing import weigh
from finetune_trainer.data.workers import cores
from finetune_trainer.digests import file_digest, tree_digest
from finetune_trainer.evidence.data_facts import data_facts, data_summary
from finetune_trainer.evidence.data_report import data_report
from finetune_trainer.model.files import NoModel, has_model
from finetune_trainer.whole import write_whole

_WRITTEN_AT_ONCE = 8192


def select_and_write(
    orders: PrepareConfig,
    ingest: Ingest,
    target: WhatMatters | None,
    workspace: Workspace,
    scratch: Path,
    revision: str | None,
    environment: Mapping[str, str],
    *,
    beat: Callable[[], None],
) -> tuple[tuple[ModelFacts | None, DataFacts], DataSummary]:
    """Decide where every example goes, write the splits, the manifest and the report.

    Everything is written aside, and takes its name in the workspace when it is whole.

    Args:
        ingest: everything that was read.
        target: what relevance compares with; None where it was not asked for.
        scratch: a directory of this attempt's.
        revision: commit of a hub model.
        environment: says how many cores there are.
        beat: called again and again: nothing of this counts rows, and with millions of them it takes long.
    Returns: facts of model (None without one) and data, for the plan; the summary, for the status.
    Raises: DataError if no example is left.
    """
    settings = orders.preparation
    spool = ingest.spool.documents()
    if not len(spool):
        raise DataError(f"no row of any dataset could be used{told(ingest.problems.dropped)}", field="spec.datasets")
    roles = [source.dataset.role for source in ingest.sources]
    datasets = [source.dataset.name for source in ingest.sources]
    suites = [index for index, role in enumerate(roles) if role == "suite"]
    max_length = choose_max_length(
        spool.examples, np.array([role == "train" for role in roles]), said=settings.max_length, model=ingest.context_length
    )
    counter = DropCounter(datasets)
    (scratch / "select").mkdir()
    selection = select(
        ingest.spool.records(ingest.key),
        roles=roles,
        names=datasets,
        max_length=min(max_length, ingest.context_length),
        settings=settings,
        folder=scratch / "select",
        drop=counter,
        threads=cores(environment),
        beat=beat,
    )
    for (name, reason), rows in counter.counts.items():
        ingest.problems.drop(name, reason, rows)
    factors, file = ingest.spool.factors(), scratch / "weights.npy"
    weights, weighed = weigh(spool.examples, factors, selection.destination, settings.weighting, target=target, file=file)
    aside = scratch / "data"
    names = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    names |= {f"suite-{ingest.sources[index].dataset.name}": FIRST_SUITE + i for i, index in enumerate(suites)}
    labels = sorted(ingest.labels)
    renumber = np.array([labels.index(label) for label in ingest.labels], dtype=np.int32)
    end = _end_of_cut(ingest)
    for name, destination in names.items():
        folder = aside / name
        _write_split(spool, weights, selection, destination, folder, renumber=renumber, end_token=end, beat=beat)
    splits = {name: open_documents(aside / name) for name in names}
    digest = _digest(aside, list(names), beat)
    mixing = [source.dataset.weight for source in ingest.sources]
    facts = data_facts(splits, digest, selection.max_length, len(labels), mixing)
    summary = data_summary(splits, ingest.problems, digest, ingest.personal)
    model = _model_facts(ingest, workspace, revision, beat) if has_model(workspace.model) else None
    unit = "tokens" if model is not None else "characters"
    report = data_report(ingest, selection, splits, labels, summary, counter.contamination, weighed, unit=unit)
    manifest = {
        "version": 1,
        "digest": digest,
        "maxLength": selection.max_length,
        "labels": labels,
        "datasets": [
            {"name": s.dataset.name, "weight": s.dataset.weight, "role": s.dataset.role, "files": s.files}
            for s in ingest.sources
        ],
        "splits": {name: len(documents) for name, documents in splits.items()},
    }
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    if model is not None:
        (aside / "model.json").write_text(model.model_dump_json(by_alias=True, exclude_none=True), encoding="utf-8")
    if orders.write_examples is not None:
        export_examples(splits, labels, datasets, Path(orders.write_examples))
    workspace.reports.mkdir(exist_ok=True)
    write_whole(workspace.data_report, json.dumps(report.as_json(), indent=1))
    shutil.rmtree(workspace.data, ignore_errors=True)
    aside.rename(workspace.data)
    return (model, facts), summary.model_copy(update={"warnings": len(report.warnings)})


def _model_facts(ingest: Ingest, workspace: Workspace, revision: str | None, beat: Callable[[], None]) -> ModelFacts:
    from finetune_trainer.model.facts import model_facts

    assert not isinstance(ingest.model_config, NoModel)
    weights_digest = tree_digest(workspace.model, [p.name for p in workspace.model.glob("*.safetensors")], beat=beat)
    template_digest = ingest.template.digest if ingest.template else None
    return model_facts(
        ingest.model_config, revision=revision, digest=f"sha256:{weights_digest}", template_digest=template_digest
    )


def _end_of_cut(ingest: Ingest) -> int | None:
    """Token that must end a cut text: an encoder's separator. A cut answer gets none, or the cut would be learned as an end."""
    return ingest.tokenizer.sep_token_id if ingest.classification else None


def _write_split(
    spool: Documents,
    weights: np.ndarray,
    selection: Selection,
    destination: int,
    folder: Path,
    *,
    renumber: np.ndarray,
    end_token: int | None,
    beat: Callable[[], None],
) -> None:
    """Copy one split out of the spool, cutting what is too long where that was asked for."""
    writer = SplitWriter(folder)
    chosen = np.flatnonzero(selection.destination == destination)
    for begin in range(0, len(chosen), _WRITTEN_AT_ONCE):
        indices = chosen[begin : begin + _WRITTEN_AT_ONCE]
        tokens, supervised, examples = gather(spool, indices, at_most=selection.max_length)
        cut = spool.examples["length"][indices] > selection.max_length
        if end_token is not None and cut.any():
            tokens[examples["offset"][cut] + examples["length"][cut] - 1] = end_token
        examples["weight"] = weights[indices]
        labelled = examples["label"] >= 0
        examples["label"][labelled] = renumber[examples["label"][labelled]] if len(renumber) else -1
        writer.write(tokens, supervised, examples)
        let_go(spool.tokens)
        let_go(spool.supervised)
        beat()
    writer.close()


def _digest(folder: Path, names: Sequence[str], beat: Callable[[], None]) -> str:
    """SHA-256 over all splits: tokens, masks, weights, labels."""
    digest = hashlib.sha256()
    for name in sorted(names):
        for file in ("tokens.bin", "supervised.bin"):
            digest.update(f"{name}/{file} {file_digest(folder / name / file, beat=beat)}\n".encode())
        examples = np.load(folder / name / "examples.npy", mmap_mode="r")
        for begin in range(0, len(examples), 1 << 16):
            for column in ("length", "label", "weight"):
                digest.update(np.ascontiguousarray(examples[column][begin : begin + (1 << 16)]).tobytes())
    return f"sha256:{digest.hexdigest()}"
