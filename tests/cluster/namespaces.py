"""One namespace for one test: what it creates there, and what is written down when it fails."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.kube import ApiError, Kube, Manifest, is_true, wait_for

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
_LOG_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace under the `restricted` Pod Security Standard, and shorter ways to what is in it."""

    kube: Kube
    name: str

    def create(self, manifest: Manifest, **query: Any) -> Manifest:
        """Create an object here."""
        return self.kube.create(manifest, namespace=self.name, **query)

    def get(self, kind: str, name: str) -> Manifest:
        """One object of here."""
        return self.kube.get(kind, name, namespace=self.name)

    def find(self, kind: str, name: str) -> Manifest | None:
        """One object of here, or None."""
        return self.kube.find(kind, name, namespace=self.name)

    def list(self, kind: str, labels: str = "") -> list[Manifest]:
        """All objects of a kind here."""
        return self.kube.list(kind, namespace=self.name, labels=labels)

    def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> None:
        """Delete an object of here."""
        self.kube.delete(kind, name, namespace=self.name, grace_seconds=grace_seconds)

    def log(self, pod: str) -> str:
        """What a pod has said."""
        return self.kube.log(pod, namespace=self.name)

    def exec(self, pod: str, *command: str, check: bool = True) -> str:
        """Run a program in a pod; what it printed to stdout."""
        return self.kube.kubectl("exec", "-n", self.name, pod, "--", *command, check=check).stdout

    # what tests wait for

    def until_running(self, pod: str, *, seconds: float = 60) -> Manifest:
        """Wait until a pod's container runs; the pod."""

        def running() -> Manifest | None:
            found = self.get("Pod", pod)
            states = [status["state"] for status in found["status"].get("containerStatuses", [])]
            return found if states and all("running" in state for state in states) else None

        return wait_for(running, what=f"pod {pod} running", seconds=seconds)

    def until_ended(self, pod: str, *, seconds: float = 60) -> Manifest:
        """Wait until a pod has ended; the state `terminated` of its container."""

        def ended() -> Manifest | None:
            states = [s["state"] for s in self.get("Pod", pod)["status"].get("containerStatuses", [])]
            return states[0].get("terminated") if states else None

        return wait_for(ended, what=f"the end of pod {pod}", seconds=seconds)

    def until_gone(self, kind: str, name: str, *, seconds: float = 60) -> None:
        """Wait until an object is gone."""
        wait_for(lambda: self.find(kind, name) is None, what=f"{kind} {name} gone", seconds=seconds)

    def until_job_has(self, condition: str, job: str, *, seconds: float = 60) -> Manifest:
        """Wait for a condition of a Job; the Job."""

        def has() -> Manifest | None:
            found = self.get("Job", job)
            return found if is_true(found, condition) else None

        return wait_for(has, what=f"job {job} {condition}", seconds=seconds)

    def until_said(self, pod: str, words: str, *, seconds: float = 60) -> str:
        """Wait until a pod's log holds these words; the log."""

        def said() -> str | None:
            log = self.log(pod)
            return log if words in log else None

        return wait_for(said, what=f"pod {pod} to say {words!r}", seconds=seconds)


def write_logs(folder: Path, namespace: Namespace | None, component_logs: Path | None) -> None:
    """Everything that may explain a failure: the namespace's objects, events and pod logs, and the cluster's own logs.

    Args:
        folder: is created.
        component_logs: of our own cluster; of another one there is no access.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if component_logs and component_logs.is_dir():
        (folder / "components").mkdir(exist_ok=True)
        for log in component_logs.glob("*.log"):
            _copy_end(log, folder / "components" / log.name)
    if namespace is None:
        return
    for kind in ("Pod", "Job", "PersistentVolumeClaim", "NetworkPolicy", "FineTuneJob"):
        try:
            found = namespace.list(kind)
        except ApiError as error:
            (folder / f"{kind}.txt").write_text(str(error))
            continue
        if found:
            (folder / f"{kind}.json").write_text(json.dumps(found, indent=1))
        for pod in found if kind == "Pod" else []:
            _write_pod_log(folder, namespace, pod["metadata"]["name"])
    events = namespace.kube.kubectl("get", "events", "-n", namespace.name, "--sort-by=.lastTimestamp", check=False)
    (folder / "events.txt").write_text(events.stdout + events.stderr)


def _write_pod_log(folder: Path, namespace: Namespace, pod: str) -> None:
    try:
        text = namespace.log(pod)
    except ApiError as error:
        text = str(error)
    (folder / f"{pod}.log").write_text(text)


def _copy_end(source: Path, target: Path) -> None:
    if source.stat().st_size <= _LOG_BYTES:
        shutil.copyfile(source, target)
        return
    with source.open("rb") as log:
        log.seek(-_LOG_BYTES, 2)
        target.write_bytes(log.read())
