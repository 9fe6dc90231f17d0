"""Models and datasets that a server does not give: prepare ends with whose they are, why, and what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.result import StageError
from finetune_trainer import sources
from finetune_trainer.sources import Patience
from rows import chats, write_jsonl
from servers.hub import HubServer
from servers.local import Handler, LocalServer
from servers.s3 import S3Server
from servers.samples import MODEL


def be_patient(monkeypatch: pytest.MonkeyPatch, patience: Patience) -> None:
    for function in (sources.fetch_files, sources.fetch_model, sources.publish):
        monkeypatch.setitem(function.__kwdefaults__, "patience", patience)


BRIEF = Patience(attempts=2, first_wait=0.0, total_wait=1.0)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries at once; and no credentials and proxies of the machine that runs the tests."""
    be_patient(monkeypatch, BRIEF)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "HF_TOKEN", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(tmp_path / "hub") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def job(tmp_path: Path, causal_lm: Path, *, model: str | None = None, data: str | None = None) -> dict[str, Any]:
    rows = write_jsonl(tmp_path / "rows.jsonl", chats(30))
    raw = stages.manifest(causal_lm, [{"name": "tickets", "uri": data or f"file://{rows}"}], tmp_path / "out")
    if model:
        raw["spec"]["model"]["uri"] = model
    return raw


def refused(raw: dict[str, Any], tmp_path: Path, *, code: int, **environment: str) -> StageError:
    end = stages.prepare(raw, tmp_path / "workspace", **environment)
    assert end.code == code, end.log
    assert "Traceback" not in end.log
    assert end.result is not None
    assert end.result.error is not None
    assert not (tmp_path / "workspace/data").exists()
    return end.result.error


def test_a_model_that_the_hub_does_not_have(hub: HubServer, causal_lm: Path, tmp_path: Path) -> None:
    error = refused(job(tmp_path, causal_lm, model="hf://acme/qwne"), tmp_path, code=64)
    assert error.field == "spec.model.uri"
    assert "hf://acme/qwne" in error.message


def test_a_gated_model_without_a_token_and_with_one(hub: HubServer, causal_lm: Path, tmp_path: Path) -> None:
    hub.add("acme/gated", MODEL)
    hub.gated.add("acme/gated")
    hub.token = "right"

    without = refused(job(tmp_path, causal_lm, model="hf://acme/gated"), tmp_path, code=64)
    assert (without.field, "HF_TOKEN" in f"{without.message} {without.hint}") == ("spec.model.uri", True)

    wrong = refused(job(tmp_path, causal_lm, model="hf://acme/gated"), tmp_path, code=64, HF_TOKEN="wrong-s3cret")
    assert wrong.field == "spec.model.uri"
    assert wrong.message != without.message
    assert "s3cret" not in f"{wrong.message} {wrong.hint}"


def test_a_name_that_is_none(causal_lm: Path, tmp_path: Path) -> None:
    error = refused(job(tmp_path, causal_lm, model="hf://justone"), tmp_path, code=64)
    assert "names no repository" in error.message
    assert error.hint == "Write hf://org/name or hf://org/name@revision/path."


def test_a_dataset_that_the_hub_does_not_have_is_named_by_its_place(hub: HubServer, causal_lm: Path, tmp_path: Path) -> None:
    error = refused(job(tmp_path, causal_lm, data="hf://datasets/acme/nothing/x.jsonl"), tmp_path, code=64)
    assert error.field == "spec.datasets[0].uri"


def test_a_hub_that_is_ill_may_be_well_later(hub: HubServer, causal_lm: Path, tmp_path: Path) -> None:
    hub.add("acme/qwen", MODEL)
    hub.manners.refusals.extend([(503, {})] * 10)
    error = refused(job(tmp_path, causal_lm, model="hf://acme/qwen"), tmp_path, code=75)
    assert error.error_class == "Transient"
    assert "2 tries" in error.message


def test_a_bucket_without_credentials_says_which_variables_are_missing(causal_lm: Path, tmp_path: Path) -> None:
    with S3Server() as server:
        server.client().create_bucket(Bucket="corp")
        raw = job(tmp_path, causal_lm, data="s3://corp/tickets.jsonl")
        error = refused(raw, tmp_path, code=64, AWS_ENDPOINT_URL=server.url)
    assert error.field == "spec.datasets[0].uri"
    assert "AWS_ACCESS_KEY_ID" in f"{error.message} {error.hint}"


def test_a_bucket_that_does_not_hold_the_file(causal_lm: Path, tmp_path: Path) -> None:
    with S3Server() as server:
        server.client().create_bucket(Bucket="corp")
        error = refused(job(tmp_path, causal_lm, data="s3://corp/nothing.jsonl"), tmp_path, code=64, **server.environment)
    assert "s3://corp/nothing.jsonl" in error.message


def test_a_server_that_says_nothing_is_given_up_and_tried_again_later(
    causal_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_patient(monkeypatch, replace(BRIEF, timeout=0.3))
    released = threading.Event()

    def silent(request: Handler) -> None:
        released.wait(20)

    with LocalServer(silent) as server:
        try:
            error = refused(job(tmp_path, causal_lm, data=f"https://127.0.0.1:{server.port}/x.jsonl"), tmp_path, code=75)
        finally:
            released.set()
    assert error.error_class == "Transient"
    assert error.field == "spec.datasets[0].uri"


def test_a_server_that_is_not_there_is_tried_again_later(causal_lm: Path, tmp_path: Path) -> None:
    error = refused(job(tmp_path, causal_lm, data="https://127.0.0.1:9/x.jsonl"), tmp_path, code=75)
    assert (error.error_class, error.field) == ("Transient", "spec.datasets[0].uri")


def test_a_path_that_does_not_exist(causal_lm: Path, tmp_path: Path) -> None:
    error = refused(job(tmp_path, causal_lm, data=f"file://{tmp_path}/nothing.jsonl"), tmp_path, code=64)
    assert (error.field, "nothing.jsonl" in error.message) == ("spec.datasets[0].uri", True)
