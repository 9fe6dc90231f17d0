"""Models that preparing needs: the base model, and those that look for personal data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune_api.contract.trainer_config import WITHOUT_MODEL, DetectorInput, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import UserError
from finetune_trainer.data.anonymize import Placed
from finetune_trainer.model.files import without_model
from finetune_trainer.sources import Credentials, fetch_model, stamp
from finetune_trainer.whole import write_whole

_FIELD = "spec.model.uri"


def bring_model(config: TrainerConfig, workspace: Workspace, environment: Mapping[str, str]) -> str | None:
    """Bring the base model into the workspace, unless an earlier attempt has.

    Args:
        environment: may hold credentials for where it comes from.
    Returns: the commit of a hub model; None for any other, or where there is no model.
    Raises: UserError if it cannot be had or used, Transient if its server fails.
    """
    said = config.model
    if said.uri == WITHOUT_MODEL:
        without_model(workspace.model)
        return None
    marker = workspace.model / ".finetune.json"
    source = {"uri": said.uri, "revision": said.revision, "stamp": stamp(said.uri, mounts=config.mounts, field=_FIELD)}
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
        field=_FIELD,
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


def place_detector(
    detector: DetectorInput, number: int, config: TrainerConfig, downloads: Path, environment: Mapping[str, str]
) -> Placed:
    """Bring a detector of personal data to where the raw data is, with which its files go again.

    Args:
        number: of the detector among the job's.
        environment: may hold credentials for where it comes from.
    Returns: the detector, with the directory and the commit of its model if it has one.
    Raises: UserError if it cannot be had or used, Transient if its server fails.
    """
    if detector.is_service:
        return Placed(detector)
    fetched = fetch_model(
        detector.uri,
        downloads / f"_detector-{number}",  # no dataset can have this name
        revision=detector.revision,
        trust_remote_code=False,
        credentials=Credentials(environment, detector.environment_prefix),
        mounts=config.mounts,
        field=f"{detector.field}.uri",
    )
    if fetched.gguf is not None:
        raise UserError(f"{detector.uri} is a GGUF file, which cannot tag texts", field=f"{detector.field}.uri")
    return Placed(detector, fetched.directory, fetched.revision)


def _read_marker(marker: Path) -> dict[str, Any]:
    """What model is here, as the attempt that brought it said; nothing if it came to no end."""
    try:
        value = json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
