"""finetune crd: the CustomResourceDefinition of this version."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("crd", help="print the CustomResourceDefinition")
    parser.add_argument("-o", "--output", choices=("yaml", "json", "markdown"), default="yaml", help="format (default: yaml)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from finetune_api.crd import custom_resource_definition

    definition = custom_resource_definition()
    if arguments.output == "json":
        from finetune_cli.console import as_json

        sys.stdout.write(as_json(definition) + "\n")
    elif arguments.output == "markdown":
        from finetune_cli.reference import manifest_reference

        sys.stdout.write(manifest_reference(definition))
    else:
        sys.stdout.write(as_yaml(definition))
    return 0


def as_yaml(definition: dict[str, Any]) -> str:
    """The definition as YAML, in the order in which it was built, long texts folded."""
    import yaml

    from finetune_cli.streams import knows_all_characters

    head = "# Generated from the models by `make crds`. Do not edit.\n"
    return head + str(yaml.safe_dump(definition, sort_keys=False, allow_unicode=knows_all_characters(), width=118))
