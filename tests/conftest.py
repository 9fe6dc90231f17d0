"""What holds for all tests."""

from __future__ import annotations

import ast
import gc
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

# Ctrl-C is tested on programs that tests start: one that a script started in the background would hand down to be deaf to it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _no_garbage_collection() -> Generator[None]:
    """Up to Python 3.11.7 code that runs in the middle of making a syntax tree, such as a finalizer, can end in `SystemError:
    AST constructor recursion depth mismatch` (CPython issue 106905)."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_parse = ast.parse


def _parse_undisturbed(*arguments: Any, **named: Any) -> Any:
    with _no_garbage_collection():
        return _parse(*arguments, **named)


# Not at collection alone: inspect, and Hypothesis by it, read the source of a class while its test runs.
ast.parse = _parse_undisturbed


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """None while test modules are parsed: it also takes a fifth less time."""
    with _no_garbage_collection():
        return (yield)
