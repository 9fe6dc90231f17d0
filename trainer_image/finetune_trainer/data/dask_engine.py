"""Batches of rows on the workers of a Dask cluster, answered in the order in which they were asked for.

For data that takes the cores of one machine too long. A batch is a pure function of its rows (rows.py), so where it is worked
on changes nothing, and a worker that dies costs its batches a second try somewhere else: the scheduler holds them until they
are answered. What a pipeline is built from travels too, so the workers need the trainer's image and no volume. No more batches
are on their way than keep the workers busy, so memory here does not grow with data.

Whoever can reach a scheduler over tcp:// can run code on its workers and reads what passes: that is how Dask works, and why the
manifest asks for tls:// wherever that matters.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.errors import OutOfMemory, Transient, UserError
from finetune_api.v1alpha1.preparation import DaskEngine
from finetune_trainer.data.anonymize import Placed
from finetune_trainer.data.marks import has_a_say, program_digest
from finetune_trainer.data.rows import Batch, Outcome, RowPipeline
from finetune_trainer.environment import without_torch

log = logging.getLogger(__name__)

_FIELD = "spec.preparation.engine.dask"
_CREDENTIALS = ("ENGINE_CA", "ENGINE_CERT", "ENGINE_KEY")
_PATIENCE_SECONDS = 300.0
"""How long the cluster may have no worker at all; autoscalers start from none."""
_LAST_PORT = 65_535
_LOOK_SECONDS = 30.0
_IN_FLIGHT = 2
"""Batches for each worker: one that it works on, one that is already there."""
_LEAST_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Kit:
    """What a pipeline is built from, as it travels."""

    program: str
    """Digest of the program that made it (marks.py)."""
    config: str
    """Orders of the stage, as JSON."""
    files: Mapping[str, bytes] = field(repr=False)
    """Of the model, without its weights."""
    environment: Mapping[str, str] = field(repr=False)
    """Key of the anonymisation, and credentials of its services."""
    detectors: tuple[Placed, ...]
    name: str
    """Tells this kit from any other."""


class DaskWorkers:
    """The workers of a Dask cluster.

    Args:
        said: where it is.
        credentials: ENGINE_CA, ENGINE_CERT and ENGINE_KEY, texts of PEM files, for tls://.
        config, model, environment, detectors: what a pipeline is built from (see RowPipeline).
        patience_seconds: how long there may be no scheduler or no worker.
    Raises: UserError if models look for personal data, or credentials are missing.
    """

    def __init__(
        self,
        said: DaskEngine,
        credentials: Mapping[str, str],
        config: TrainerConfig,
        model: Path,
        environment: Mapping[str, str],
        detectors: Sequence[Placed] = (),
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        if local := next((one for one in detectors if one.directory), None):
            raise UserError(
                f"{local.orders.uri} is a model: it does not travel to the workers of a Dask cluster, which load no torch",
                field=f"{local.orders.field}.uri",
                hint="Name a service (presidio+http://), or leave the engine out.",
            )
        if int(said.address.rpartition(":")[2]) > _LAST_PORT:
            raise UserError(f"{said.address} has no port that there could be", field=f"{_FIELD}.address")
        missing = [name for name in _CREDENTIALS if not credentials.get(name)]
        if said.address.startswith("tls://") and missing:
            raise UserError(f"tls:// needs {', '.join(missing)} in the environment", field=f"{_FIELD}.secretName")
        self._said, self._credentials, self._patience = said, credentials, patience_seconds
        self._kit = _kit(config, model, environment, tuple(detectors))

    def outcomes(self, batches: Iterable[Batch]) -> Iterator[Outcome]:
        """What became of each batch, in the order of the batches.

        Raises: Transient if the scheduler cannot be reached or has no worker; OutOfMemory if a batch ended several workers;
            UserError if a worker runs another program; whatever a batch raised.
        """
        waiting: deque[Any] = deque()
        with self._client() as client:
            with self._explained():
                kit = client.submit(_arrived, self._kit, key=f"kit-{self._kit.name}")
            try:
                for number, batch in enumerate(batches):
                    with self._explained():
                        key = f"batch-{self._kit.name}-{batch.number}-{batch.file_number}-{batch.rows[0].line}-{number}"
                        waiting.append(client.submit(_work, kit, batch, key=key))
                        is_full = len(waiting) >= max(_LEAST_IN_FLIGHT, _IN_FLIGHT * len(client.nthreads()))
                    if is_full:
                        yield self._answer(client, waiting.popleft())
                while waiting:
                    yield self._answer(client, waiting.popleft())
            finally:
                with suppress(Exception):  # it may be the very reason that nobody answers
                    client.cancel([*waiting, kit])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What Dask says, in our words."""
        from distributed import CancelledError, KilledWorker

        try:
            yield
        except KilledWorker:
            raise OutOfMemory(
                "a batch of rows ended several workers of the Dask cluster, most likely because their memory ran out",
                hint="Give the workers more memory, 2 GiB for each thread.",
            ) from None
        except (CancelledError, OSError) as error:
            raise self._silent(error) from None
        except ModuleNotFoundError as error:
            raise UserError(f"the workers of the Dask cluster lack {error.name}", field=_FIELD, hint=_SAME_IMAGE) from None

    def _client(self) -> Any:
        import dask
        from distributed import Client

        # A batch may be a document of many megabytes; nothing of it is ever shown.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})
        security = {"security": self._security()} if self._said.address.startswith("tls://") else {}
        try:
            client = Client(self._said.address, timeout=self._patience, set_as_default=False, **security)
        except (OSError, ValueError) as error:
            raise self._silent(error) from None
        self._wait_for_a_worker(client)
        log.info("rows are worked on by %d workers of the Dask cluster %s", len(client.nthreads()), self._said.address)
        return client

    def _security(self) -> Any:
        """What is shown to a scheduler, and by what it is known.

        Raises: UserError if the certificates are none.
        """
        from distributed.security import Security

        ca, cert, key = (self._credentials[name] for name in _CREDENTIALS)
        try:
            shown = Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True)
            shown.get_connection_args("client")
        except (OSError, ValueError) as error:  # of which ssl's own are
            raise UserError(
                f"the certificates for {self._said.address} cannot be used: {str(error).splitlines()[0][:200]}",
                field=f"{_FIELD}.secretName",
                hint=f"{', '.join(_CREDENTIALS)} are the texts of PEM files: an authority, a certificate, and its key.",
            ) from None
        return shown

    def _wait_for_a_worker(self, client: Any) -> None:
        try:
            client.wait_for_workers(1, timeout=self._patience)
        except TimeoutError:
            client.close()
            raise Transient(
                f"the Dask cluster {self._said.address} has had no worker for {self._patience:,.0f} s", field=_FIELD
            ) from None

    def _answer(self, client: Any, future: Any) -> Outcome:
        with self._explained():
            while True:
                try:
                    outcome: Outcome = future.result(timeout=_LOOK_SECONDS)
                    return outcome
                except TimeoutError:
                    if future.done():  # it is what the batch itself raised
                        raise
                    if not client.nthreads():
                        self._wait_for_a_worker(client)

    def _silent(self, error: Exception) -> Transient:
        return Transient(
            f"the Dask cluster {self._said.address} does not answer: {str(error).splitlines()[0][:200]}", field=_FIELD
        )


