"""The client for an object store, and what its refusals mean to the user.

Credentials are handed in, not found by the library in a place that nobody thought of. Of its ordinary search all is kept
but the machine's metadata service: on machines that have none, asking for it hangs, and where there is one, a pod would act
as its node. Whoever wants that sets AWS_EC2_METADATA_DISABLED=false.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from finetune_trainer.sources.connection import failure, is_address, is_busy
from finetune_trainer.sources.credentials import Credentials
from finetune_trainer.sources.location import Location
from finetune_trainer.sources.patience import Again, Patience, Result

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

_WRONG_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity", "AuthFailure"}
_EXPIRED = {"ExpiredToken", "TokenRefreshRequired", "RequestExpired"}
_WRONG_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_BUSY = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException"}


def s3_client(location: Location, credentials: Credentials, patience: Patience) -> Any:
    """A client of boto3, safe to share between threads.

    Args:
        location: for messages.
        credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION or AWS_DEFAULT_REGION,
            AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_CA_BUNDLE or SSL_CERT_FILE.
        patience: the library tries each request so many times, and waits between tries as long as `Patience` does.
    Raises: UserError if the endpoint is no address, or no credentials are found.
    """
    import boto3  # type: ignore[import-untyped]  # has no annotations
    import botocore.session  # type: ignore[import-untyped]  # has no annotations
    from botocore.config import Config  # type: ignore[import-untyped]  # has no annotations

    session = botocore.session.Session()
    if (credentials.get("AWS_EC2_METADATA_DISABLED") or "true").lower() != "false":
        session.get_component("credential_provider").remove("iam-role")
    key, secret, token = credentials.together(*KEYS, "AWS_SESSION_TOKEN")
    endpoint = credentials.get("AWS_ENDPOINT_URL_S3") or credentials.get("AWS_ENDPOINT_URL")
    if endpoint is not None and not is_address(endpoint):
        raise location.problem("cannot be looked up: AWS_ENDPOINT_URL is no https:// or http:// address")
    # Stores other than Amazon's often have no virtual hosts per bucket, and not the newer checksums.
    elsewhere = {
        "s3": {"addressing_style": "path"},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    config = Config(
        retries={"mode": "standard", "total_max_attempts": patience.attempts},
        connect_timeout=patience.timeout,
        read_timeout=patience.timeout,
        **(elsewhere if endpoint else {}),
    )

    def make() -> Any:
        return boto3.Session(botocore_session=session).client(
            "s3",
            endpoint_url=endpoint,
            region_name=credentials.get("AWS_REGION") or credentials.get("AWS_DEFAULT_REGION") or "us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            verify=credentials.get("AWS_CA_BUNDLE") or credentials.get("SSL_CERT_FILE"),
            config=config,
        )

    return asking(location, make)


def asking(location: Location, action: Callable[[], Result], *, what: str = "") -> Result:
    """Do something with the library, and say its errors in our words.

    Args:
        location: the URI.
        action: what to do. The library has tried often enough when it fails.
        what: which object, for messages; empty for that of the URI.
    Raises: UserError, Transient.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # has no annotations

    try:
        return action()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        raise _refusal(location, code, status, what) from None
    except BotoCoreError as error:
        problem = broken(location, error)
        raise (problem.problem if isinstance(problem, Again) else problem) from None


def _refusal(location: Location, code: str, status: int, what: str) -> Exception:
    hint = location.secret_hint(*KEYS)
    object_ = f" ({what})" if what else ""
    if code in _WRONG_KEYS:
        return location.problem(f"does not accept the credentials ({code})", hint=hint)
    if code in _EXPIRED:
        return location.problem(f"does not accept the credentials any more ({code})", hint="Renew AWS_SESSION_TOKEN.")
    if code == "RequestTimeTooSkewed":
        return location.problem("refuses requests: this machine's clock differs from the store's", hint="Set the clock.")
    if code in _WRONG_REGION or status == 301:
        return location.problem("is in another region", hint="Set AWS_REGION to the bucket's, in the same Secret.")
    if code == "NoSuchBucket":
        return location.problem(f'does not exist: no bucket "{location.host}"')
    if code == "PreconditionFailed" or status == 412:
        return location.transient(f"changed while it was read{object_}")
    if code in _BUSY or is_busy(status):
        return location.transient(f"answered with status {status} {code}{object_}")
    if status in (401, 403):
        return location.problem(f"is not allowed with these credentials{object_} ({code or status})", hint=hint)
    if status == 404:
        return location.problem(f"does not exist{object_}")
    return location.problem(f"answered with status {status} {code}{object_}")


def broken(location: Location, error: Exception) -> Exception:
    """What an error means that is no answer of the store: Again where the line broke, else UserError or the error itself."""
    from botocore import exceptions

    match error:
        case exceptions.NoCredentialsError():
            return location.problem("needs credentials, and there are none", hint=location.secret_hint(*KEYS))
        case exceptions.PartialCredentialsError():
            return location.problem("needs credentials, and there is only a part of them", hint=location.secret_hint(*KEYS))
        case exceptions.CredentialRetrievalError() | exceptions.ProfileNotFound():
            return location.problem("needs credentials, and they cannot be had", hint=location.secret_hint(*KEYS))
        case exceptions.ParamValidationError():
            return location.problem(f'names no valid bucket or key: "{location.host}"')
        case exceptions.HTTPClientError() | exceptions.ConnectionError() | exceptions.IncompleteReadError():
            return failure(location, error)
        case _:
            return error
