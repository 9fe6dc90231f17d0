"""Kubeflow Trainer beside our operator: its controller manager and JobSet's, which it needs, as processes on this machine.

Both run with the settings that they ship with, except for what a process outside a cluster needs: addresses on the loopback, a
namespace for their leases, certificates from a folder. The API server cannot call back a process on this machine, so their
webhooks are not registered: what these would fill in stands in the objects, and what they would cost is in no figure.
"""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import yaml
from cluster_load import Program, at_once, until
from kubeflow_objects import (
    JOBSET,
    READER,
    RUNTIME,
    TRAIN_JOB,
    TRAINER,
    completed,
    jobset_settings,
    pinned,
    reader,
    train_job,
    trainer_settings,
)
from prometheus_client.parser import text_string_to_metric_families

from cluster.kube import Kube, path_of
from cluster.machine import BRING_UP, Machine
from cluster.scale import SIMULATED
from finetune_operator.certificates import new_authority, new_certificate
from finetune_operator.exchange import connect, exchange

MODULES = BRING_UP / "modules"
NAME = "Kubeflow Trainer {}, JobSet {}".format(
    pinned("github.com/kubeflow/trainer/v2", (MODULES / "kubeflow-trainer" / "go.mod").read_text()),
    pinned("sigs.k8s.io/jobset", (MODULES / "jobset" / "go.mod").read_text()),
)


async def write_jobs(kubeconfig: Path, namespace: str, count: int) -> None:
    """As `kubectl apply` of a folder does, some at the same time; over the connection code that writes our jobs."""
    client = await connect(kubeconfig)
    limit = aiohttp.ClientTimeout(total=30)
    query = (("fieldValidation", "Strict"),)

    async def one(number: int) -> None:
        manifest = train_job(f"job-{number}", namespace, SIMULATED)
        await exchange(client, "POST", TRAIN_JOB.path(namespace), manifest, query, limit=limit)

    await at_once(count, one)
    await client.close()


# ---------------------------------------------------------------- processes


def total(exposed: str, family: str) -> float:
    """The sum over all labels of a family; 0 where nothing was counted yet."""
    found = text_string_to_metric_families(exposed)
    return sum(sample.value for metric in found for sample in metric.samples if sample.name == family)


@dataclass(slots=True)
class Neighbour:
    """Both controllers, as `cluster_load.Controllers` wants them."""

    trainer: Program
    jobset: Program
    token: str
    """JobSet shows its metrics to those alone whom the API server knows."""

    @property
    def programs(self) -> list[Program]:
        """The trainer, then JobSet."""
        return [self.trainer, self.jobset]

    def exposed(self) -> list[str]:
        """Metrics of both, in this order."""
        return [_read(f"http://{TRAINER.metrics}/metrics"), _read(f"https://{JOBSET.metrics}/metrics", self.token)]

    def calls(self) -> dict[str, float]:
        """Calls to the API server by program."""
        return {
            name: total(text, "rest_client_requests_total")
            for name, text in zip(("trainer", "jobset"), self.exposed(), strict=True)
        }

    def waiting(self) -> float:
        """Keys in the work queues of both."""
        return sum(total(text, "workqueue_depth") for text in self.exposed())

    def lead(self) -> bool:
        """Whether both hold their leases, and have begun."""
        return all(total(text, "leader_election_master_status") == 1 for text in self.exposed()) and all(
            _read(f"http://{at.health}/readyz") == "ok" for at in (TRAINER, JOBSET)
        )


def _read(url: str, token: str = "") -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is on the loopback and made a moment ago
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return str(answer.read().decode())


# ---------------------------------------------------------------- up and down


@contextmanager
def installed(machine: Machine, kube: Kube, namespace: str) -> Iterator[None]:
    """Its definitions, and an account in this namespace that may read metrics; gone at the end."""
    machine.program("trainer-controller-manager", module="kubeflow-trainer")
    machine.program("jobset")
    files = [
        *_brought(machine, "trainer", "crds").glob("trainer.*.yaml"),
        *_brought(machine, "jobset", "crd/bases").glob("*.yaml"),
    ]
    definitions = [argument for file in files for argument in ("-f", str(file))]
    try:
        kube.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(reader(namespace)))
        kube.kubectl("apply", "--server-side", *definitions)
        kube.kubectl("wait", "--for=condition=Established", "--timeout=60s", *definitions)
        yield
    finally:
        kube.kubectl("delete", "--ignore-not-found", *definitions)
        kube.kubectl("delete", "--ignore-not-found", "clusterrole,clusterrolebinding", READER)


@contextmanager
def a_neighbour(machine: Machine, kube: Kube, namespace: str) -> Iterator[Neighbour]:
    """Both controllers, leading, with the runtime that the jobs name, until the `with` ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kubeflow-trainer-")))
        certificates = _certificates(folder)
        shipped = yaml.safe_load(_brought(machine, "trainer", "manager/controller_manager_config.yaml").read_text())
        (folder / "trainer.yaml").write_text(yaml.safe_dump(trainer_settings(shipped, namespace)))
        shipped = yaml.safe_load(_brought(machine, "jobset", "manager/controller_manager_config.yaml").read_text())
        (folder / "jobset.yaml").write_text(yaml.safe_dump(jobset_settings(shipped, namespace, certificates)))
        # The arguments are those of their Deployments. TMPDIR: where the trainer looks for its certificate cannot be said else.
        of_trainer = [
            str(machine.programs / "trainer-controller-manager"),
            f"--config={folder}/trainer.yaml",
            "--zap-log-level=2",
        ]
        of_jobset = [str(machine.programs / "jobset"), f"--config={folder}/jobset.yaml", "--leader-elect"]
        surroundings = {**os.environ, "KUBECONFIG": str(kube.kubeconfig), "TMPDIR": str(folder)}
        neighbour = Neighbour(
            stack.enter_context(_started(of_trainer, surroundings)),
            stack.enter_context(_started(of_jobset, surroundings)),
            _token(kube, namespace),
        )
        until(neighbour.lead, f"both controllers leading (logs: {tempfile.gettempdir()}/*.log)", seconds=120)
        runtime = yaml.safe_load(_brought(machine, "trainer", "runtimes/torch_distributed.yaml").read_text())
        kube.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(completed(runtime)))
        try:
            yield neighbour
        finally:  # while the trainer runs, which takes its finalizer off
            kube.kubectl("delete", "--ignore-not-found", "--timeout=60s", "clustertrainingruntime", RUNTIME)


def _brought(machine: Machine, program: str, path: str) -> Path:
    return machine.programs / f"{program}-manifests" / path


def _certificates(folder: Path) -> Path:
    certificates = folder / "k8s-webhook-server" / "serving-certs"
    certificates.mkdir(parents=True)
    now = datetime.now(UTC)
    pair = new_certificate(new_authority(now), ["localhost"], now)
    (certificates / "tls.crt").write_text(pair.certificate)
    (certificates / "tls.key").write_text(pair.key)
    return certificates


@contextmanager
def _started(command: list[str], surroundings: dict[str, str]) -> Iterator[Program]:
    with (Path(tempfile.gettempdir()) / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=surroundings, stdout=log, stderr=log)
        try:
            yield Program(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _token(kube: Kube, namespace: str) -> str:
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    answer = kube.request("POST", path_of("ServiceAccount", namespace, READER) + "/token", asked)
    return str(answer["status"]["token"])
