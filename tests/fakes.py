"""A cluster in memory: the calls of `reconcile.Cluster` and its neighbours, any of which can be made to fail.

It keeps what a real API server keeps: one object per name, versions, identities, owners with garbage collection, uid
preconditions, merge patches. `Kubelet` plays the Job controller and the nodes: it makes pods, runs them and lets them end.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from builders import NOON, a_manifest, a_result
from finetune_api import meta
from finetune_api.contract.result import StageResult, encode
from finetune_api.errors import ClusterError, Conflict, NotFound, Refused, Taken
from finetune_api.v1alpha1.status import FineTuneJobStatus
from finetune_operator.kinds import CHILD_JOB, EVENT, FINE_TUNE_JOB, OUR_EVENT, POD, Kind, Manifest, Ref, owner_uid, ref_of
from finetune_operator.stored import merged

When = Literal["before", "after"]
PODS_FIRST = "foregroundDeletion"


class Crash(BaseException):
    """The process dies here: no code of ours runs any more."""


class LostAnswer(ClusterError):
    """The connection broke."""


@dataclass
class Fault:
    """The call with this number, from 1, goes wrong before or after its effect."""

    number: int
    when: When
    error: type[BaseException] = LostAnswer


@dataclass
class Clock:
    """Time that passes only when a test says so."""

    now: datetime = NOON
    ahead: float = 0.0

    def real(self) -> datetime:
        """The machine's own time, for what a TLS library checks, and so many seconds more."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return (self.now - NOON).total_seconds()

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class FakeCluster:
    """Everything there is."""

    clock: Clock = field(default_factory=Clock)
    objects: dict[Ref, Manifest] = field(default_factory=dict)
    fault: Fault | None = None
    calls: list[str] = field(default_factory=list)
    statuses: list[FineTuneJobStatus] = field(default_factory=list)
    """Every status that was written, in order."""
    made: list[Ref] = field(default_factory=list)
    refuse: Callable[[Manifest], ClusterError | None] = lambda manifest: None
    """What the server will not have."""
    reviews: dict[str, Manifest] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    # ------------------------------------------------------------ the calls

    async def get(self, ref: Ref) -> Manifest:
        with self._call(f"get {ref}"):
            if ref not in self.objects:
                raise NotFound(f"{ref} not found", status=404)
            return copy.deepcopy(self.objects[ref])

    async def find(self, kind: Kind, namespace: str, *, labels: Mapping[str, str]) -> list[Manifest]:
        with self._call(f"find {kind.name}"):
            return [copy.deepcopy(o) for r, o in self.objects.items() if r.kind == kind and r.namespace == namespace
                    and labels.items() <= (o["metadata"].get("labels") or {}).items()]  # fmt: skip

    async def events_about(self, namespace: str, uid: str) -> list[Manifest]:
        with self._call("events"):
            return [o for r, o in self.objects.items() if r.kind == EVENT and o["involvedObject"]["uid"] == uid]

    async def create(self, manifest: Manifest) -> None:
        ref = ref_of(manifest)
        with self._call(f"create {ref}"):
            if refusal := self.refuse(manifest):
                raise refusal
            if ref in self.objects:
                found = self.objects[ref]
                ours = owner_uid(found) is not None and owner_uid(found) == owner_uid(manifest)
                if not ours or found["metadata"].get("deletionTimestamp"):
                    raise Taken(f"{ref} exists already and belongs to somebody else", status=409, reason="AlreadyExists")
                return
            self.put(manifest)

    async def delete(self, ref: Ref, *, uid: str, pods_first: bool = False) -> None:
        with self._call(f"delete {ref}" + " pods first" * pods_first):
            found = self.objects.get(ref)
            if found is None or found["metadata"]["uid"] != uid:
                return
            # As store.go of 1.36 has it: each delete takes the two finalizers of the garbage collector off and sets its own.
            names = [name for name in found["metadata"].pop("finalizers", ()) if name not in (PODS_FIRST, "orphan")]
            if pods_first or names:
                found["metadata"]["finalizers"] = [*names, PODS_FIRST] if pods_first else names
            self.remove(ref)

    async def patch_status(self, ref: Ref, status: Manifest, *, version: str) -> Manifest:
        with self._call(f"patch_status {ref}"):
            return self._patch(ref, {"status": status}, version)

    async def patch(self, ref: Ref, body: Manifest, *, version: str) -> Manifest:
        with self._call(f"patch {ref}"):
            return self._patch(ref, body, version)

    async def apply_progress(self, namespace: str, name: str, progress: Manifest, *, version: str) -> Manifest:
        ref = Ref(FINE_TUNE_JOB, namespace, name)
        with self._call(f"apply_progress {ref}"):
            if ref in self.objects:
                self.objects[ref].setdefault("status", {}).pop("progress", None)
            return self._patch(ref, {"status": {"progress": progress}}, version)

    async def review_token(self, token: str, audience: str) -> Manifest:
        with self._call("review_token"):
            return self.reviews.get(token, {"error": "unknown"})

    # ------------------------------------------------------------ what a test does

    def put(self, manifest: Manifest) -> Manifest:
        """Write an object as anybody may."""
        ref, stored = ref_of(manifest), copy.deepcopy(manifest)
        number = next(self._numbers)
        known = self.objects.get(ref, {}).get("metadata", {})
        metadata = stored["metadata"]
        metadata["uid"] = known.get("uid") or f"uid-{number}"
        metadata["resourceVersion"] = str(number)
        metadata.setdefault("generation", 1)
        metadata["creationTimestamp"] = known.get("creationTimestamp") or stamp(self.clock.now)
        if ref.kind == FINE_TUNE_JOB:
            stored.setdefault("status", {"observedGeneration": 0})
        if ref not in self.objects:
            self.made.append(ref)
        self.objects[ref] = stored
        return stored

    def remove(self, ref: Ref) -> None:
        """Delete an object and, as the garbage collector does, everything it owns. Pods get the time to end.

        What a finalizer holds stays, with all it owns; but for that of the garbage collector, which ends what it owns first.
        """
        gone = self.objects.get(ref)
        if gone is None:
            return
        finalizers = gone["metadata"].get("finalizers") or []
        if finalizers:
            gone["metadata"].setdefault("deletionTimestamp", stamp(self.clock.now))
            if PODS_FIRST not in finalizers:
                return
        else:
            del self.objects[ref]
        for other, found in list(self.objects.items()):
            if owner_uid(found) == gone["metadata"]["uid"]:
                if other.kind == POD and not is_over(found):
                    given = int(found["spec"].get("terminationGracePeriodSeconds", 30))
                    found["metadata"].setdefault("deletionTimestamp", stamp(self.clock.now + timedelta(seconds=given)))
                    found["metadata"].setdefault("deletionGracePeriodSeconds", given)
                else:
                    self.remove(other)

    def submit(self, name: str = "support", namespace: str = "ml", **spec: Any) -> Ref:
        """kubectl apply."""
        manifest = a_manifest(name, **spec)
        manifest["metadata"]["namespace"] = namespace
        return ref_of(self.put(manifest))

    def set_policy(self, ref: Ref, **policy: Any) -> None:
        """kubectl patch of spec.runPolicy."""
        manifest = copy.deepcopy(self.objects[ref])
        manifest["spec"].setdefault("runPolicy", {}).update(policy)
        manifest["metadata"]["generation"] += 1
        self.put(manifest)

    def status(self, ref: Ref) -> FineTuneJobStatus:
        """What kubectl shows."""
        return FineTuneJobStatus.model_validate(self.objects[ref].get("status") or {})

    def all(self, kind: Kind) -> list[Manifest]:
        return [found for ref, found in self.objects.items() if ref.kind == kind]

    def said(self) -> list[str]:
        """The reasons of our Events, in order."""
        return [event["reason"] for event in self.all(OUR_EVENT)]

    def _patch(self, ref: Ref, body: Manifest, version: str) -> Manifest:
        if ref not in self.objects:
            raise NotFound(f"{ref} not found", status=404)
        if self.objects[ref]["metadata"]["resourceVersion"] != version:
            raise Conflict("the object has been modified", status=409, reason="Conflict")
        stored = self.put(merged(self.objects[ref], body))
        if "status" in body and ref.kind == FINE_TUNE_JOB:
            self.statuses.append(self.status(ref))
        return copy.deepcopy(stored)

    def _call(self, what: str) -> _Call:
        self.calls.append(what)
        return _Call(self.fault if self.fault and self.fault.number == len(self.calls) else None, what)


