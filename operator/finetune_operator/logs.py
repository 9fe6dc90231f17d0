"""One JSON line per thing that happened: a constant message, the facts as fields.

A log that is written for reading cannot be counted or filtered. Nothing that changes nothing is logged, and never a secret,
personal data or a URI with its query.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from aiohttp.http import HttpProcessingError

from finetune_operator.brain.transitions import Transition
from finetune_operator.queue import Key

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MESSAGES = {"Started": "attempt started", "Completed": "attempt completed", "AttemptFailed": "attempt failed"}
_MESSAGES |= {"AttemptStopped": "attempt stopped", "Suspended": "job suspended", "Resumed": "job resumed"}
_MESSAGES |= {"Succeeded": "job succeeded", "Rejected": "job rejected", "Failed": "job failed"}


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"time": moment, "level": record.levelname.lower(), "message": record.getMessage()}
        if not record.name.startswith("finetune"):
            line["logger"] = record.name
        line |= {name: value for name, value in vars(record).items() if name not in _OWN and _is_plain(value)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _is_plain(value: Any) -> bool:
    """kopf hangs whole objects on its records; only what fits on a line is printed."""
    return isinstance(value, str | int | float | bool)


def is_ours(record: logging.LogRecord) -> bool:
    """Whether a server's error is of our making. What is no HTTP is counted and not told: aiohttp would tell what was sent."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def log_as_json(level: str, stream: TextIO = sys.stdout) -> None:
    """Send everything that this process logs to the stream, as JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    handler.addFilter(is_ours)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # kopf says of every event that it was handled, aiohttp of every request; both are nothing that happened.
    for name in ("kopf.objects", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def log_transition(log: logging.Logger, key: Key, transition: Transition) -> None:
    """The line of one transition: job, stage, attempt and what else is known as fields."""
    level = logging.WARNING if transition.level == "Warning" else logging.INFO
    fields = {"job": str(key), **transition.facts, "detail": transition.message}
    log.log(level, _MESSAGES.get(transition.reason, transition.reason), extra=fields)
