"""One question to a cluster from beginning to end: credentials, the question, and every trouble in one sentence."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from finetune_api.errors import ClusterError, UserError
from finetune_cli.exit_codes import STOPPED

if TYPE_CHECKING:
    from finetune_cli.cluster.api import Api


def ask(arguments: argparse.Namespace, question: Callable[[Api], Awaitable[int]], *, patience_seconds: float = 30.0) -> int:
    """Log in, ask, and return the exit code; 130 if somebody stops it.

    Args:
        patience_seconds: with one request.
    Raises: UserError for whatever keeps the cluster from answering.
    """
    _require_client()
    try:
        return asyncio.run(_ask(arguments, question, patience_seconds))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return STOPPED


async def _ask(arguments: argparse.Namespace, question: Callable[[Api], Awaitable[int]], patience_seconds: float) -> int:
    from finetune_cli.cluster.api import Api
    from finetune_cli.cluster.login import log_in

    task = asyncio.current_task()
    assert task is not None
    # As Ctrl-C does: what was begun in the cluster is taken back before the end.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    login = await log_in(arguments.environment, kubeconfig=arguments.kubeconfig, context=arguments.context)
    async with login.client:
        api = Api(login, timeout_seconds=patience_seconds)
        if arguments.namespace:
            api.namespace = arguments.namespace
        try:
            return await question(api)
        except (ClusterError, ExceptionGroup) as error:
            first = _first_of(error)
            raise (api.explained(first) if isinstance(first, ClusterError) else first) from None


def _first_of(error: Exception) -> Exception:
    """What went wrong first where several things were done at once."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _require_client() -> None:
    """Raises: UserError with what to install; a plain installation has no client for clusters."""
    missing = [name for name in ("kubernetes", "aiohttp") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"asking a cluster needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            hint="Install the client: pip install 'finetune-operator[cluster]'.",
        )
