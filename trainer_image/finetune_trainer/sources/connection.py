"""What a broken connection and a busy server mean, whichever library met them.

Three libraries wrap the same few things that go wrong between two machines, each in its own classes. What counts is the
innermost cause: distrust is the user's to mend, everything else may be over in a moment.
"""

from __future__ import annotations

import ssl
from typing import Protocol
from urllib.error import URLError
from urllib.parse import urlsplit

from finetune_trainer.sources.location import Location

_TLS_HINT = "If your own authority signed it, name a file with its certificate in the environment variable SSL_CERT_FILE."


class Headers(Protocol):
    """Headers of an answer, of whichever library: names in any case."""

    def get(self, name: str, /) -> str | None:
        """The value of a header; None if it is not there."""


def is_address(text: str) -> bool:
    """Whether a text is the address of a server."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def is_busy(status: int) -> bool:
    """Whether a status says that the same request may work later."""
    return status in (408, 425, 429) or status >= 500


def retry_after(headers: Headers) -> float | None:
    """Seconds that a server asks to wait; None if it does not say, or says it as a date."""
    value = (headers.get("Retry-After") or "").strip()
    return float(value) if value.isdigit() else None


def failure(location: Location, error: BaseException) -> Exception:
    """What a connection that failed means: distrust is the user's to mend, everything else may be over soon."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return location.problem(f"has a certificate that is not trusted ({cause.verify_message})", hint=_TLS_HINT)
    innermost = causes(error)[-1]
    words = "no answer in time" if isinstance(innermost, TimeoutError) else getattr(innermost, "strerror", None)
    return location.again(f"cannot be reached: {words or type(innermost).__name__}")


def causes(error: BaseException) -> list[BaseException]:
    """An exception and what caused it, outermost first. Libraries wrap the one that tells what happened."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        reason = getattr(current, "reason", None) if isinstance(current, URLError) else None
        current = reason if isinstance(reason, BaseException) else current.__cause__ or current.__context__
    return found
