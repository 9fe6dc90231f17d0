"""Small things to put on a server: a model in Hugging Face layout, rows, and a publication with its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

MODEL = {
    "config.json": b'{"model_type": "llama"}',
    "generation_config.json": b"{}",
    "model-00001-of-00002.safetensors": b"first half " * 4000,
    "model-00002-of-00002.safetensors": b"second half " * 4000,
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    ).encode(),
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "README.md": b"license: apache-2.0",
}
"""What of a model is needed."""

BALLAST = {
    "pytorch_model.bin": b"a pickle",
    "pytorch_model.bin.index.json": b"{}",
    "consolidated.safetensors": b"the same weights once more",
    "modeling_own.py": b"raise SystemExit",
    "original/params.json": b"{}",
    "onnx/model.onnx": b"onnx",
    ".gitattributes": b"",
}
"""What often lies beside it and is not."""

ROWS = b"".join(b'{"prompt": "%d", "completion": "%d"}\n' % (row, row + 1) for row in range(3000))
"""A JSONL file of about 110 KB."""


def write(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Files into a directory, which is made; the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def read(directory: Path) -> dict[str, bytes]:
    """All files of a directory."""
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


LAST = ("adapter_config.json", "manifest.json")


def an_adapter(version: str, *more: str) -> dict[str, bytes]:
    """Files of a publication, different for each version, with a manifest of their digests."""
    files = {name: f"{name} of {version}".encode() for name in ("adapter_model.safetensors", "adapter_config.json", *more)}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return {**files, "manifest.json": json.dumps(digests).encode()}
