"""What changed between two versions of a dataset, in numbers and never in content.

    python -m finetune_trainer.compare_data OLD NEW [--key FIELD] [--task TASK]

A version is a workspace in which data was prepared, a data report without one (numbers alone), or rows as they come: a file, a
directory or a URI. Prints one JSON object; a mistake ends with a sentence and an exit code of contract/exit_codes.py.
`finetune data diff` starts it and shows what it says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from finetune_api.contract.exit_codes import ExitCode
from finetune_api.errors import FinetuneError, UserError
from finetune_api.v1alpha1.data import FieldMapping
from finetune_trainer.data.compare import compare_rows, moved_between
from finetune_trainer.data.versions import Version, read_version, with_labels_shown


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(prog="finetune_trainer.compare_data", description="Compare two versions of a dataset.")
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--key", help="field by which rows are known; without it, what is asked")
    parser.add_argument("--field", action="append", default=[], help="MEANING=NAME, as in a manifest's fields")
    parser.add_argument("--task", choices=("chat", "classification"), default="chat")
    parsed = parser.parse_args(arguments)
    try:
        fields = FieldMapping.model_validate(dict(one.split("=", 1) for one in parsed.field))
        versions = [
            read_version(place, key=parsed.key, task=parsed.task, fields=fields, environment=os.environ)
            for place in (parsed.old, parsed.new)
        ]
        sys.stdout.write(json.dumps(compare(*versions, key=parsed.key), ensure_ascii=False) + "\n")
    except FinetuneError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'a file'} cannot be read: {error.strerror}\n")
        return int(ExitCode.USER_ERROR)
    return int(ExitCode.DONE)


def compare(old: Version, new: Version, *, key: str | None) -> dict[str, Any]:
    """Everything that changed, as plain JSON types.

    Raises: UserError if one is prepared and the other is not.
    """
    if (old.kind == "rows") != (new.kind == "rows"):
        raise UserError("one version is prepared data, the other is rows as they come: compare two of a kind")
    if old.kind == "rows":
        with_labels_shown(old, new)
    found: dict[str, Any] = {"old": old.numbers, "new": new.numbers, "rows": None, "moved": [], "remarks": []}
    looked_at = {side.numbers.get("languagesOf", "") for side in (old, new) if side.numbers.get("languages")}
    if len(looked_at - {""}) > 1:
        found["remarks"].append("Languages cannot be set side by side: one version counted every row, one every eighth.")
    if old.rows is None or new.rows is None:
        found["remarks"].append("Rows were not compared: a report alone holds numbers. Name the workspaces to compare rows.")
    elif old.counted_by != new.counted_by:
        found["remarks"].append("Rows were not compared: the versions were prepared for different models.")
    else:
        asked = "what is asked" if old.asked and new.asked else "all of their fields"
        by = f'the field "{key}"' if key else "the group" if old.kind == "prepared" else asked
        if by == "all of their fields":
            found["remarks"].append(
                "What the rows ask is not known, so a changed row counts as removed and added: name --key, or say what the"
                " fields mean, as in --field prompt=description."
            )
        found["rows"] = {**asdict(compare_rows(old.rows, new.rows)), "knownBy": by}
        moved = moved_between(old.splits, new.splits)
        found["moved"] = [{"from": before, "to": after, "examples": count} for (before, after), count in moved.items()]
    return found


if __name__ == "__main__":
    sys.exit(main())
