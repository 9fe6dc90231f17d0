"""A command in a container, and what it writes, over a connection of its own.

What a container prints is kept on its node and collected by whatever collects logs there; what comes this way is seen by
nobody else.
"""

from __future__ import annotations

import json

import aiohttp

from finetune_api.errors import ClusterError, UserError
from finetune_cli.cluster.api import Api, Query
from finetune_operator.exchange import refusal
from finetune_operator.kinds import POD

_STDOUT, _STDERR, _ERROR = 1, 2, 3
"""First byte of each message in the protocol v4.channel.k8s.io: which of the command's streams it is from."""


async def output_of(api: Api, namespace: str, pod: str, container: str, command: list[str], *, limit: int) -> bytes:
    """Run a command in a container; what it writes to its standard output, at most `limit` bytes.

    Raises: ClusterError; UserError if the command fails or writes more.
    """
    query: Query = (("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", word) for word in command))
    request = await api.client.param_serialize(
        "GET", POD.path(namespace, pod, "exec"), query_params=list(query), header_params={}, auth_settings=["BearerToken"]
    )
    url, headers = "ws" + request[1].removeprefix("http"), request[2]
    rest = api.client.rest_client
    if rest.pool_manager is None:
        rest.pool_manager = rest._create_pool_manager()
    streams: dict[int, bytearray] = {_STDOUT: bytearray(), _STDERR: bytearray(), _ERROR: bytearray()}
    try:
        async with rest.pool_manager.ws_connect(
            url, headers=headers, protocols=("v4.channel.k8s.io",), proxy=rest.proxy, heartbeat=15, max_msg_size=0
        ) as socket:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY and message.data:
                    streams.setdefault(message.data[0], bytearray()).extend(message.data[1:])
                if len(streams[_STDOUT]) > limit:
                    raise UserError(f"pod {pod} sends more than {limit:,} bytes")
    except aiohttp.WSServerHandshakeError as error:
        raise refusal(error.status, {"message": f"running a command in pod {pod}: {error.message}"}, None) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ClusterError(f"the connection to pod {pod} broke", reason=type(error).__name__) from error
    end = _status(bytes(streams[_ERROR]))
    if end.get("status") != "Success":
        said = streams[_STDERR].decode(errors="replace").strip().splitlines()
        raise UserError(f"the command in pod {pod} failed: {said[-1] if said else end.get('message') or 'it was cut off'}")
    return bytes(streams[_STDOUT])


def _status(text: bytes) -> dict[str, str]:
    """How the command ended; empty where the connection broke before."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
