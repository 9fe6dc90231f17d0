"""The command line inside the tests' process: the same program without the time that its start takes."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from finetune_cli.main import main


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


def finetune(*arguments: str) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(arguments))
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())
