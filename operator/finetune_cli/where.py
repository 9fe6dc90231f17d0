"""Which of the two worlds a verb means: workspaces of this machine, or jobs of a cluster.

A guess would one day report a job of yesterday's experiment as that of production. So a cluster is meant where the command
line says so: by one of the options below, or by calling the program as `kubectl finetune`. Everything else is this machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from finetune_api.errors import UserError

_GROUP = "in a cluster"
ELSEWHERE = "In a cluster: name it with -n NAMESPACE, --context or --cluster."
"""Hint where nothing is found on this machine."""


def add_cluster(parser: argparse.ArgumentParser, *, all_namespaces: bool = False) -> None:
    """Declare the options that mean a cluster."""
    group = parser.add_argument_group(_GROUP, "any of these means a cluster; without them this machine is meant")
    group.add_argument("--cluster", action="store_true", help="ask the cluster of the kubeconfig, or of the pod this runs in")
    group.add_argument("-n", "--namespace", metavar="NAME", help="namespace of the job (default: that of the context)")
    if all_namespaces:
        group.add_argument("-A", "--all-namespaces", action="store_true", help="jobs of all namespaces")
    group.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: the current one)")
    group.add_argument("--kubeconfig", type=Path, metavar="FILE", help="default: $KUBECONFIG, ~/.kube/config, the pod's own")


def only_clusters(parser: argparse.ArgumentParser) -> None:
    """Leave out of a verb's help what speaks of this machine, or says once more that a cluster is meant."""
    for action in parser._actions:
        if action.dest in ("workspace", "cluster"):
            action.help = argparse.SUPPRESS
    for group in parser._action_groups:
        if group.title == _GROUP:
            group.description = None


def means_cluster(arguments: argparse.Namespace) -> bool:
    """Whether the command line means a cluster.

    Raises: UserError if it means both.
    """
    named = [f"--{name}" for name in ("namespace", "context", "kubeconfig", "cluster") if getattr(arguments, name)]
    if getattr(arguments, "all_namespaces", False):
        named.append("--all-namespaces")
    workspace = getattr(arguments, "workspace", None)
    if workspace and (named or arguments.plugin):
        raise UserError(f"--workspace means this machine and {named[0] if named else 'kubectl'} a cluster; give one of them")
    return bool(named) or bool(arguments.plugin)
