"""What a model came from, on the page: inputs and outputs by digest, licences, seeds, versions, the manifest to run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from finetune_trainer.evidence.page_words import counted, model_name, shown

NOT_STATED = "not stated in the manifest"


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything that the page says about where the model came from."""

    facts: list[tuple[str, str, bool]]
    """Term, value, whether it is a digest."""
    datasets: list[tuple[str, str, str, str]]
    """Name, licence, what was read, digest of it."""
    software: str
    manifest: str
    """As YAML."""
    repeats: str
    """How far the same comes out again."""
    unlicensed: list[str]
    """Of what no licence is stated."""


def origin(value: Mapping[str, Any]) -> Origin | None:
    """The provenance in words; None if none was recorded.

    Args:
        value: what provenance.json holds.
    """
    if not value:
        return None
    base, tuned = value.get("base") or {}, value.get("tuned") or {}
    datasets = value.get("datasets") or []
    seeds = ", ".join(f"{name} {seed}" for name, seed in (value.get("seeds") or {}).items() if seed is not None)
    facts = [
        ("Base model", model_name(str(base.get("uri", ""))), False),
        ("Its commit", str(base.get("revision") or ""), True),
        ("Its weights", str(base.get("digest") or ""), True),
        ("Its licence", str(base.get("license") or NOT_STATED), False),
        ("Prepared data", str((value.get("prepared") or {}).get("digest") or ""), True),
        (f"Tuned {'adapter' if tuned.get('format') == 'adapter' else 'model'}", str(tuned.get("digest") or ""), True),
        ("Licence of the result", str(value.get("license") or NOT_STATED), False),
        ("Seeds", seeds, False),
    ]
    return Origin(
        facts=[one for one in facts if one[1]],
        datasets=[_dataset(one) for one in datasets],
        software=", ".join(f"{name} {version}" for name, version in (value.get("software") or {}).items()),
        manifest=yaml.safe_dump(value["manifest"], sort_keys=False, allow_unicode=True) if value.get("manifest") else "",
        repeats=repeats(value),
        unlicensed=[
            *(["the base model"] if not base.get("license") else []),
            *(f"the dataset “{one.get('name', '')}”" for one in datasets if not one.get("license")),
        ],
    )


def repeats(value: Mapping[str, Any]) -> str:
    """How far the same comes out again, in a sentence.

    Args:
        value: what provenance.json holds.
    """
    if value.get("keyForgotten"):
        return (
            "The key of the anonymisation was made for this run and forgotten: another run replaces people otherwise, so its"
            " digest and its numbers differ. It holds out the same rows, unless a replacement makes one too long or a copy."
        )
    return "On the same number of processes of the same kind the numbers are the same bit for bit; elsewhere up to rounding."


def _dataset(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    commit = f", commit {one['revision']}" if one.get("revision") else ""
    read = f"{counted(one.get('files') or 0, 'file')}, {shown(one.get('bytes'))} bytes{commit}"
    return str(one.get("name", "")), str(one.get("license") or NOT_STATED), read, str(one.get("digest") or "")
