"""A Presidio analyzer as a detector: asked over HTTP, text by text, several at a time.

The analyzer is sent texts as they are, so it is reached directly, by no proxy, and never elsewhere by a redirection. What it
answers is checked before it is believed: positions outside a text mean that something else is listening. Of a text nothing
is ever in a message.

Source: the interface of presidio-analyzer, POST /analyze and GET /supportedentities.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from finetune_api.contract.trainer_config import DetectorInput
from finetune_trainer.data.anonymize.detectors import kind_of
from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.sources.connection import failure, is_busy, retry_after
from finetune_trainer.sources.credentials import Credentials
from finetune_trainer.sources.location import Location, parse
from finetune_trainer.sources.patience import PATIENCE, Patience, patiently

_AT_ONCE = 4
_PIECE = 50_000
"""Characters that are sent at once: an analyzer refuses what is much longer, and needs memory for it."""
_OVERLAP = 1_000
_MOST_BYTES = 64 * 2**20
_SHOWN = 12


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        return None


class Presidio:
    """Finds what an analyzer finds.

    Args:
        orders: address, labels, least score.
        languages: in which it must be able to look.
        environment: may hold HTTPS_TOKEN, sent as a bearer token over https alone, and SSL_CERT_FILE.
        patience: how long to bear with it.
    Raises: UserError if it is no analyzer, or has nothing for a language or a label; Transient if it does not answer.
    """

    def __init__(
        self,
        orders: DetectorInput,
        languages: Sequence[str],
        environment: Mapping[str, str],
        patience: Patience = PATIENCE,
    ) -> None:
        self._orders, self._patience = orders, patience
        self._location = location = parse(orders.uri, field=f"{orders.field}.uri")
        scheme = location.scheme.removeprefix("presidio+")
        shown = replace(location, scheme=scheme).shown.rstrip("/")
        self._base = quote(shown, safe="/:%[]")
        credentials = Credentials(environment, orders.environment_prefix)
        self._token = credentials.get("HTTPS_TOKEN") if scheme == "https" else None
        self._opener = _opener(location, credentials.get("SSL_CERT_FILE"))
        self._check(languages)

    def __call__(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[Finding]]:
        """What the analyzer finds in each text (see Detector).

        Raises: Transient if it fails for longer than patience lasts, UserError if it answers what no analyzer would.
        """
        asked = [(number, begin, piece) for number, text in enumerate(texts) for begin, piece in _pieces(text)]
        found: list[list[Finding]] = [[] for _ in texts]
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            answers = pool.map(lambda one: self._analyze(one[2], languages[one[0]]), asked)
            for (number, begin, _), answer in zip(asked, answers, strict=True):
                found[number] += (replace(one, begin=one.begin + begin, end=one.end + begin) for one in answer)
        finally:
            pool.shutdown(cancel_futures=True)
        return found

    def _analyze(self, text: str, language: str) -> list[Finding]:
        asked = {"text": text, "language": language, "score_threshold": self._orders.min_score}
        return self._findings(self._ask("/analyze", json.dumps(asked).encode()), len(text))

    def _findings(self, answer: Any, length: int) -> list[Finding]:
        if not isinstance(answer, list):
            raise self._location.problem("answered with something else than a list of findings")
        found = []
        for one in answer:
            match one:
                case {"entity_type": str(label), "start": int(begin), "end": int(end), "score": float() | int() as score}:
                    if not 0 <= begin < end <= length:
                        raise self._location.problem(
                            f"names characters {begin:,} to {end:,} of a text that has {length:,}",
                            hint="Does it count characters as Unicode code points, as Presidio does?",
                        )
                    kind = kind_of(label, self._orders.labels)
                    if kind is not None and score >= self._orders.min_score:
                        found.append(Finding(kind, begin, end, 1))
                case _:
                    raise self._location.problem("answered with findings that lack entity_type, start, end or score")
        return found

    def _check(self, languages: Sequence[str]) -> None:
        """Ask once for each language what it can find: mistakes are told before the first row."""
        known: set[str] = set()
        for language in languages:
            answer = self._ask(f"/supportedentities?{urlencode({'language': language})}")
            if not isinstance(answer, list) or not all(isinstance(label, str) for label in answer):
                raise self._location.problem("is no Presidio analyzer: /supportedentities answers no list of labels")
            if not answer:
                raise self._without(language)
            known |= set(answer)
        if missing := sorted(set(self._orders.labels or {}) - known):
            few = f"{', '.join(sorted(known)[:_SHOWN])}{' and more' if len(known) > _SHOWN else ''}"
            raise replace(self._location, field=f"{self._orders.field}.labels").problem(
                f"finds no {', '.join(missing)}; it finds {few}"
            )

    def _without(self, language: str) -> Exception:
        return self._location.problem(
            f'has no recognizers for the language "{language}"',
            hint="Configure it for this language, or name the languages of your texts in spec.preparation.anonymize.languages.",
        )

    # ---------------------------------------------------------------- one request

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        return patiently(lambda: self._once(path, body), self._patience)

    def _once(self, path: str, body: bytes | None) -> Any:
        request = Request(f"{self._base}{path}", data=body, headers={"Accept": "application/json"})
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self._token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with self._opener.open(request, timeout=self._patience.timeout) as response:
                answer = response.read(_MOST_BYTES + 1)
        except HTTPError as error:
            raise self._refused(error, path) from None
        except (http.client.InvalidURL, UnicodeError):
            raise self._location.problem("is no valid address") from None
        except (OSError, http.client.HTTPException) as error:
            raise failure(self._location, error) from None
        if len(answer) > _MOST_BYTES:
            raise self._location.problem("answered with more than 64 MiB")
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise self._location.problem(f"is no Presidio analyzer: {path.partition('?')[0]} answers no JSON") from None

    def _refused(self, error: HTTPError, path: str) -> Exception:
        status, headers = error.code, error.headers
        about_languages = path.startswith("/supportedentities")
        said = error.read(65_536) if about_languages else b""  # a request without a text: its answer holds none either
        error.close()
        if b"No matching recognizers" in said:
            return self._without(path.rpartition("=")[2])
        if is_busy(status):
            return self._location.again(f"answered with status {status}", after=retry_after(headers))
        if status in (401, 403):
            return self._location.problem(
                f"does not accept the credentials (status {status})", hint=self._location.secret_hint("HTTPS_TOKEN")
            )
        return self._location.problem(f"answered with status {status}")


def _opener(location: Location, bundle: str | None) -> OpenerDirector:
    try:
        trust = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise location.problem(f"cannot be trusted: SSL_CERT_FILE={bundle} is not readable ({error.strerror})") from None
    return build_opener(ProxyHandler({}), HTTPSHandler(context=trust), _NoRedirects())


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """A text in pieces that overlap, each with where it begins; nothing for a text without letters and digits."""
    if not any(map(str.isalnum, text)):
        return
    begin = 0
    while True:
        yield begin, text[begin : begin + _PIECE]
        if begin + _PIECE >= len(text):
            return
        begin += _PIECE - _OVERLAP
