"""An error that nobody foresaw, met on rows: told with its kind and both places, without its own words.

A parser's error quotes what it could not read. What a stage says at its end stands in the status of the job, in events and in
logs, where more people read than may see the rows. So in place of such words stand the line of the program and the rows.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune_api.errors import FinetuneError

log = logging.getLogger(__name__)


@contextmanager
def told_without_words(rows: Callable[[], str]) -> Iterator[None]:
    """Errors of the operating system and of torch pass: they tell of disks and memory, and what is done about them hangs on it.

    Args:
        rows: says which rows are read or worked on.
    Raises: FinetuneError in place of any other error that is none itself.
    """
    try:
        yield
    except (FinetuneError, OSError, MemoryError, RuntimeError):
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        log.error("%s in\n%s", type(error).__name__, "".join(frames.format()))
        place = f"{Path(frames[-1].filename).name} line {frames[-1].lineno}"
        raise FinetuneError(
            f"{type(error).__name__} in {place}, at {rows()}",
            hint="This is a defect of the trainer; the way there is in the log. What it says is kept back: it may quote a row.",
        ) from None
