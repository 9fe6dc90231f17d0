"""Rows on a Dask cluster of real processes: the same to the byte as here, also when a worker dies in the middle."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from distributed import Client
from distributed.security import Security

import stages
from finetune_api.contract.trainer_config import DetectorInput
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import Transient, UserError
from finetune_api.v1alpha1.preparation import DaskEngine
from finetune_operator.brain.stages import Stage
from finetune_trainer.data import dask_engine
from finetune_trainer.data.anonymize import Placed
from finetune_trainer.data.dask_engine import DaskWorkers
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.reporting import ProgressReporter
from finetune_trainer.sources import DataFile
from ports import a_free_port
from rows import chats, write_jsonl
from servers.authority import Pem, signed_by_one_of_its_own

FILES = ("tokens.bin", "supervised.bin", "examples.bin", "fingerprints.bin")
NOTHING: Mapping[str, str] = MappingProxyType({})
KEY = {"ANONYMIZE_KEY": "a key of sixteen characters"}


class Cluster:
    """A scheduler and workers, each a process, in a directory that holds nothing of ours."""

    def __init__(self, folder: Path, pem: Pem | None = None) -> None:
        self.address = f"{'tls' if pem else 'tcp'}://127.0.0.1:{a_free_port()}"
        self._folder = folder
        self._tls = ("--tls-ca-file", str(pem.ca), "--tls-cert", str(pem.cert), "--tls-key", str(pem.key)) if pem else ()
        port = self.address.rpartition(":")[2]
        where = ("--host", f"{self.address.partition(':')[0]}://127.0.0.1")
        self._scheduler = self._start("scheduler", *where, "--port", port, "--no-dashboard", *self._tls)
        self.workers: list[subprocess.Popen[bytes]] = []

    def _start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self._folder / f"{what}-{len(list(self._folder.iterdir()))}.log").open("wb")
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *arguments]
        return subprocess.Popen(
            command, cwd=self._folder, stdout=log, stderr=log, env={**os.environ, "PYTHONWARNINGS": "ignore"}
        )

    def until_it_listens(self) -> None:
        """Wait until the scheduler listens: who is asked to be impatient would not wait for its start."""
        deadline = time.monotonic() + 300
        while True:
            assert self._scheduler.poll() is None, "it has ended"
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", int(self.address.rpartition(":")[2])), 60).close()
            assert time.monotonic() < deadline, "the scheduler does not listen"
            time.sleep(0.05)

    def until_workers(self, count: int, credentials: Mapping[str, str]) -> None:
        """Wait until so many have joined."""
        ca, cert, key = (credentials[name] for name in ("ENGINE_CA", "ENGINE_CERT", "ENGINE_KEY"))
        security = Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True)
        with Client(self.address, security=security, timeout=300, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=300)

    def add_worker(self) -> None:
        where = ("--host", f"{self.address.partition(':')[0]}://127.0.0.1")
        own = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0", *where, *self._tls)
        self.workers.append(self._start("worker", self.address, *own))

    def close(self) -> None:
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder)
    yield cluster
    cluster.close()


def an_ingest(
    model: Path, data: Path, root: Path, name: str, address: str | None, credentials: Mapping[str, str] = NOTHING
) -> Ingest:
    preparation: dict[str, Any] = {"maxLength": 200, "anonymize": {"strategy": "surrogate", "maxResidualRate": 1}}
    if address is not None:
        preparation["engine"] = {"dask": {"address": address, **({"secretName": "dask"} if credentials else {})}}
    raw = stages.manifest(model, [{"name": "tickets", "uri": f"file://{data}"}], root / "out", preparation=preparation)
    workspace = Workspace(root / f"workspace-{name}")
    workspace.root.mkdir()
    workspace.model.symlink_to(model)
    return Ingest(stages.orders(raw, Stage.PREPARE, workspace.root), workspace, workspace.root, {**KEY, **credentials})


def read(ingest: Ingest, data: Path, reporter: Any = None) -> None:
    assert ingest.config.prepare is not None
    told = reporter or ProgressReporter({}, now=lambda: datetime.now(UTC))
    ingest.read(ingest.config.prepare.datasets[0], [DataFile(data, data.name)], told)
    ingest.finish()


def test_a_worker_that_dies_changes_nothing_in_what_is_written(causal_lm: Path, tmp_path: Path, cluster: Cluster) -> None:
    rows = chats(12_000)
    rows[7]["completion"] = "\x01"
    rows[2_900]["completion"] = "  Write to anna.schmidt@example-firma.de, please.  "
    data = write_jsonl(tmp_path / "chats.jsonl", rows)
    here, there = an_ingest(causal_lm, data, tmp_path, "1", None), an_ingest(causal_lm, data, tmp_path, "2", cluster.address)
    read(here, data)
    killed: list[int] = []

    class Killer:
        """Is told after each batch; a second worker comes when the first has answered, and the first then dies at work."""

        seen = 0

        def report(self, **_: Any) -> None:
            self.seen += 1
            if self.seen == 1:
                cluster.add_worker()
            if self.seen == 6:
                cluster.workers[0].send_signal(signal.SIGKILL)
                killed.append(cluster.workers[0].wait())

    cluster.add_worker()
    read(there, data, Killer())

    assert killed == [-signal.SIGKILL]
    for file in FILES:
        one, two = (tmp_path / f"workspace-{name}/spool/{file}" for name in "12")
        assert two.read_bytes() == one.read_bytes(), file
    assert there.done == here.done
    assert there.problems.read["tickets"] == 12_000


def test_a_worker_of_another_release_is_refused(
    causal_lm: Path, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(20))
    ingest = an_ingest(causal_lm, data, tmp_path, "1", cluster.address)
    monkeypatch.setattr(dask_engine, "program_digest", lambda: "an older one")
    cluster.add_worker()
    with pytest.raises(UserError, match="run another version of the trainer"):
        read(ingest, data)


def test_a_cluster_without_workers_and_one_that_is_not_there_are_tried_again_later(
    causal_lm: Path, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(20))
    ingest = an_ingest(causal_lm, data, tmp_path, "1", cluster.address)
    cluster.until_it_listens()
    workers = DaskWorkers(DaskEngine(address=cluster.address), {}, ingest.config, causal_lm, KEY, patience_seconds=5.0)
    with pytest.raises(Transient, match=re.escape(f"{cluster.address} has had no worker for 5 s")):
        list(workers.outcomes([]))
    cluster.close()
    workers = DaskWorkers(DaskEngine(address=cluster.address), {}, ingest.config, causal_lm, KEY, patience_seconds=1.0)
    with pytest.raises(Transient, match="does not answer"):
        list(workers.outcomes([]))


def test_encryption_without_certificates_is_a_mistake_of_the_manifest(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(20))
    ingest = an_ingest(causal_lm, data, tmp_path, "1", None)
    said = DaskEngine(address="tls://scheduler.dask.svc:8786", secret_name="dask")
    with pytest.raises(UserError, match="needs ENGINE_CERT, ENGINE_KEY in the environment"):
        DaskWorkers(said, {"ENGINE_CA": "x"}, ingest.config, causal_lm, KEY)


def shown(pem: Pem) -> dict[str, str]:
    """Variables as a Secret gives them."""
    return {"ENGINE_CA": pem.ca.read_text(), "ENGINE_CERT": pem.cert.read_text(), "ENGINE_KEY": pem.key.read_text()}


def test_two_workers_over_tls_write_the_same_and_carry_no_library_for_models(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(6_000))
    pem = signed_by_one_of_its_own(tmp_path / "ours")
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", pem)
    here = an_ingest(causal_lm, data, tmp_path, "1", None)
    there = an_ingest(causal_lm, data, tmp_path, "2", cluster.address, shown(pem))
    at_work: dict[int, str] = {}

    class Looker:
        """Is told after each batch."""

        def report(self, **_: Any) -> None:
            for worker in cluster.workers:
                at_work[worker.pid] = Path(f"/proc/{worker.pid}/maps").read_text()

    try:
        cluster.add_worker()
        cluster.add_worker()
        read(here, data)
        cluster.until_workers(2, shown(pem))
        read(there, data, Looker())
    finally:
        cluster.close()

    for file in FILES:
        one, two = (tmp_path / f"workspace-{name}/spool/{file}" for name in "12")
        assert two.read_bytes() == one.read_bytes(), file
    assert len(at_work) == 2
    assert all("tokenizers" in maps for maps in at_work.values()), "both have worked"
    assert not any("libtorch" in maps for maps in at_work.values())


def test_a_certificate_of_another_authority_opens_nothing(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(20))
    ours, foreign = (signed_by_one_of_its_own(tmp_path / name) for name in ("ours", "foreign"))
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", ours)
    ingest = an_ingest(causal_lm, data, tmp_path, "1", None)
    said = DaskEngine(address=cluster.address, secret_name="dask")
    try:
        cluster.until_it_listens()
        workers = DaskWorkers(said, shown(foreign), ingest.config, causal_lm, KEY, patience_seconds=5.0)
        with pytest.raises(Transient, match="does not answer"):
            list(workers.outcomes([]))
    finally:
        cluster.close()


def test_certificates_that_are_none_are_a_mistake_of_the_secret(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(20))
    ingest = an_ingest(causal_lm, data, tmp_path, "1", None)
    pem = signed_by_one_of_its_own(tmp_path / "ours")
    other = signed_by_one_of_its_own(tmp_path / "other")
    said = DaskEngine(address="tls://127.0.0.1:1", secret_name="dask")
    for wrong in ({"ENGINE_CA": "no\nPEM"}, {"ENGINE_CERT": "no\nPEM"}, {"ENGINE_KEY": other.key.read_text()}):
        workers = DaskWorkers(said, {**shown(pem), **wrong}, ingest.config, causal_lm, KEY, patience_seconds=1.0)
        with pytest.raises(UserError, match=r"the certificates for tls://.* cannot be used") as told:
            list(workers.outcomes([]))
        assert told.value.field == "spec.preparation.engine.dask.secretName"


def test_a_model_that_looks_for_personal_data_does_not_travel_and_its_field_is_named(causal_lm: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "chats.jsonl", chats(20))
    ingest = an_ingest(causal_lm, data, tmp_path, "1", None)
    orders = [
        DetectorInput(uri=uri, field=f"spec.preparation.anonymize.detectors[{n}]")
        for n, uri in enumerate(
            (
                "presidio+http://presidio:3000",
                "pvc://models/ner",
            )
        )
    ]
    detectors = [Placed(orders[0]), Placed(orders[1], tmp_path)]
    said = DaskEngine(address="tcp://127.0.0.1:1")
    with pytest.raises(UserError, match="pvc://models/ner is a model: it does not travel") as told:
        DaskWorkers(said, {}, ingest.config, causal_lm, KEY, detectors)
    assert told.value.field == "spec.preparation.anonymize.detectors[1].uri"
