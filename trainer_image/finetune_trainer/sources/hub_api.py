"""The hub's client library, and what its refusals mean to the user.

Its messages hold addresses, and for storage hosts these carry signatures; its log lines too. So no text of the library
reaches a message: a status and the hub's own error code say what happened, and where they do not, the hub's own words.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from finetune_api.errors import FinetuneError
from finetune_trainer.sources.connection import Headers, causes, failure, is_address, is_busy, retry_after
from finetune_trainer.sources.credentials import Credentials
from finetune_trainer.sources.location import Location
from finetune_trainer.sources.patience import Patience, Result

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_WORDS = 200


def hub_api(location: Location, credentials: Credentials, patience: Patience) -> HfApi:
    """The library's client for one hub, without telemetry, progress bars, warnings, or a token saved on this machine.

    A token that somebody saved for the public hub must not go to whatever HF_ENDPOINT names.

    Args:
        location: for messages.
        credentials: HF_ENDPOINT, HF_TOKEN. The library itself reads the former at import only, so it is passed on here.
        patience: its timeout is given to requests that have none.
    Raises: UserError if HF_ENDPOINT is no address.
    """
    from huggingface_hub import HfApi, constants, get_session
    from huggingface_hub.utils.tqdm import disable_progress_bars

    endpoint = credentials.get("HF_ENDPOINT")
    if endpoint is not None and not is_address(endpoint):
        raise location.problem("cannot be looked up: HF_ENDPOINT is no https:// or http:// address")
    constants.HF_HUB_DISABLE_TELEMETRY = True
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    disable_progress_bars()
    get_session().timeout = 10 * patience.timeout
    return HfApi(
        endpoint=endpoint and endpoint.rstrip("/"), token=credentials.get("HF_TOKEN") or False, library_name="finetune-operator"
    )


def asking(location: Location, credentials: Credentials, action: Callable[[], Result]) -> Result:
    """Do something with the library, and say its errors in our words.

    Raises: Again if another try may help; UserError.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    # httpx.HTTPError or httpx2.HTTPError, whichever this version of the library uses.
    transport = cast(type[Exception], HfHubHTTPError.__bases__[0])

    try:
        return action()
    except OfflineModeIsEnabled:
        raise location.problem("cannot be reached: HF_HUB_OFFLINE is set", hint="Unset it for this stage.") from None
    except HFValidationError:
        raise location.problem("names no repository: that is not a valid name", hint="Write hf://org/name.") from None
    except (transport, OSError, RuntimeError) as error:
        chain = causes(error)
        answer = next((cause for cause in chain if isinstance(cause, HfHubHTTPError)), None)
        if answer is not None:
            status, headers = answer.response.status_code, answer.response.headers
            if is_busy(status) or status in (409, 412):  # the latter two: somebody else was faster
                raise location.again(f"answered with status {status}", after=retry_after(headers)) from None
            with_token = credentials.get("HF_TOKEN") is not None
            raise refusal(location, status, headers, with_token=with_token, said=answer.server_message) from None
        if any(isinstance(cause, transport) for cause in chain):
            raise failure(location, error) from None
        raise


def refusal(location: Location, status: int, headers: Headers, *, with_token: bool, said: str | None = None) -> FinetuneError:
    """What the hub's no means.

    Args:
        location: the URI.
        status: of the answer.
        headers: of the answer; X-Error-Code tells a missing repository from a missing file.
        with_token: whether a token was sent.
        said: the hub's own words, shown where we have none.
    """
    hint = location.secret_hint("HF_TOKEN")
    match headers.get("X-Error-Code"), status:
        case "GatedRepo", _:
            return location.problem(
                "is gated: its owner gives it only to those who accept its terms",
                hint="Accept them on its page, with the account whose HF_TOKEN is used here."
                + ("" if with_token else f" {hint}"),
            )
        case "RevisionNotFound", _:
            return location.problem("has no such revision", hint="Name a branch, a tag or a commit.")
        case "EntryNotFound", _:
            return location.problem("lacks a file that its list names")
        case "RepoNotFound", _:
            return location.problem(
                "does not exist, or is private" + (" and closed to this token" if with_token else ""),
                hint="Check the name." if with_token else hint,
            )
        case _, 401:
            return location.problem("does not accept the token" if with_token else "asks for a token", hint=hint)
        case _, 403:
            return location.problem("is not allowed with this token" if with_token else "is not allowed", hint=hint)
        case _, 404:
            return location.problem("does not exist", hint="Check the name.")
        case _:
            words = re.sub(r"\?\S*", "", said or "").split("\n")[0][:_WORDS]
            return location.problem(f"answered with status {status}" + (f": {words}" if words else ""))
