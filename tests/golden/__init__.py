"""Golden files: what people and programs read, kept as it is. UPDATE_GOLDEN=1 rewrites them, a person reads the diff."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def assert_golden(name: str, text: str) -> None:
    """`text` is what the file of this name below tests/golden holds."""
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; if that is meant, UPDATE_GOLDEN=1 rewrites it"
