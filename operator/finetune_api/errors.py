"""How things end when they do not end well.

FinetuneError(message, *, field=None, hint=None)
   ├── UserError     exit 64   somebody has to change something: never retried
   │      ├── InvalidSpec      the manifest; holds every problem found, not only the first
   │      └── DataError  65    an example, a file, a dataset; names file and line
   ├── OutOfMemory   exit 71   once more, with a smaller plan
   ├── Transient     exit 75   again, later
   │      └── ClusterError     the API server; NotFound, Refused, Conflict and, below it, Taken
   └── Interrupted   exit 143  told to stop before the last step

A message says what happened and where, with numbers; the hint says what to do. Neither ever holds a personal value or a
secret. The place that raises knows the field; only the outermost caller turns an error into an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune_api.contract.exit_codes import ExitCode


class FinetuneError(Exception):
    """An end that we foresaw. What we did not foresee stays an ordinary exception with its traceback.

    Args:
        message: what happened, where, with numbers; one or two sentences.
        field: path into the manifest, as in `spec.datasets[0].uri`, where one is to blame.
        hint: what the reader can do next.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        return in_full(self.message, self.field, self.hint)


def in_full(message: str, field: str | None, hint: str | None) -> str:
    """Field, message and hint as one text; a message that is followed by a hint ends with a full stop."""
    place = f"{field}: " if field else ""
    if not hint:
        return f"{place}{message}"
    return f"{place}{message}{'' if message.endswith(('.', '!', '?')) else '.'} {hint}"


class UserError(FinetuneError):
    """Somebody has to change the manifest, the data, the model or a permission. Never retried."""

    exit_code = ExitCode.USER_ERROR


class DataError(UserError):
    """The data cannot be used as it is; the message names dataset, file and line."""

    exit_code = ExitCode.DATA_ERROR


class OutOfMemory(FinetuneError):
    """GPU or host memory ran out; the next attempt gets a smaller plan, once."""

    exit_code = ExitCode.OUT_OF_MEMORY


class Transient(FinetuneError):
    """A server did not answer, a peer died: the same thing may well work later."""

    exit_code = ExitCode.TRANSIENT


class ClusterError(Transient):
    """The API server did not answer, or said no.

    Args:
        status: of the HTTP answer; 0 if there was none.
        reason: Kubernetes' own word, such as AlreadyExists.
        retry_after: seconds for which the server asked.
        causes: fields of an object that was refused, and what is wrong with each.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        retry_after: float | None = None,
        causes: Sequence[Problem] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.causes = tuple(causes)


class NotFound(ClusterError):
    """There is no such object."""


class Refused(ClusterError):
    """The server understood and said no: invalid, or not allowed. The same request would be refused again."""


class Conflict(ClusterError):
    """Somebody else wrote in between: read again, decide again."""


class Taken(Conflict):
    """The name belongs to another object, such as the child of a predecessor that is not gone yet."""


class Interrupted(FinetuneError):
    """Told to stop (SIGTERM) before the last step; what was reached is saved."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a manifest: the path of the field, what is wrong, and what would be right."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidSpec(UserError):
    """A manifest that cannot be run. Holds every problem found, so that a person mends them in one go."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            raise ValueError("InvalidSpec needs at least one problem")
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
        self.field = problems[0].field if len(problems) == 1 else None

    def __str__(self) -> str:
        return self.message
