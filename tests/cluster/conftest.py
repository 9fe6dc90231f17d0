"""A real cluster for the tests of this folder; `make test-cluster` runs them.

Without KUBECONFIG it is our own (bring_up/), left running if it ran before. With KUBECONFIG it is somebody else's: tests that
need the insides of our nodes are skipped, and images and classes are named by variables:

    FINETUNE_TRAINER_IMAGE   the trainer image, pullable by that cluster (on our own: one that is loaded already)
    FINETUNE_STORAGE_CLASS   a class of ReadWriteMany volumes (default: the cluster's default class)
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from cluster import life
from cluster.kube import Kube, connected, is_true, wait_for
from cluster.machine import PROJECT, Machine
from cluster.namespaces import RESTRICTED, Namespace, write_logs

# A plain `pytest` must start no cluster, and must not use one that KUBECONFIG happens to name.
collect_ignore_glob = [] if os.environ.get("FINETUNE_CLUSTER_TESTS") else ["test_*.py"]

FOREIGN = os.environ.get("KUBECONFIG")
TRAINER_IMAGE = "localhost/finetune-trainer:test"
LOGS = PROJECT / "build" / "cluster-logs" / time.strftime("%Y%m%d-%H%M%S")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "node_access: needs the insides of our own nodes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if FOREIGN:
        for item in items:
            if item.get_closest_marker("node_access"):
                item.add_marker(
                    pytest.mark.skip(reason=f"needs the insides of our own nodes; KUBECONFIG={FOREIGN} is another cluster")
                )
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """When a test comes: the operator is installed once, after those that want the nodes to themselves; taking down is last.

    The chart's own tests need programs that the cluster's may have built only now.
    """
    if item.path.name == "test_leaves_nothing.py":
        return 3
    if item.path.parent.name == "chart":
        return 2
    return 1 if "operator" in getattr(item, "fixturenames", ()) else 0


@pytest.fixture(scope="session")
def machine() -> Machine:
    if FOREIGN:
        pytest.skip("needs our own cluster; KUBECONFIG names another")
    if os.geteuid() != 0:
        pytest.skip("our own cluster needs root")
    return Machine()


@pytest.fixture(scope="session")
def kube(request: pytest.FixtureRequest) -> Iterator[Kube]:
    """The cluster's API."""
    if FOREIGN:
        with connected(Path(FOREIGN), kubectl="kubectl") as found:
            yield found
        return
    own: Machine = request.getfixturevalue("machine")
    was_up = own.is_up()
    if not was_up and any("trainer_image" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue(
            "trainer_image"
        )  # a layer of gigabytes is unpacked once while there are no nodes, else once for each
    with connected(own.up(), kubectl=str(own.programs / "kubectl")) as found:
        yield found
    if was_up or os.environ.get("FINETUNE_KEEP_CLUSTER"):
        own.up()  # the tests of taking it down have taken it down
    else:
        own.down()


@pytest.fixture(scope="session")
def trainer_image(request: pytest.FixtureRequest) -> str:
    """The trainer image as the project's Dockerfile makes it now, on every node; or one that is said to be there."""
    if named := os.environ.get("FINETUNE_TRAINER_IMAGE"):
        return named
    if FOREIGN:
        pytest.skip("FINETUNE_TRAINER_IMAGE names no image that the cluster of KUBECONFIG could pull")
    request.getfixturevalue("machine").build_image(TRAINER_IMAGE, "trainer")
    return TRAINER_IMAGE


@pytest.fixture(scope="session")
def storage_class() -> str | None:
    """A class of volumes that several nodes may write at once; None: the default one."""
    return os.environ.get("FINETUNE_STORAGE_CLASS")


@pytest.fixture(scope="session")
def definition(kube: Kube) -> None:
    """Our resource, as the project's file defines it."""
    kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(PROJECT / "crds" / "finetunejobs.yaml"))
    name = "finetunejobs.finetune.dev"
    wait_for(lambda: is_true(kube.get("CustomResourceDefinition", name), "Established"), what="the definition")
    wait_for(lambda: kube.list("FineTuneJob", namespace="default") is not None, what="the resource served")


@pytest.fixture(scope="session")
def operator(machine: Machine, kube: Kube, trainer_image: str) -> Iterator[None]:
    """The operator as the project's Dockerfile makes it now, two replicas, installed from the project's chart."""
    machine.build_image(life.OPERATOR_IMAGE, "operator")
    life.install(machine, kube, trainer_image)
    yield
    life.uninstall(machine, kube)


@pytest.fixture(scope="module")
def place(operator: None, kube: Kube, trainer_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[life.Workplace]:
    """A namespace under the `restricted` standard with a model and data on a claim."""
    wish = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "jobs-", "labels": RESTRICTED}}
    name = kube.create(wish)["metadata"]["name"]
    wait_for(lambda: kube.find("ServiceAccount", "default", namespace=name), what="the default service account")
    made = life.Workplace(Namespace(kube, name), trainer_image)
    made.fill(tmp_path_factory.mktemp("inputs"))
    yield made
    kube.delete("Namespace", name)


@pytest.fixture
def namespace(kube: Kube) -> Iterator[Namespace]:
    """A namespace for this test alone. It is deleted without waiting."""
    wish = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "test-", "labels": RESTRICTED}}
    name = kube.create(wish)["metadata"]["name"]
    wait_for(lambda: kube.find("ServiceAccount", "default", namespace=name), what="the default service account")
    yield Namespace(kube, name)
    kube.delete("Namespace", name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.when in ("setup", "call"):
        folder = LOGS / item.name.replace("/", "_")[:100]
        own = Machine().state / "log" if not FOREIGN else None
        given = getattr(item, "funcargs", {})
        namespace = given.get("namespace") or getattr(given.get("place"), "namespace", None)
        try:
            write_logs(folder, namespace, own)
        except Exception as error:  # the test's own failure must be seen, whatever happens here
            report.sections.append(("cluster logs", f"could not be collected: {error!r}"))
        else:
            report.sections.append(("cluster logs", str(folder)))
    return report


def pytest_sessionfinish() -> None:
    old = sorted(LOGS.parent.glob("*"))[:-10] if LOGS.parent.is_dir() else []
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
