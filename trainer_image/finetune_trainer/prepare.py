"""Stage 1: from URIs to packed tokens.

    python -m finetune_trainer prepare --config job.json

Told top to bottom: fetch the model, read every row of every dataset, turn it into tokens with a mask, decide what is kept
and where it goes, write the splits, report. What is written lies in a directory aside that takes its final name at the
end: a killed prepare leaves nothing that looks whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune_api.contract.facts import DataFacts, ModelFacts
from finetune_api.contract.result import StageResult
from finetune_api.contract.summary import DataSummary
from finetune_api.contract.trainer_config import PrepareConfig, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import DataError
from finetune_trainer.data.deduplicate import FINGERPRINT
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.data.select import FIRST_SUITE, TEST, TRAIN, VALIDATION, DropCounter, Selection, choose_max_length, select
from finetune_trainer.data.store import Documents, SplitWriter, gather, open_documents
from finetune_trainer.engine.reporting import ProgressReporter
from finetune_trainer.evidence.data_report import data_facts, data_report, data_summary
from finetune_trainer.evidence.digests import file_digest, tree_digest
from finetune_trainer.sources import Credentials, fetch_files, fetch_model
from finetune_trainer.whole import write_whole

log = logging.getLogger(__name__)

_WRITTEN_AT_ONCE = 8192


def run(config: TrainerConfig, workspace: Workspace, reporter: ProgressReporter, environment: Mapping[str, str]) -> StageResult:
    """Prepare model and data.

    Raises: UserError, DataError, Transient as described in finetune_api.errors.
    """
    assert config.prepare is not None
    scratch = workspace.root / f"preparing-{config.job.attempt}"
    for old in workspace.root.glob("preparing-*"):
        shutil.rmtree(old)
    scratch.mkdir(parents=True)
    downloads = workspace.root / "downloads"
    revision = _model(config, workspace, environment)
    ingest = Ingest(config, workspace, scratch)
    for dataset in config.prepare.datasets:
        credentials = Credentials(environment, dataset.environment_prefix)
        # Not in the scratch directory: another attempt finds what was downloaded, and resumes what was not.
        where = downloads / dataset.name
        files = fetch_files(
            dataset.uri,
            where,
            revision=dataset.revision,
            credentials=credentials,
            mounts=config.mounts,
            field=f"{dataset.field}.uri",
        )
        ingest.read(dataset, files, reporter)
    ingest.finish()
    facts, summary = _select_and_write(config.prepare, ingest, workspace, scratch, revision)
    shutil.rmtree(scratch)
    shutil.rmtree(downloads, ignore_errors=True)  # raw data stays no longer than it is needed
    from finetune_trainer.model.facts import machine_facts

    return StageResult(
        stage="prepare",
        attempt=config.job.attempt,
        model=facts[0],
        data=facts[1],
        machine=machine_facts(),
        prepared=summary,
    )


# ---------------------------------------------------------------- the model


def _model(config: TrainerConfig, workspace: Workspace, environment: Mapping[str, str]) -> str | None:
    """Bring the base model into the workspace; returns the commit of a hub model."""
    said = config.model
    marker = workspace.model / ".finetune.json"
    source = {"uri": said.uri, "revision": said.revision, "stamp": _stamp(said.uri)}
    known = _read_marker(marker)
    if known.get("source") == source:
        return None if known["commit"] is None else str(known["commit"])
    fetched = fetch_model(
        said.uri,
        workspace.model if not said.uri.endswith(".gguf") else workspace.root / "gguf",
        revision=said.revision,
        trust_remote_code=said.trust_remote_code,
        credentials=Credentials(environment, said.environment_prefix),
        mounts=config.mounts,
        field="spec.model.uri",
    )
    if fetched.gguf is not None:
        from finetune_trainer.model.gguf import convert_gguf

        aside = workspace.root / "model.converting"
        shutil.rmtree(aside, ignore_errors=True)
        convert_gguf(fetched.gguf, aside)
        shutil.rmtree(workspace.model, ignore_errors=True)
        aside.rename(workspace.model)
    write_whole(marker, json.dumps({"source": source, "commit": fetched.revision}))
    return fetched.revision


def _read_marker(marker: Path) -> dict[str, Any]:
    """What model is here, as the attempt that brought it said; nothing if it came to no end."""
    try:
        value = json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _stamp(uri: str) -> str | None:
    """Size and time of a local file, by which a changed one is noticed."""
    path = Path(uri.removeprefix("file://"))
    if not uri.startswith("file://") or not path.exists():
        return None
    return f"{path.stat().st_size} {path.stat().st_mtime_ns}"


# ---------------------------------------------------------------- tokens to splits


def _select_and_write(
    orders: PrepareConfig, ingest: Ingest, workspace: Workspace, scratch: Path, revision: str | None
) -> tuple[tuple[ModelFacts, DataFacts], DataSummary]:
    """Decide where every example goes, write the splits, the manifest and the report."""
    settings = orders.preparation
    spool = open_documents(scratch / "spool")
    if not len(spool):
        raise DataError("no row of any dataset could be used; see the counts by reason", field="spec.datasets")
    fingerprints = np.memmap(scratch / "fingerprints.bin", dtype=FINGERPRINT, mode="r")
    roles = [source.dataset.role for source in ingest.sources]
    suites = [index for index, role in enumerate(roles) if role == "suite"]
    max_length = choose_max_length(
        spool.examples, np.array([role == "train" for role in roles]), said=settings.max_length, model=ingest.context_length
    )
    counter = DropCounter([source.dataset.name for source in ingest.sources])
    (scratch / "select").mkdir()
    split = settings.split
    selection = select(
        spool.examples,
        fingerprints,
        roles=roles,
        suites=suites,
        max_length=min(max_length, ingest.context_length),
        overlong=settings.overlong,
        deduplicate=settings.deduplicate != "none",
        shares=(split.validation or 0.0, split.test or 0.0),
        folder=scratch / "select",
        drop=counter,
    )
    for (name, reason), count in counter.counts.items():
        ingest.problems.drop(name, reason, count)
    aside = scratch / "data"
    names = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    names |= {f"suite-{ingest.sources[index].dataset.name}": FIRST_SUITE + i for i, index in enumerate(suites)}
    labels = sorted(ingest.labels)
    renumber = np.array([labels.index(label) for label in ingest.labels], dtype=np.int32)
    end = _end_of_cut(ingest)
    for name, destination in names.items():
        _write_split(spool, selection, destination, aside / name, renumber=renumber, end_token=end)
    splits = {name: open_documents(aside / name) for name in names}
    digest = _digest(aside, list(names))
    mixing = [source.dataset.weight for source in ingest.sources]
    facts = data_facts(splits, digest, selection.max_length, len(labels), mixing)
    summary = data_summary(splits, ingest.problems, digest)
    from finetune_trainer.model.facts import model_facts

    weights_digest = tree_digest(workspace.model, [p.name for p in workspace.model.glob("*.safetensors")])
    template_digest = ingest.template.digest if ingest.template else None
    model = model_facts(
        ingest.model_config, revision=revision, digest=f"sha256:{weights_digest}", template_digest=template_digest
    )
    report = data_report(ingest, selection, splits, labels, summary)
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
    (aside / "model.json").write_text(model.model_dump_json(by_alias=True, exclude_none=True), encoding="utf-8")
    workspace.reports.mkdir(exist_ok=True)
    write_whole(workspace.data_report, json.dumps(report.as_json(), indent=1))
    shutil.rmtree(workspace.data, ignore_errors=True)
    aside.rename(workspace.data)
    return (model, facts), summary.model_copy(update={"warnings": len(report.warnings)})


def _end_of_cut(ingest: Ingest) -> int | None:
    """Token that must end a cut text: an encoder's separator. A cut answer gets none, or the cut would be learned as an end."""
    return ingest.tokenizer.sep_token_id if ingest.classification else None


def _write_split(
    spool: Documents, selection: Selection, destination: int, folder: Path, *, renumber: np.ndarray, end_token: int | None
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
        labelled = examples["label"] >= 0
        examples["label"][labelled] = renumber[examples["label"][labelled]] if len(renumber) else -1
        writer.write(tokens, supervised, examples)
    writer.close()


def _digest(folder: Path, names: Sequence[str]) -> str:
    """SHA-256 over all splits: tokens, masks, weights, labels."""
    digest = hashlib.sha256()
    for name in sorted(names):
        for file in ("tokens.bin", "supervised.bin"):
            digest.update(f"{name}/{file} {file_digest(folder / name / file)}\n".encode())
        examples = np.load(folder / name / "examples.npy", mmap_mode="r")
        for begin in range(0, len(examples), 1 << 16):
            for column in ("length", "label", "weight"):
                digest.update(np.ascontiguousarray(examples[column][begin : begin + (1 << 16)]).tobytes())
    return f"sha256:{digest.hexdigest()}"
