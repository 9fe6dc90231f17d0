"""Completion of `kubectl finetune`: kubectl (1.26 and newer) runs the program kubectl_complete-finetune with the words so far,
and takes a candidate a line, then a directive of cobra.

Verbs and options come from the parser itself. Names of jobs and namespaces are asked from the cluster, for three seconds at
most and without a word if it does not answer: nothing is worse on a command line than a complaint while typing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from finetune_api.errors import FinetuneError
from finetune_cli.main import IN_A_CLUSTER, plugin_parser

if TYPE_CHECKING:
    from finetune_cli.cluster.api import Api

_FILES_TOO, _NO_FILES = 0, 4
"""Directives of github.com/spf13/cobra: ShellCompDirectiveDefault and ShellCompDirectiveNoFileComp."""
_PATIENCE_SECONDS = 3.0
Candidate = tuple[str, str]


def main(words: list[str] | None = None) -> int:
    """Entry point: print what may stand in place of the last word."""
    *before, word = (sys.argv[1:] if words is None else words) or [""]
    found, directive = _candidates(before, word)
    for name, text in found:
        if name.startswith(word):
            sys.stdout.write(f"{name}\t{text}\n" if text else f"{name}\n")
    sys.stdout.write(f":{directive}\n")
    return 0


def _candidates(before: list[str], word: str) -> tuple[Iterable[Candidate], int]:
    _, verbs = plugin_parser(IN_A_CLUSTER)
    verb = next((one for one in before if one in IN_A_CLUSTER), None)
    if verb is None:
        helps = {action.dest: action.help or "" for action in verbs._get_subactions()}
        return [(name, helps.get(name, "")) for name in IN_A_CLUSTER], _NO_FILES
    actions = verbs.choices[verb]._actions  # argparse has no other way to ask what a parser takes
    waiting = next((a for a in actions if before[-1] in a.option_strings and a.nargs != 0), None)
    if waiting is not None:
        return _values(waiting, before)
    if word.startswith("-"):
        options = [(option, action.help or "") for action in actions for option in action.option_strings]
        return [one for one in options if one[0].startswith("--") or word == "-"], _NO_FILES
    positional = next((a for a in actions if not a.option_strings), None)
    return _values(positional, before) if positional is not None else ([], _NO_FILES)


def _values(action: argparse.Action, before: list[str]) -> tuple[Iterable[Candidate], int]:
    """What an option or an argument may be."""
    if action.choices is not None:
        return [(str(one), "") for one in action.choices], _NO_FILES
    if action.dest in ("job", "namespace"):
        return _asked(action.dest, before), _NO_FILES
    return [], _FILES_TOO if action.dest in ("manifest", "kubeconfig", "to") else _NO_FILES


def _asked(what: str, before: list[str]) -> list[Candidate]:
    """Names in the cluster."""
    from finetune_cli.cluster.asking import ask
    from finetune_cli.cluster.kinds import NAMESPACE
    from finetune_operator.kinds import FINE_TUNE_JOB

    parser = argparse.ArgumentParser(add_help=False)
    for options in (("-n", "--namespace"), ("--context",), ("--kubeconfig",)):
        parser.add_argument(*options)
    said, _ = parser.parse_known_args(before)
    said.environment = dict(os.environ)
    found: list[Candidate] = []

    async def question(api: Api) -> int:
        kind, namespace = (FINE_TUNE_JOB, api.namespace) if what == "job" else (NAMESPACE, None)
        for one in await api.find_all(kind, namespace):
            found.append((one["metadata"]["name"], str((one.get("status") or {}).get("phase") or "")))
        return 0

    try:
        ask(said, question, patience_seconds=_PATIENCE_SECONDS)
    except FinetuneError:
        return []
    return sorted(found)


if __name__ == "__main__":
    sys.exit(main())
