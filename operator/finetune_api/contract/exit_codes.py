"""The exit codes by which a stage says how it ended (design section 5, item 2).

Kubernetes shows a controller one number per container and up to 4 KB of text. The number alone must therefore say
whether another try can help; the text (contract/result.py) says the rest.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of a stage. 64, 65, 71 and 75 are those of BSD's sysexits.h, 143 is 128 + SIGTERM."""

    DONE = 0
    BUG = 1
    USER_ERROR = 64
    DATA_ERROR = 65
    OUT_OF_MEMORY = 71
    TRANSIENT = 75
    KILLED = 137
    INTERRUPTED = 143


_BLAME = {ExitCode.KILLED: 0, ExitCode.OUT_OF_MEMORY: 0, ExitCode.USER_ERROR: 1, ExitCode.DATA_ERROR: 1}


def blame(code: int) -> int:
    """Rank exit codes by how likely they name the cause: the smaller, the more to blame.

    Ranks that lose a peer exit 75 within seconds, so a 75 beside any other code is a consequence. Order: killed or out
    of memory, user or data error, anything else, 75, 143, 0.

    Args:
        code: exit code of one rank, 0 to 255.
    Returns: sort key, 0 to 5.
    """
    match code:
        case ExitCode.TRANSIENT:
            return 3
        case ExitCode.INTERRUPTED:
            return 4
        case ExitCode.DONE:
            return 5
        case _:
            return _BLAME.get(ExitCode(code), 2) if code in ExitCode._value2member_map_ else 2
