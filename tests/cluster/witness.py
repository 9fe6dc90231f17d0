"""A witness of one job: every version that the API server told of it, as `kubectl get --watch` sees them."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cluster.kube import Manifest, path_of
from cluster.life import Job

_STAGES = ("Preparing", "Training", "Evaluating", "Publishing")
_ENDED = ("Succeeded", "Rejected", "Failed")
# Between them a job may be Pending (an attempt waits for room) or Suspended as often as it has to.


@dataclass(slots=True)
class Witness:
    """What was seen, in order."""

    versions: list[Manifest] = field(default_factory=list)

    @property
    def phases(self) -> list[str]:
        """Phases, each as often as it was entered."""
        found: list[str] = []
        for version in self.versions:
            phase = version.get("status", {}).get("phase")
            if phase and (not found or found[-1] != phase):
                found.append(phase)
        return found

    def _phases_that_go_back(self) -> list[str]:
        """Stages that were left are not entered again, and nothing follows the end: each is shown once."""
        rank = {phase: number for number, phase in enumerate(_STAGES)} | {phase: len(_STAGES) for phase in _ENDED}
        found, last = [], ""
        for phase in self.phases:
            if last in _ENDED or (phase in rank and last in rank and rank[phase] < rank[last]):
                found.append(f"{last} became {phase}")
            last = phase if phase in rank else last
        return found

    def goes_back(self) -> list[str]:
        """Everything in which a later status says less than an earlier one; empty if nothing does."""
        found = self._phases_that_go_back()
        for before, after in zip(self.versions, self.versions[1:], strict=False):
            old, new = before.get("status", {}), after.get("status", {})
            for attempt in old.get("attempts", []):
                same = [
                    a for a in new.get("attempts", []) if (a["stage"], a["number"]) == (attempt["stage"], attempt["number"])
                ]
                if not same:
                    found.append(f"attempt {attempt['stage']} {attempt['number']} is gone")
                elif attempt.get("finishedAt") and {k: same[0].get(k) for k in attempt} != attempt:
                    found.append(f"the ended attempt {attempt['stage']} {attempt['number']} changed")
            for count in ("total", "charged"):
                if new.get("restarts", {}).get(count, 0) < old.get("restarts", {}).get(count, 0):
                    found.append(f"restarts.{count} fell")
            step = [(s.get("progress") or {}).get("step") or 0 for s in (old, new)]
            if len(old.get("attempts", [])) == len(new.get("attempts", [])) and step[1] < step[0] and new.get("progress"):
                found.append(f"step {step[0]} became {step[1]}")
            for block in ("data", "evaluation", "output", "facts"):
                if block in old and block not in new:
                    found.append(f"{block} is gone")
        return found


@contextmanager
def watched(job: Job) -> Iterator[Witness]:
    """Watch a job until the `with` ends."""
    witness = Witness()
    kube, namespace = job.namespace.kube, job.namespace.name
    connection = http.client.HTTPConnection(kube.host, timeout=600)
    path = path_of("FineTuneJob", namespace)
    connection.request("GET", f"{path}?watch=true&fieldSelector=metadata.name%3D{job.name}")
    answer = connection.getresponse()

    def read() -> None:
        try:
            for line in answer:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    witness.versions.append(event["object"])
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # the `with` has ended

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield witness
    finally:
        if connection.sock is not None:
            connection.sock.shutdown(2)
        thread.join(timeout=10)
        connection.close()


def events_of(job: Job) -> list[Manifest]:
    """The Events posted about a job, oldest first."""
    found = [event for event in job.namespace.list("Event") if event["involvedObject"].get("name") == job.name]
    return sorted(found, key=lambda event: event["metadata"]["creationTimestamp"])
