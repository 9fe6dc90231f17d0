"""What holds for all tests."""

from __future__ import annotations

import gc
import signal
from collections.abc import Generator

import pytest

# Ctrl-C is tested on programs that tests start: one that a script started in the background would hand down to be deaf to it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """No garbage collection while test modules are parsed.

    Up to Python 3.11.7 code that runs in the middle of making a syntax tree, such as a finalizer, can end in `SystemError: AST
    constructor recursion depth mismatch` (CPython issue 106905). It also takes a fifth less time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
