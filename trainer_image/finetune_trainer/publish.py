"""Stage 4: the tuned model, with its card and its digests, to where it was wanted.

    python -m finetune_trainer publish --config job.json

Everything is put together and checked in the workspace first; then one upload, of which a reader sees all or nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from finetune_api.contract.result import StageResult
from finetune_api.contract.summary import OutputSummary
from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import FinetuneError
from finetune_trainer.digests import file_digest
from finetune_trainer.evidence.card import model_card
from finetune_trainer.evidence.provenance import tuned_digest
from finetune_trainer.reporting import ProgressReporter
from finetune_trainer.sources import Credentials, publish

MANIFEST = "manifest.json"
_FIRST_READ = {"adapter": "adapter_config.json", "merged": "config.json"}
"""The file by which loaders find the others."""


def run(
    config: TrainerConfig, workspace: Workspace, reporter: ProgressReporter, environment: Mapping[str, str], *, now: datetime
) -> StageResult:
    """Assemble, check and upload.

    Raises: UserError if the target cannot be written, Transient if its server fails, FinetuneError if this is not the model
        that was measured, or what was merged does not do what was.
    """
    assert config.publish is not None
    orders = config.publish
    folder = workspace.publication
    tuned = workspace.adapter if orders.tuned == "adapter" else workspace.merged
    _check_measured(workspace, tuned)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if orders.format == "merged" and orders.tuned == "adapter":
        from finetune_trainer.model.merge import merge_adapter

        merge_adapter(config, workspace, folder)
    else:
        _copy(tuned, folder)
    reporter.report(percent=50)
    evaluation = _read(workspace.evaluation_report)
    card = model_card(
        config,
        data=_read(workspace.data_report),
        training=_read(workspace.training_report) if workspace.training_report.is_file() else None,
        evaluation=evaluation,
        model=_read(workspace.data / "model.json"),
        origin=_read(workspace.provenance) if workspace.provenance.is_file() else {},
        now=now,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    digest, size = _write_manifest(config, workspace, evaluation, folder, beat=reporter.repeat)
    publish(
        folder,
        orders.uri,
        credentials=Credentials(environment, orders.environment_prefix),
        mounts=config.mounts,
        field="spec.output.uri",
        last=[_FIRST_READ[orders.format], MANIFEST],
        beat=reporter.repeat,
    )
    shutil.rmtree(folder)
    output = OutputSummary(
        uri=orders.uri.split("?")[0],
        digest=digest,
        size_bytes=size,
        report=str(workspace.html_report.relative_to(workspace.root)),
    )
    return StageResult(stage="publish", attempt=config.job.attempt, output=output)


def _check_measured(workspace: Workspace, tuned: Path) -> None:
    """Make sure that what is published is what was measured: a straggler of an older attempt may have written since."""
    if not workspace.provenance.is_file():
        return
    known = _read(workspace.provenance)["tuned"]["digest"]
    if tuned_digest(tuned) != known:
        raise FinetuneError(
            f"the workspace's directory {tuned.name} holds another model than the one that was measured ({known[:19]}…)",
            hint="Start the job anew: nothing is published that was not measured.",
        )


def _copy(source: Path, target: Path) -> None:
    """Copy files, ending at the first that cannot be: shutil.copytree goes on, and then tells no error number."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _write_manifest(
    config: TrainerConfig, workspace: Workspace, evaluation: dict[str, Any], folder: Path, *, beat: Callable[[], None]
) -> tuple[str, int]:
    """List every file with its SHA-256, and what they come from; returns the manifest's digest and the bytes of all files.

    It holds no time, so publishing the same model again gives the same manifest.
    """
    assert config.publish is not None
    files = {
        str(path.relative_to(folder)): {"sha256": file_digest(path, beat=beat), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    model = _read(workspace.data / "model.json")
    manifest = {
        "version": 1,
        "job": {"name": config.job.name, "namespace": config.job.namespace, "uid": config.job.uid},
        "format": config.publish.format,
        "base": {"uri": config.model.uri.split("?")[0], "revision": model.get("revision"), "digest": model["digest"]},
        "data": {"digest": _read(workspace.data / "manifest.json")["digest"]},
        "evaluation": evaluation["summary"],
        "files": files,
    }
    if workspace.provenance.is_file():
        manifest["provenance"] = _read(workspace.provenance)
    path = folder / MANIFEST
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    size = sum(int(str(file["bytes"])) for file in files.values()) + path.stat().st_size
    return f"sha256:{file_digest(path)}", size


def _read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