_SAME_IMAGE = "Start the workers from the trainer's image of this release: dask worker ADDRESS --nthreads 1."


def _kit(config: TrainerConfig, model: Path, environment: Mapping[str, str], detectors: tuple[Placed, ...]) -> Kit:
    files = {path.name: path.read_bytes() for path in sorted(model.iterdir()) if has_a_say(path)}
    orders = config.model_dump_json(by_alias=True, exclude_none=True)
    digest = hashlib.sha256(program_digest().encode())
    for part in (orders, *files, *environment, *environment.values(), *(one.told for one in detectors)):
        digest.update(f"{part}\0".encode())
    for content in files.values():
        digest.update(content)
    return Kit(program_digest(), orders, files, dict(environment), detectors, digest.hexdigest()[:16])


# ---------------------------------------------------------------- in a worker

_pipelines: dict[str, RowPipeline] = {}
_one_at_a_time = Lock()
"""A pipeline counts in itself; threads would gain nothing, since it is Python."""


def _arrived(kit: Kit) -> Kit:
    """The kit as the result of a task: if the worker that holds it dies, the scheduler sends it again."""
    return kit


def _work(kit: Kit, batch: Batch) -> Outcome:
    if kit.program != program_digest():
        raise UserError("the workers of the Dask cluster run another version of the trainer", field=_FIELD, hint=_SAME_IMAGE)
    with _one_at_a_time:
        if kit.name not in _pipelines:
            _pipelines.clear()
            _pipelines[kit.name] = _built(kit)
        return _pipelines[kit.name](batch)


def _built(kit: Kit) -> RowPipeline:
    config = TrainerConfig.model_validate_json(kit.config)
    if not config.model.trust_remote_code:
        without_torch()
    with tempfile.TemporaryDirectory() as folder:
        for name, content in kit.files.items():
            Path(folder, name).write_bytes(content)
        return RowPipeline(config, Path(folder), kit.environment, kit.detectors)
