"""Servers for the tests of sources, and hands that know where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.hands import Hands
from servers.hub import HubServer
from servers.s3 import S3Server
from servers.web import WebServer


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    return Hands(tmp_path / "workspace")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def web(hands: Hands) -> Iterator[WebServer]:
    with WebServer() as server:
        hands.environment["SSL_CERT_FILE"] = server.authority
        yield server


@pytest.fixture
def hub(hands: Hands, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer(tmp_path / "hub") as server:
        hands.environment["HF_ENDPOINT"] = server.url
        yield server


@pytest.fixture
def store(hands: Hands) -> Iterator[S3Server]:
    with S3Server() as server:
        server.client().create_bucket(Bucket="corp")
        hands.environment.update(server.environment)
        hands.less_patient(attempts=2)  # the library waits by itself, up to a second between two tries
        yield server
