"""One request to the API server and its answer, over the transport of the `kubernetes` package's asynchronous client.

Its typed models drop fields they do not know, its calls answer 4xx and 5xx like a success, connection trouble arrives as
aiohttp's exceptions, its default timeout is five minutes and it has no limit of its own. Here one call is one request with
a deadline that returns the object or raises one of our errors. The command line asks by it too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from finetune_api.errors import ClusterError, Conflict, NotFound, Problem, Refused
from finetune_operator.kinds import Manifest

JSON = "application/json"
_MOST_WAIT_SECONDS = 120.0
"""How long an answer may keep us away: behind a proxy's page for its own maintenance, jobs would go unwatched for an hour."""
Query = tuple[tuple[str, str], ...]
Client = ApiClient
"""What `connect` makes; closed by whoever asked for it."""


async def connect(kubeconfig: Path | None) -> Client:
    """A client with the pod's own service account, or with a kubeconfig outside of a cluster."""
    configuration = Configuration()
    if kubeconfig is None:
        # It reads the token anew every minute.
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        load = config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        await load
    return ApiClient(configuration)


async def exchange(
    client: Client,
    method: str,
    path: str,
    body: Any = None,
    query: Query = (),
    *,
    content: str = JSON,
    accept: str = JSON,
    limit: aiohttp.ClientTimeout,
) -> tuple[int, Manifest]:
    """One request and its answer: the HTTP status, below 300, and the object.

    Args:
        content, accept: media types of the body and of the answer.
    Raises: ClusterError for every other answer, and for none.
    """
    request = await client.param_serialize(
        method,
        path,
        query_params=list(query),
        # Always named: a PATCH without a type becomes a strategic merge patch, which custom resources answer with 415.
        header_params={"Accept": accept, "Content-Type": content},
        body=body,
        auth_settings=["BearerToken"],  # without it no token is sent
    )
    try:
        response = await client.call_api(*request, _request_timeout=limit)
        text = await response.read()  # type: ignore[no-untyped-call]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ClusterError(f"the API server did not answer: {type(error).__name__}", reason=type(error).__name__) from error
    answer = _parsed(text)
    if response.status < 300:
        return response.status, answer
    raise refusal(response.status, answer, response.headers.get("Retry-After"))


def _parsed(text: bytes) -> Manifest:
    try:
        answer = json.loads(text)
    except ValueError:  # a proxy's page
        return {}
    return answer if isinstance(answer, dict) else {}


def refusal(status: int, answer: Manifest, retry_after: str | None) -> ClusterError:
    """The error that an answer means. Its message is Kubernetes' own; the request and its headers stay out of it."""
    reason, message = str(answer.get("reason") or "Unknown"), str(answer.get("message") or f"HTTP {status}")[:1000]
    after = retry_after or (answer.get("details") or {}).get("retryAfterSeconds")
    try:
        seconds = float(after or 0)
    except ValueError:  # a date
        seconds = 0.0
    wait = min(seconds, _MOST_WAIT_SECONDS) if seconds > 0 else None
    causes = [
        Problem(str(cause.get("field") or ""), str(cause.get("message") or ""))
        for cause in (answer.get("details") or {}).get("causes") or ()
    ]
    known: dict[int, type[ClusterError]] = {404: NotFound, 409: Conflict, 400: Refused, 403: Refused, 422: Refused}
    return known.get(status, ClusterError)(message, status=status, reason=reason, retry_after=wait, causes=causes)
