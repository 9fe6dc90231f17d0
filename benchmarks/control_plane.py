"""The operator on a real API server with simulated nodes: how fast, how much per job, how old a report grows, how calm idle.

    make cluster-up
    .venv/bin/python benchmarks/control_plane.py [--jobs 1000] [--ended 10000] [--beside kubeflow-trainer]

The operator runs as a process on this machine, with the program, settings and limits of its pod. Beside it, in the same run and
over the same connection code, a bare loop writes the same objects: what this API server can take. etcd, API server, the Job
controller, the scheduler and kwok share the machine's cores with it, so its CPU-seconds count and wall times tell little more
than what is left over. Jobs run on kwok's nodes; their pods begin and never end, and report as ours do, each with a token of
its own. With `--beside`, Kubeflow Trainer then takes up as many jobs of its own: see kubeflow_trainer.py.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import kubeflow_trainer
import measure
from cluster_load import ROOT, Took, a_namespace, at_once, taken_up, until
from our_operator import SYSTEM, an_operator, environment, idle, manifest, write_ended, write_jobs
from reporters import bare_writes, reporting

from cluster.kube import Kube, connected
from cluster.machine import Machine
from cluster.scale import simulated_nodes
from finetune_api import meta
from finetune_api.parse import parse_job
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import plan
from finetune_operator.brain.stages import Stage
from finetune_operator.cluster import KubernetesCluster, Limiter
from finetune_operator.exchange import connect
from finetune_operator.kinds import FINE_TUNE_JOB, Ref
from finetune_operator.render import render
from finetune_operator.settings import Settings, read_settings

PODS_OF_A_NODE = 250


async def bare(kubeconfig: Path, settings: Settings, namespace: str, count: int) -> float:
    """Seconds for the objects of so many jobs, written by a loop that thinks nothing."""
    client = await connect(kubeconfig)
    cluster = KubernetesCluster(client, Limiter(1e6, 1e6, time.monotonic))
    template = parse_job(manifest("template", namespace))
    planned = plan(template.spec, None, settings.machine)

    async def one(number: int) -> None:
        raw = manifest(f"job-{number}", namespace)
        await cluster.create(raw)
        stored = await cluster.get(Ref(FINE_TUNE_JOB, namespace, f"job-{number}"))
        uid = stored["metadata"]["uid"]
        named = template.metadata.model_copy(update={"name": f"job-{number}", "uid": uid, "namespace": namespace})
        job = template.model_copy(update={"metadata": named})
        version = stored["metadata"]["resourceVersion"]
        ref = Ref(FINE_TUNE_JOB, namespace, f"job-{number}")
        await cluster.patch_status(ref, {"phase": "Preparing", "startTime": "2026-01-01T00:00:00Z"}, version=version)
        for child in render(job, planned, AttemptName(Stage.PREPARE, 1), settings.render):
            await cluster.create(child)
        for told in ("Accepted", "Started"):
            await cluster.create(_event(namespace, f"job-{number}.{told.lower()}", uid, told))

    begun = time.perf_counter()
    await at_once(count, one)
    seconds = time.perf_counter() - begun
    await client.close()
    return seconds


def _event(namespace: str, name: str, uid: str, reason: str) -> dict[str, Any]:
    about = {"apiVersion": meta.API_VERSION, "kind": meta.KIND, "namespace": namespace, "name": name.split(".")[0], "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": about,
        "reason": reason,
        "message": reason,
        "type": "Normal",
    }


def main() -> None:
    """All tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--ended", type=int, default=10_000)
    parser.add_argument("--report-seconds", type=float, default=60.0)
    parser.add_argument("--beside", choices=["kubeflow-trainer"], help="what else takes up so many jobs, in the same run")
    arguments = parser.parse_args()
    own = Machine()
    kubeconfig = own.up()
    settings = read_settings(environment(kubeconfig))
    print(measure.machine(), flush=True)
    nodes = max(4, max(arguments.jobs) // 200 + 1)
    with connected(kubeconfig, kubectl=str(own.programs / "kubectl")) as kube:
        kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds" / "finetunejobs.yaml"))
        # As many GPUs as pods: where a TrainJob's pod asks for one, ours that prepares does not, and all of both shall run.
        with a_namespace(kube, SYSTEM), simulated_nodes(own, kube, nodes, gpus=PODS_OF_A_NODE):
            with kubeflow_trainer.installed(own, kube, SYSTEM) if arguments.beside else nullcontext():
                beside = partial(kubeflow_trainer.a_neighbour, own, kube, SYSTEM) if arguments.beside else None
                _taken_up(kube, settings, arguments.jobs, arguments.report_seconds, beside)
            if arguments.ended:
                _ended(kube, arguments.ended)


def _taken_up(
    kube: Kube,
    settings: Settings,
    counts: list[int],
    seconds: float,
    beside: Callable[[], AbstractContextManager[kubeflow_trainer.Neighbour]] | None,
) -> None:
    rows, reports = [], []
    calls: dict[str, float] = {}
    for count in counts:
        with a_namespace(kube, f"bare-{count}") as namespace:
            loop = asyncio.run(bare(kube.kubeconfig, settings, namespace, count))
            limit = asyncio.run(bare_writes(kube, namespace, 10))
        rows.append(["a bare loop that writes our objects", f"{count:,}", f"{count / loop:.0f}", "", "", "", ""])
        with an_operator(kube.kubeconfig) as operator, a_namespace(kube, f"jobs-{count}") as namespace:
            took = taken_up(kube, operator, partial(write_jobs, kube.kubeconfig), namespace, count)
            rows.append(_row("this operator", count, took, f"{loop / took.seconds:.0%}"))
            reports.append(reporting(kube, operator, namespace, count, seconds, limit))
            time.sleep(10)
            calls = idle(operator, 30)
        # Whoever cannot wait for the tables has what is known so far.
        print(rows[-2:], reports[-1], file=sys.stderr, flush=True)
        if beside:
            with beside() as neighbour, a_namespace(kube, f"trainjobs-{count}") as namespace:
                took = taken_up(kube, neighbour, partial(kubeflow_trainer.write_jobs, kube.kubeconfig), namespace, count)
                rows.append(_row(kubeflow_trainer.NAME, count, took, ""))
    measure.table(
        ("", "jobs at once", "jobs/s", "of the bare loop", "CPU-ms a job", "API calls a job", "memory, MiB"),
        rows,
    )
    print()
    measure.table(
        (
            "jobs, a report each 5 s",
            "reports taken",
            "written, of what a bare loop writes",
            "age in status: median, oldest",
            "oldest unwritten",
            "operator, cores",
            "API calls",
        ),
        reports,
    )
    print(f"\nidle for 30 s with {counts[-1]:,} live jobs: {calls or 'no calls'}\n", flush=True)


def _row(name: str, count: int, took: Took, share: str) -> list[str]:
    """What so many jobs took, of each program where there are several."""
    speed = f"{count / took.seconds:.0f}"
    return [name, f"{count:,}", speed, share, _parts(took.cpu_ms), f"{took.calls:.1f}", _parts(took.memory)]


def _parts(numbers: list[float]) -> str:
    whole = f"{sum(numbers):.0f}"
    return whole if len(numbers) == 1 else f"{whole} ({' + '.join(f'{number:.0f}' for number in numbers)})"


def _ended(kube: Kube, count: int) -> None:
    with a_namespace(kube, f"ended-{count}") as namespace:
        asyncio.run(write_ended(kube.kubeconfig, namespace, count))
        with an_operator(kube.kubeconfig) as operator:
            until(lambda: operator.waiting() == 0, "an empty queue")
            time.sleep(10)
            print(
                f"{count:,} ended jobs: {operator.memory_mib:.0f} MiB, {operator.cpu_seconds:.1f} CPU-seconds since its start, "
                f"idle for 30 s: {idle(operator, 30) or 'no calls'}"
            )


if __name__ == "__main__":
    main()
