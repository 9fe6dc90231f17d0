"""finetune plan: what will happen, with every reason, before anything happens."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from pydantic.alias_generators import to_camel

from finetune_api.parse import parse_job
from finetune_api.v1alpha1.status import Phase
from finetune_cli.commands.selection import add_volumes, add_workspace, check_volumes, workspace_of
from finetune_cli.console import as_json, print_plan
from finetune_cli.exit_codes import STOPPED
from finetune_cli.machine import this_machine
from finetune_cli.manifest import localized, read_manifest
from finetune_cli.workspace import Workspace, with_known_facts
from finetune_operator.brain.plan import Plan, plan
from finetune_operator.brain.retries import smaller_plans
from finetune_operator.brain.stages import Stage


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("plan", help="show every resolved value with its reason")
    parser.add_argument("manifest", help="file with a FineTuneJob, or - for standard input")
    add_workspace(parser)
    add_volumes(parser)
    parser.add_argument("--prepare", action="store_true", help="run the prepare stage first, so that steps are known")
    parser.add_argument("--plain", action="store_true", help="plain lines instead of bars")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to answer (default: text)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan for this machine; with what prepare found, if it has run in the workspace."""
    manifest = read_manifest(arguments.manifest)
    job = localized(parse_job(manifest.raw), manifest)
    check_volumes(arguments)
    if arguments.prepare:
        from finetune_cli.commands.run import carry_out

        job, _ = carry_out(arguments, until=Stage.PREPARE)
        if job.status.phase is Phase.FAILED:
            sys.stderr.write(f"finetune: {job.status.message or 'prepare failed'}\n")
            return 1
        if job.status.phase is Phase.SUSPENDED:
            return STOPPED
    elif (folder := workspace_of(arguments, job.name)).is_dir():
        job, note = with_known_facts(job, Workspace(folder))
        if note:
            sys.stderr.write(f"Note: {note}\n")
    machine = this_machine(arguments.environment)
    made = plan(job.spec, job.status.facts, machine, smaller=smaller_plans(job.status, Stage.TRAIN))
    if arguments.output == "json":
        sys.stdout.write(as_json(_plain(made)) + "\n")
    else:
        print_plan(made, sys.stdout, name=job.name)
    return 0


def _plain(made: Plan) -> dict[str, Any]:
    """The plan in camelCase, as all JSON of ours."""
    value = asdict(made)
    value["topology"]["world_size"] = made.topology.world_size
    shown: dict[str, Any] = _camel(value)
    return shown


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {to_camel(name.replace("_gib", "_gi_b")): _camel(inner) for name, inner in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list | tuple) else value
