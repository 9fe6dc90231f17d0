"""Writes the data of the examples support, finance, legal and medicine anew: the same bytes on every machine.

    python examples/make_data.py

All of it is invented (see invented/). The files are committed, so nobody needs to run this to try an example.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from invented import finance, legal, medicine, support

HERE = Path(__file__).parent


def files() -> dict[str, str]:
    """Path below this directory -> contents."""
    return {
        "support/tickets.csv": _csv(support.tickets()),
        "finance/questions.jsonl": _jsonl(finance.questions()),
        "legal/clauses.jsonl": _jsonl(legal.clauses()),
        "medicine/reports.jsonl": _jsonl(medicine.reports()),
    }


def _jsonl(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: Iterable[Mapping[str, object]]) -> str:
    out = io.StringIO()
    written = list(rows)
    writer = csv.DictWriter(out, fieldnames=list(written[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(written)
    return out.getvalue()


if __name__ == "__main__":
    for name, text in files().items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(text, encoding="utf-8")
        print(HERE / name)
