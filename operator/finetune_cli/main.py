"""`finetune`: check, plan, run and look at fine-tuning jobs. As `kubectl finetune` it speaks of jobs in a cluster alone.

Exit codes: 0 succeeded (validate: valid), 1 failed (validate: invalid), 2 wrong use, 3 rejected by a gate, 130 stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from finetune_api.errors import FinetuneError, InvalidSpec
from finetune_cli import streams
from finetune_cli.exit_codes import STOPPED
from finetune_cli.where import only_clusters

_COMMANDS = ("validate", "prepare", "data", "plan", "run", "status", "logs", "report", "crd")
"""In the order in which a person meets them; each is a module of finetune_cli.commands."""
IN_A_CLUSTER = ("validate", "status", "logs", "report")
"""What `kubectl finetune` can do."""
_CODES = "Exit codes: 0 succeeded or valid, 1 failed or invalid, 2 wrong use, 3 rejected by a gate, 130 stopped."
Verbs = Any
"""What argparse's add_subparsers gives; its type is private."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `finetune`; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    about = "Fine-tune language models from your own data, on this machine or in a cluster."
    return _run(lambda: _parser("finetune", about, _called(given, _COMMANDS))[0], given, plugin=False)


def kubectl_plugin(arguments: list[str] | None = None) -> int:
    """Entry point of `kubectl finetune`: kubectl runs the program kubectl-finetune with what stands behind the name."""
    given = sys.argv[1:] if arguments is None else arguments
    return _run(lambda: plugin_parser(_called(given, IN_A_CLUSTER))[0], given, plugin=True)


def plugin_parser(commands: tuple[str, ...]) -> tuple[argparse.ArgumentParser, Verbs]:
    """The parser of `kubectl finetune` and its verbs."""
    parser, verbs = _parser("kubectl finetune", "Check FineTuneJobs of a cluster and look at them.", commands)
    for verb in verbs.choices.values():
        only_clusters(verb)
    return parser, verbs


class _Version(argparse.Action):
    """Looks the version up only where it is asked for: that takes longer than all else that validate does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"{parser.prog} {version('finetune-operator')}\n")
        parser.exit()


def _called(given: list[str], commands: tuple[str, ...]) -> tuple[str, ...]:
    """Only the command that is called is imported: validate must answer at once."""
    return (given[0],) if given and given[0] in commands else commands


def _parser(program: str, description: str, commands: tuple[str, ...]) -> tuple[argparse.ArgumentParser, Verbs]:
    parser = argparse.ArgumentParser(prog=program, description=description, epilog=_CODES)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in commands:
        import_module(f"finetune_cli.commands.{name}").add(verbs)
    return parser, verbs


def _run(made: Callable[[], argparse.ArgumentParser], given: list[str], *, plugin: bool) -> int:
    streams.settle()
    try:
        parsed = made().parse_args(given)  # in here, because importing a command takes long enough for a Ctrl-C
        parsed.plugin = plugin
        parsed.environment = dict(os.environ)
        parsed.clock = lambda: datetime.now(UTC)
        code: int = parsed.run(parsed)
        sys.stdout.flush()  # a reader that is gone is noticed here, not after the end
    except InvalidSpec as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return 1
    except FinetuneError as error:
        sys.stderr.write(f"finetune: {error}\n")
        return 2
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        streams.abandon_output()  # whoever read it has seen enough
        return 0
    except OSError as error:
        if not streams.full(error):
            raise
        streams.abandon_output()
        sys.stderr.write(f"finetune: the answer could not be written: {error.strerror}\n")
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
