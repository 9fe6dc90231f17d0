"""`finetune`: check, plan, run and look at fine-tuning jobs.

Exit codes: 0 succeeded (validate: valid), 1 failed (validate: invalid), 2 wrong use, 3 rejected by a gate, 130 stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from importlib import import_module

from finetune_api.errors import FinetuneError, InvalidSpec

_COMMANDS = ("validate", "plan", "run", "status", "report", "crd")
"""In the order in which a person meets them; each is a module of finetune_cli.commands."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="finetune",
        description="Fine-tune language models from your own data, on this machine or in a cluster.",
        epilog="Exit codes: 0 succeeded or valid, 1 failed or invalid, 2 wrong use, 3 rejected by a gate, 130 stopped.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    given = sys.argv[1:] if arguments is None else arguments
    # Only the command that is called is imported: validate must answer at once.
    for name in [given[0]] if given and given[0] in _COMMANDS else _COMMANDS:
        import_module(f"finetune_cli.commands.{name}").add(subparsers)
    parsed = parser.parse_args(given)
    parsed.environment = dict(os.environ)
    parsed.clock = lambda: datetime.now(UTC)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()  # a reader that is gone is noticed here, not after the end
    except InvalidSpec as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return 1
    except FinetuneError as error:
        sys.stderr.write(f"finetune: {error}\n")
        return 2
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
