"""Real help texts that every machine has: the documentation of the running Python's standard library (PSF licence)."""

from __future__ import annotations

import ast
import inspect
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_NO_DOCUMENTATION = {"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "turtledemo", "pydoc_data"}

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def paragraphs(count: int) -> list[str]:
    """So many different paragraphs, the same ones on every machine with this Python."""
    found: dict[str, None] = {}
    for text in _docstrings():
        for paragraph in inspect.cleandoc(text).split("\n\n"):
            if len(paragraph) > 40:
                found[paragraph.strip()] = None
        if len(found) >= count:
            break
    return list(found)[:count]


def _docstrings() -> Iterator[str]:
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if _NO_DOCUMENTATION & set(path.relative_to(library).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
                doc := ast.get_docstring(node)
            ):
                yield doc
