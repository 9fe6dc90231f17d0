"""finetune prepare: what becomes of data, before anything is trained on it."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from finetune_api import meta
from finetune_api.contract.trainer_config import WITHOUT_MODEL
from finetune_api.errors import UserError, in_full
from finetune_api.parse import parse_job
from finetune_api.uris import file_uri
from finetune_api.v1alpha1.data import DataFormat, FieldMapping
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Phase
from finetune_cli.commands.run import DATA_ALONE, carry_out, require_trainer
from finetune_cli.commands.selection import add_volumes, add_workspace, mounts_of
from finetune_cli.console import as_json, display
from finetune_cli.data_tables import print_data
from finetune_cli.exit_codes import STOPPED
from finetune_cli.manifest import Manifest, localized, read_manifest, read_yaml
from finetune_cli.preparing import Preparing, orders_of
from finetune_cli.workspace import Workspace, forget
from finetune_operator.brain.stages import Stage

_NO_URI = "file:///none"
"""Stands in the manifest that is made for files, where one must: nothing is ever read from it or written to it."""
_FOR_FILES = ("task", "format", "field", "set")
_DEFAULT_REPORT = Path("data-report")


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "prepare",
        help="prepare data and show what was read, changed, left out and kept",
        description="Run the prepare stage alone, on the datasets of a manifest or on files; nothing is trained.",
    )
    parser.add_argument("data", nargs="+", help="one manifest (.yaml, .yml), or files, directories and URIs of data")
    parser.add_argument(
        "--model",
        metavar="URI|none",
        help="whose tokens are counted (default: the manifest's; none for files: lengths are characters)",
    )
    parser.add_argument(
        "--report",
        nargs="?",
        type=Path,
        const=_DEFAULT_REPORT,
        metavar="DIR",
        help=f"copy data.json and data.html to a directory (default: {_DEFAULT_REPORT}); they always lie in the workspace",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="write the prepared examples as text, .jsonl or .jsonl.gz; works without a model",
    )
    files = parser.add_argument_group("for files; a manifest says it itself")
    files.add_argument("--task", choices=("chat", "classification"), help="what the rows are for (default: chat)")
    files.add_argument("--format", choices=get_args(DataFormat), help="shape of the rows (default: auto)")
    files.add_argument(
        "--field", action="append", default=[], metavar="MEANING=NAME", help="name of a field, as in prompt=question"
    )
    files.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="a value below spec.preparation, as in clean.html=true"
    )
    add_workspace(parser)
    add_volumes(parser)
    parser.add_argument("--fresh", action="store_true", help="forget what the workspace holds and begin anew")
    parser.add_argument("--plain", action="store_true", help="plain lines instead of bars")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="json: the whole data report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prepare, then print what became of the data."""
    _check(arguments)
    if _is_manifest(arguments.data[0]) and arguments.model is None and arguments.write is None:
        arguments.manifest = arguments.data[0]
        job, folder = carry_out(arguments, until=Stage.PREPARE)
        if job.status.phase is Phase.SUSPENDED:
            return STOPPED
        message = job.status.message if job.status.phase is Phase.FAILED else None
    else:
        folder, message, stopped = _alone(arguments)
        if stopped:
            return STOPPED
    if message is not None:
        sys.stderr.write(f"finetune: {message}\n")
        return 1
    _show(arguments, folder)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what does not fit together.

    Raises: UserError that says what to write instead.
    """
    manifests = [path for path in arguments.data if _is_manifest(path)]
    if manifests and len(arguments.data) > 1:
        raise UserError(f"{manifests[0]} is a manifest: name one manifest, or files of data")
    if manifests:
        given = [f"--{name}" for name in _FOR_FILES if getattr(arguments, name)]
        if given:
            raise UserError(f"{', '.join(given)} is for files of data; {manifests[0]} says it itself")
    if arguments.write is not None:
        if arguments.model not in (None, WITHOUT_MODEL):
            raise UserError(
                "--write needs data that was prepared without a model: tokens do not give their text back exactly",
                hint="Leave out --model.",
            )
        if not arguments.write.name.endswith((".jsonl", ".jsonl.gz")):
            raise UserError(f"--write {arguments.write}: the name must end with .jsonl or .jsonl.gz")
        if not arguments.write.resolve().parent.is_dir():
            raise UserError(f"--write {arguments.write}: there is no directory {arguments.write.resolve().parent}")


def _is_manifest(path: str) -> bool:
    return path == "-" or path.endswith((".yaml", ".yml"))


# ---------------------------------------------------------------- the stage alone


def _alone(arguments: argparse.Namespace) -> tuple[Path, str | None, bool]:
    """Run the stage without a job around it; returns its workspace, why it failed, and whether it was stopped."""
    manifest = read_manifest(arguments.data[0]) if _is_manifest(arguments.data[0]) else _manifest_of_files(arguments)
    job = localized(parse_job(manifest.raw), manifest)
    from_manifest = _is_manifest(arguments.data[0])
    given = arguments.model or (job.spec.model.uri if from_manifest and arguments.write is None else WITHOUT_MODEL)
    require_trainer(*(DATA_ALONE if given == WITHOUT_MODEL else ()))
    chosen: Path = arguments.workspace or Path(".finetune") / f"{job.name}-data"
    folder = chosen.resolve()
    if (folder / "job.json").is_file():
        raise UserError(f"{folder} is the workspace of a job", hint="Name another one with --workspace.")
    workspace = Workspace(folder)
    workspace.lock()
    if arguments.fresh:
        forget(folder)
    orders = orders_of(
        _with_model(job, given),
        workspace,
        environment=arguments.environment,
        mounts=mounts_of(arguments, manifest, folder),
        model=given,
        write_examples=str(arguments.write.resolve()) if arguments.write else None,
    )
    screen = display(plain=arguments.plain, clock=arguments.clock, stages=(Stage.PREPARE,))
    preparing = Preparing(orders, workspace, arguments.environment, arguments.clock, screen)
    try:
        with _stopping(preparing):
            result = preparing.run()
    finally:
        screen.close()
    if result.error is None:
        return folder, None, False
    stopped = preparing.stopped or result.error.error_class == "Interrupted"
    message, field, hint = result.error.message, result.error.field, result.error.hint
    if from_manifest:
        return folder, in_full(message, field, hint), stopped
    return folder, _FIELDS.sub("--field MEANING=NAME", in_full(message, None, hint)), stopped


_FIELDS = re.compile(r"spec\.datasets\[\d+\]\.fields")
"""What whoever names files has no manifest for."""


def _with_model(job: FineTuneJob, uri: str) -> FineTuneJob:
    model = job.spec.model.model_copy(update={} if uri == WITHOUT_MODEL else {"uri": uri})
    return job.model_copy(update={"spec": job.spec.model_copy(update={"model": model})})


def _manifest_of_files(arguments: argparse.Namespace) -> Manifest:
    """The manifest that would say what the arguments say. Nothing is held out: whoever looks at data wants all of it.

    Raises: UserError for an argument that cannot be understood.
    """
    fields = dict(_pair(text, "--field", "MEANING=NAME") for text in arguments.field)
    unknown = next((name for name in fields if name not in FieldMapping.model_fields), None)
    if unknown is not None:
        raise UserError(f"--field {unknown}=...: known are {', '.join(FieldMapping.model_fields)}")
    datasets = [
        {
            "uri": _uri(text),
            **({"format": arguments.format} if arguments.format else {}),
            **({"fields": fields} if fields else {}),
        }
        for text in arguments.data
    ]
    preparation: dict[str, Any] = {"split": {"validation": 0, "test": 0}}
    for text in arguments.set:
        path, value = _pair(text, "--set", "PATH=VALUE")
        _put(preparation, path, _value(value, text))
    model = arguments.model if arguments.model not in (None, WITHOUT_MODEL) else _NO_URI
    raw = {
        "apiVersion": meta.API_VERSION,
        "kind": meta.KIND,
        "metadata": {"name": _name(arguments.data[0])},
        "spec": {
            "task": arguments.task or "chat",
            "model": {"uri": model},
            "datasets": datasets,
            "preparation": preparation,
            "output": {"uri": _NO_URI},
        },
    }
    return Manifest("the command line", Path.cwd(), raw)


def _uri(text: str) -> str:
    if "://" in text:
        return text
    if not Path(text).exists() and not any(sign in text for sign in "*["):
        raise UserError(f"{text}: no such file or directory")
    return file_uri(Path(text).resolve())


def _name(path: str) -> str:
    """A job's name from that of a file: a DNS label that begins with a letter."""
    stem = re.sub(r"[^a-z0-9]+", "-", Path(path.split("?")[0].rstrip("/")).name.split(".")[0].lower()).strip("-")
    return (stem if stem[:1].isalpha() else f"data-{stem}")[:35].rstrip("-")


