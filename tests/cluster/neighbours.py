"""What else runs in a company's cluster and has to do with our jobs: Kueue, which queues them, Prometheus, which watches us."""

from __future__ import annotations

import subprocess
import urllib.parse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from cluster.kube import ApiError, Kube, Manifest, is_true, path_of, wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.workloads import a_config_map, a_pod
from servers.authority import signed_by_one_of_its_own

_KUEUE = "kueue-system"


def install_kueue(machine: Machine, kube: Kube) -> None:
    """Kueue from its own chart, with the program built here; a second call changes nothing."""
    image = machine.program_image("kueue")
    manifests = _kueue_manifests(machine)
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            _ours(manifest["spec"]["template"]["spec"], image)
        elif manifest["kind"] == "Secret":
            manifest["stringData"] = _certificate()
    if kube.find("Namespace", _KUEUE) is None:
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _KUEUE}})
    kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(manifests))
    wait_for(
        lambda: is_true(kube.get("Deployment", "kueue-controller-manager", namespace=_KUEUE), "Available"),
        what="Kueue available",
        seconds=120,
    )


def uninstall_kueue(machine: Machine, kube: Kube) -> None:
    """First what the API server asks Kueue about: with nobody there to answer, no Job could be made and no namespace removed.

    Its definitions stay. Workloads have to be gone: nobody would take their finalizers off.
    """
    asked = [m for m in _kueue_manifests(machine) if m["kind"] == "APIService" or m["kind"].endswith("WebhookConfiguration")]
    kube.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump_all(asked))
    kube.delete("Namespace", _KUEUE)


def _kueue_manifests(machine: Machine) -> list[Manifest]:
    helm, chart = (str(machine.programs / name) for name in ("helm", "kueue-chart"))
    render = [helm, "template", "kueue", chart, "--namespace", _KUEUE, "--include-crds"]
    text = subprocess.run(render, capture_output=True, text=True, check=True).stdout
    manifests = [manifest for manifest in yaml.safe_load_all(text) if manifest]
    for manifest in manifests:
        if manifest["kind"].endswith("WebhookConfiguration"):  # lives in no namespace, whatever the chart says
            manifest["metadata"].pop("namespace", None)
    return manifests


def _ours(pod_spec: Manifest, image: str) -> None:
    container = pod_spec["containers"][0]
    container.update(image=image, command=["/kueue"], imagePullPolicy="IfNotPresent")
    container["resources"] = {"requests": {"cpu": "50m"}}
    container["readinessProbe"].update(initialDelaySeconds=1, periodSeconds=1)
    pod_spec["securityContext"]["runAsUser"] = 65532


def _certificate() -> dict[str, str]:
    """What Kueue's webhooks show.

    It would make the same itself, but a kubelet brings a changed Secret into a pod only at its next look, more than a minute
    later, and until then nothing is ready.
    """
    with TemporaryDirectory() as folder:
        pem = signed_by_one_of_its_own(Path(folder, "pem"), authority="kueue-ca", name=f"kueue-webhook-service.{_KUEUE}.svc")
        return {path.name: path.read_text() for path in (pem.ca, pem.ca_key, pem.cert, pem.key)}


def a_queue(kube: Kube, namespace: Namespace, *, gpus: int, name: str = "queue") -> None:
    """A local queue of this name with a quota of GPUs of its own."""
    own = f"{namespace.name}-{name}"
    quota = [{"name": "nvidia.com/gpu", "nominalQuota": gpus}, {"name": "cpu", "nominalQuota": 1000}]
    flavors = [{"name": own, "resources": quota}]
    cluster_queue: dict[str, Any] = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
        "resourceGroups": [{"coveredResources": ["nvidia.com/gpu", "cpu"], "flavors": flavors}],
    }
    version = "kueue.x-k8s.io/v1beta1"
    manifests = [
        {"apiVersion": version, "kind": "ResourceFlavor", "metadata": {"name": own}, "spec": {}},
        {"apiVersion": version, "kind": "ClusterQueue", "metadata": {"name": own}, "spec": cluster_queue},
        {
            "apiVersion": version,
            "kind": "LocalQueue",
            "metadata": {"name": name, "namespace": namespace.name},
            "spec": {"clusterQueue": own},
        },
    ]
    for manifest in manifests:
        wait_for(lambda m=manifest: kube.create(m), what=f"{manifest['kind']} taken by Kueue's webhook")  # type: ignore[misc]
    wait_for(lambda: is_true(kube.get("ClusterQueue", own), "Active"), what="the queue active")


def start_prometheus(namespace: Namespace, image: str, *targets: str) -> None:
    """A Prometheus that asks each target, host:port, every second."""
    scrape = [{"job_name": "tests", "scrape_interval": "1s", "static_configs": [{"targets": list(targets)}]}]
    namespace.create(a_config_map("prometheus", prometheus__yml=yaml.safe_dump({"scrape_configs": scrape})))
    command = ["/prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/data"]
    namespace.create(a_pod("prometheus", image, command, config_maps={"prometheus": "/etc/prometheus"}))
    namespace.until_running("prometheus")


def samples(namespace: Namespace, query: str) -> list[Manifest]:
    """What Prometheus answers to a query: series with their labels and value; nothing while it starts."""
    path = path_of("Pod", namespace.name, "prometheus:9090") + "/proxy/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        found: list[Manifest] = namespace.kube.request("GET", path)["data"]["result"]
    except ApiError:
        return []
    return found
