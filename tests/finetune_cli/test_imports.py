"""What is loaded by what: a validator that imports torch answers after ten seconds, and a brain that imports asyncio waits."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import finetune_operator.brain

if TYPE_CHECKING:
    from conftest import Desk

HEAVY = ["torch", "transformers", "deepspeed", "peft", "numpy", "kopf", "kubernetes", "aiohttp", "finetune_trainer"]


def loaded(program: str, *arguments: str) -> set[str]:
    """The modules and packages that a program has loaded at its end, those of the interpreter's own start left out."""
    names = "import sys\nsys.stderr.write(' '.join(sys.modules))"

    def run(code: str) -> set[str]:
        command = [sys.executable, "-c", f"{code}\n{names}", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        return set(ended.stderr.split())

    return run(program) - run("pass")


def packages(modules: set[str]) -> set[str]:
    tops = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)
    return {name for name in tops if not name.startswith("_sysconfigdata")}


EVERYTHING = """
import importlib, pkgutil
package = importlib.import_module({name!r})
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
"""


def test_the_contract_needs_pydantic_alone() -> None:
    modules = loaded(EVERYTHING.format(name="finetune_api"))
    needed = {"finetune_api", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
    assert packages(modules) == needed


def test_the_brain_needs_the_contract_alone() -> None:
    modules = loaded(EVERYTHING.format(name="finetune_operator.brain"))
    contract = loaded(EVERYTHING.format(name="finetune_api"))
    assert packages(modules - contract) == {"finetune_operator"}
    ours = {name for name in modules if name.startswith("finetune_operator.")}
    assert {name for name in ours if not name.startswith("finetune_operator.brain")} == set()


def test_the_brain_asks_for_nothing_of_the_outside_world() -> None:
    (folder,) = finetune_operator.brain.__path__
    asked = {name for path in Path(folder).glob("*.py") for name in imports_of(path.read_text(encoding="utf-8"))}
    stdlib = {name for name in asked if not name.startswith("finetune_")}
    assert stdlib == {"__future__", "collections.abc", "dataclasses", "datetime", "enum", "math", "typing"}


def imports_of(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_validate_loads_nothing_that_takes_long(desk: Desk) -> None:
    program = "from finetune_cli.main import main; import sys; main(sys.argv[1:])"
    modules = loaded(program, "validate", desk.manifest())
    assert {name for name in (*HEAVY, "rich", "asyncio", "http") if name in modules} == set()
    assert {name for name in modules if name.startswith("finetune_operator")} == set()


@pytest.mark.parametrize("arguments", [("status",), ("crd",), ("--help",), ("status", "--help")])
def test_what_stays_on_this_machine_loads_no_client_for_clusters(desk: Desk, arguments: tuple[str, ...]) -> None:
    swap = "sys.stderr, sys.stdout = sys.stdout, sys.stderr"
    program = (
        f"import sys; {swap}\nfrom finetune_cli.main import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n{swap}"
    )
    modules = loaded(program, *arguments)
    assert {name for name in (*HEAVY, "asyncio", "finetune_cli.cluster") if name in modules} == set()


@pytest.mark.parametrize("command", ["plan", "run"])
def test_running_needs_no_trainer_in_the_same_process(desk: Desk, command: str) -> None:
    program = "from finetune_cli.main import main; import sys; main(sys.argv[1:])"
    modules = loaded(
        f"import sys; err, sys.stderr = sys.stderr, sys.stdout\n{program}\nsys.stderr = err", command, desk.manifest()
    )
    assert {name for name in HEAVY if name in modules} == set()
