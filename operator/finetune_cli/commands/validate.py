"""finetune validate: every mistake of a manifest at once."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from finetune_api.errors import FinetuneError, InvalidSpec
from finetune_api.parse import parse_job
from finetune_cli.manifest import read_manifest


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("validate", help="check manifests and name every mistake")
    parser.add_argument("manifest", nargs="+", help="file with a FineTuneJob, or - for standard input")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="how to answer (default: text)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 if all are valid, 1 if one is not, 2 if one cannot be read."""
    answers = [_check(path) for path in arguments.manifest]
    if arguments.output == "json":
        from finetune_cli.console import as_json

        shown = [{key: answer[key] for key in ("manifest", "valid", "problems")} for answer in answers]
        sys.stdout.write(as_json(shown) + "\n")
    else:
        for answer in answers:
            _print(answer)
    return max(int(answer["code"]) for answer in answers)


def _check(path: str) -> dict[str, Any]:
    try:
        job = parse_job(read_manifest(path).raw)
    except InvalidSpec as error:
        problems = [{"field": p.field, "message": p.message} for p in error.problems]
        return {"manifest": path, "valid": False, "problems": problems, "code": 1}
    except FinetuneError as error:
        return {"manifest": path, "valid": False, "problems": [{"field": "", "message": str(error)}], "code": 2}
    return {"manifest": path, "valid": True, "problems": [], "code": 0, "name": job.name}


def _print(answer: dict[str, Any]) -> None:
    if answer["valid"]:
        sys.stdout.write(f"{answer['manifest']}: finetunejob {answer['name']} is valid\n")
        return
    for problem in answer["problems"]:
        place = f"{problem['field']}: " if problem["field"] else ""
        sys.stderr.write(f"{place}{problem['message']}\n")
    count = len(answer["problems"])
    if answer["code"] == 1:
        sys.stderr.write(f"{answer['manifest']}: {count} problem{'s' if count > 1 else ''}\n")
