"""What tokens were made from, as one digest: only with the same may a prepare go on where another stopped.

Everything goes in that has a say in them: the orders, the files of examples, the models' own files, this program and the
libraries it calls, and the key of the anonymisation. One that is too many costs a prepare that begins anew; one that is
missing costs data that is half of one kind and half of another, which nobody would notice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import finetune_api
import finetune_trainer
from finetune_api.contract.trainer_config import TrainerConfig
from finetune_trainer.digests import file_digest
from finetune_trainer.sources import DataFile, version_beside

_LIBRARIES = (
    *("transformers", "tokenizers", "sentencepiece", "jinja2", "numpy", "pyarrow", "lxml", "pypdf"),
    *("phonenumbers", "python-stdnum", "faker", "ftfy", "eldc"),
)
_NO_SAY: Any = {"job": True, "workspace": True, "mounts": True, "prepare": {"preparation": {"engine"}}}
"""Orders that change nothing in the tokens."""
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth")


def mark(config: TrainerConfig, model: Path, inputs: Iterable[Sequence[DataFile]], detectors: Iterable[Path], key: str) -> str:
    """The digest of everything that the tokens of a prepare depend on.

    Args:
        config: orders of the stage; who it is and where its workspace lies do not count.
        model: directory of the base model.
        inputs: files of each dataset, in the order of the orders.
        detectors: directories of models that look for personal data.
        key: of the anonymisation, empty without. What is kept of it is no more than what each surrogate shows.
    """
    assert config.prepare is not None
    datasets = zip(config.prepare.datasets, inputs, strict=True)
    orders = config.model_dump(mode="json", by_alias=True, exclude=_NO_SAY)
    parts = {
        "orders": orders,
        "program": program_digest(),
        "model": {path.name: file_digest(path) for path in sorted(model.iterdir()) if has_a_say(path)},
        "inputs": [[_identity(file, dataset.uri) for file in files] for dataset, files in datasets],
        "detectors": [
            {path.name: _content(path) for path in sorted(folder.iterdir()) if path.is_file()} for folder in detectors
        ],
        "key": hmac.new(key.encode(), b"which run of prepare", hashlib.sha256).hexdigest(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def program_digest() -> str:
    """SHA-256 of what turns rows into tokens: our own files, and the versions of Python and of the libraries."""
    digest = hashlib.sha256(sys.version.encode())
    for name in _LIBRARIES:
        try:
            digest.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            digest.update(f"{name} is not there\n".encode())
    for package in (finetune_api, finetune_trainer):
        assert package.__file__ is not None
        root = Path(package.__file__).parent
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            digest.update(f"{root.name}/{path.relative_to(root)}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def has_a_say(path: Path) -> bool:
    """Whether a file of a model's directory is part of what turns texts into tokens: all are but its weights."""
    return path.is_file() and not path.name.endswith(_WEIGHTS)


def _identity(file: DataFile, uri: str) -> list[object]:
    paths = (file.path, *file.more)
    # A config map's files are written anew for each pod, so that their time says nothing; they are small.
    contents = map(file_digest if uri.startswith("configMap:") else _content, paths)
    return [file.name, list(file.inside), *contents]


def _content(path: Path) -> str:
    """What tells the content of a file from any other that may lie there later."""
    status = path.stat()
    known = version_beside(path)
    return f"{status.st_size} {status.st_mtime_ns if known is None else known}"