@dataclass
class _Call:
    fault: Fault | None
    what: str

    def __enter__(self) -> None:
        if self.fault and self.fault.when == "before":
            raise self.fault.error(f"{self.what}: not sent")

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self.fault and self.fault.when == "after" and kind is None:
            raise self.fault.error(f"{self.what}: the answer was lost")


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_over(pod: Manifest) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


# ---------------------------------------------------------------- the Job controller and the nodes


@dataclass
class Kubelet:
    """Makes pods of Jobs, starts them, lets them end as the test says."""

    cluster: FakeCluster

    def start_pods(self) -> None:
        """Every child Job that lacks pods gets them, running at once."""
        now = stamp(self.cluster.clock.now)
        for job in self.cluster.all(CHILD_JOB):
            conditions = job.setdefault("status", {}).setdefault("conditions", [])
            if job["spec"].get("suspend") or any(c["status"] == "True" and c["type"] != "Suspended" for c in conditions):
                continue
            if conditions:  # it was suspended: a resumed Job begins anew
                conditions[0] = {"type": "Suspended", "status": "False", "lastTransitionTime": now}
                job["status"]["startTime"] = now
            job["status"].setdefault("startTime", now)
            for index in range(job["spec"]["completions"]):
                name = f"{job['metadata']['name']}-{index}-x"
                if Ref(POD, job["metadata"]["namespace"], name) not in self.cluster.objects:
                    self._make_pod(job, name, index, now)

    def end_pods(self, code: int = 0, result: StageResult | None = None, **status: Any) -> None:
        """Every pod that runs ends with this code; with 0 and no result given, with that of its stage."""
        now = stamp(self.cluster.clock.now)
        for pod in self.cluster.all(POD):
            if is_over(pod) or pod["metadata"].get("deletionTimestamp"):
                continue
            said = result or (a_result(pod["metadata"]["labels"][meta.STAGE_LABEL]) if code == 0 else None)
            self._end(pod, code, encode(said) if said else "", now)
            pod["status"].update(status)
        self.settle_jobs()

    def take_back(self, ref: Ref) -> None:
        """A queue suspends a child Job, and its controller has its pods deleted: none of them counts as failed."""
        job, now = self.cluster.objects[ref], self.cluster.clock.now
        job["spec"]["suspend"] = True
        job["status"].pop("startTime", None)
        job["status"]["conditions"] = [{"type": "Suspended", "status": "True", "lastTransitionTime": stamp(now)}]
        for pod in self.cluster.all(POD):
            if owner_uid(pod) == job["metadata"]["uid"] and not is_over(pod):
                pod["metadata"] |= {
                    "deletionTimestamp": stamp(now + timedelta(seconds=120)),
                    "deletionGracePeriodSeconds": 120,
                }

    def end_told_pods(self, code: int = 143) -> None:
        """Pods that were told to stop have, and are still shown for a moment."""
        for pod in self.cluster.all(POD):
            if pod["metadata"].get("deletionTimestamp") and not is_over(pod):
                self._end(pod, code, "", stamp(self.cluster.clock.now))

    def let_go(self) -> None:
        """Pods that were told to stop are gone, and so is what the garbage collector held for them."""
        for ref, pod in list(self.cluster.objects.items()):
            if ref.kind == POD and pod["metadata"].get("deletionTimestamp"):
                del self.cluster.objects[ref]
        for job in self.cluster.all(CHILD_JOB):
            if PODS_FIRST in (job["metadata"].get("finalizers") or ()):
                job["metadata"]["finalizers"].remove(PODS_FIRST)
                if not job["metadata"]["finalizers"]:
                    self.cluster.remove(ref_of(job))

    def settle_jobs(self) -> None:
        """The Job controller looks at the pods."""
        now = stamp(self.cluster.clock.now)
        for job in self.cluster.all(CHILD_JOB):
            pods = [pod for pod in self.cluster.all(POD) if owner_uid(pod) == job["metadata"]["uid"]]
            if any(pod["status"]["phase"] == "Failed" for pod in pods):
                kinds = ("FailureTarget", "Failed")
            elif pods and all(pod["status"]["phase"] == "Succeeded" for pod in pods):
                kinds = ("SuccessCriteriaMet", "Complete")
            else:
                continue
            conditions = [{"type": k, "status": "True", "reason": "r", "lastTransitionTime": now} for k in kinds]
            job["status"]["conditions"] = conditions

    def _make_pod(self, job: Manifest, name: str, index: int, now: str) -> None:
        template = copy.deepcopy(job["spec"]["template"])
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
        labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-completion-index": str(index)}
        running = {"state": {"running": {"startedAt": now}}, "name": "trainer", "ready": True}
        self.cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": job["metadata"]["namespace"],
                    "labels": labels,
                    "ownerReferences": [{**owner, "controller": True}],
                },
                "spec": {**template["spec"], "nodeName": f"node-{index}"},
                "status": {
                    "phase": "Running",
                    "startTime": now,
                    "conditions": [
                        {"type": "PodScheduled", "status": "True", "lastTransitionTime": now},
                        {"type": "Ready", "status": "True", "lastTransitionTime": now},
                    ],
                    "containerStatuses": [running],
                },
            }
        )

    @staticmethod
    def _end(pod: Manifest, code: int, message: str, now: str) -> None:
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        ended = {"exitCode": code, "message": message, "startedAt": started, "finishedAt": now}
        pod["status"]["phase"] = "Succeeded" if code == 0 else "Failed"
        pod["status"]["containerStatuses"] = [{"name": "trainer", "state": {"terminated": ended}}]


def an_invalid(message: str = "spec.template is invalid") -> ClusterError:
    """What the API server says of a manifest that breaks its rules."""
    return Refused(message, status=422, reason="Invalid")