def _pair(text: str, option: str, shape: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UserError(f"{option} {text}: {shape} is needed")
    return name, value


def _value(text: str, whole: str) -> Any:
    try:
        found = read_yaml(text)
    except Exception:  # whatever the reader says of it, it is this argument that is wrong
        raise UserError(f"--set {whole}: {text} is no value in YAML") from None
    return found[0] if found else None


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.removeprefix("spec.").removeprefix("preparation.").split(".")
    for parent in parents:
        inner = tree.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise UserError(f"--set {path}: {parent} has no fields")
        tree = inner
    tree[last] = value


@contextmanager
def _stopping(preparing: Preparing) -> Iterator[None]:
    """Ctrl-C and the signals of a closing session end the stage, which leaves nothing half-written."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: preparing.stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------- what it found


def _show(arguments: argparse.Namespace, folder: Path) -> None:
    reports = folder / "reports"
    report = json.loads((reports / "data.json").read_text(encoding="utf-8"))
    where = reports if arguments.report is None else _copied(reports, arguments.report)
    places = {"report": where / "data.html", "numbers": where / "data.json", "workspace": folder}
    if arguments.write is not None:
        places = {"examples": arguments.write.resolve(), **places}
    if arguments.output == "json":
        shown = {"workspace": str(folder), "report": report, "paths": {name: str(path) for name, path in places.items()}}
        sys.stdout.write(as_json(shown) + "\n")
    else:
        print_data(report, {name: str(path) for name, path in places.items()}, sys.stdout)


def _copied(reports: Path, target: Path) -> Path:
    """Copy the reports; returns the absolute directory.

    Raises: UserError if it cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in ("data.json", "data.html"):
            shutil.copyfile(reports / name, target / name)
    except OSError as error:
        raise UserError(f"--report {target}: {error.strerror}") from None
    return target.resolve()
