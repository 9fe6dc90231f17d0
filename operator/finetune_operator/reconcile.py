"""The walk of one job: read everything fresh, decide, write the status, carry the decision out. Nothing else orders calls.

The status is written before anything is created or deleted, with the version that was read: so an attempt is noted before
it exists, the reason of a stop stands there before its pods end, and of two operators that overlap only one gets to act. A
crash between any two calls is found by the next walk as something noted that does not exist yet, and is made up for.
Events are posted last and never hold anything up; what could not be said is kept and said with the next walk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from finetune_api import meta
from finetune_api.errors import ClusterError, Conflict, InvalidSpec, NotFound, Refused, Taken
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import FineTuneJobStatus
from finetune_operator.brain.decide import AttemptName, Decision, decide, delete, refuse
from finetune_operator.brain.kept_plan import kept_plan
from finetune_operator.brain.observation import AttemptSeen, Observation
from finetune_operator.brain.plan import Plan, plan
from finetune_operator.brain.retries import smaller_plans
from finetune_operator.brain.stages import Stage
from finetune_operator.brain.transitions import Transition, transitions
from finetune_operator.children import children
from finetune_operator.doubts import in_doubt
from finetune_operator.events import event_of
from finetune_operator.held import is_child, is_going, keeps_pods
from finetune_operator.kinds import CHILD_JOB, FINE_TUNE_JOB, POD, Kind, Manifest, Ref, owner_uid, ref_of
from finetune_operator.observe import observe
from finetune_operator.queue import Key
from finetune_operator.refusals import meaning, waiting_since
from finetune_operator.render import RenderSettings, child_name, render
from finetune_operator.render.check import check
from finetune_operator.stored import changes, unread

RESYNC = timedelta(minutes=5)
"""A live job is looked at so often in any case: an event may be lost, and clocks make none."""
_LOOK_AGAIN = timedelta(seconds=10)
"""When an attempt was told to stop, or something is in doubt that tells us nothing when it changes."""
_DOUBT_GROWS = 10
"""What has been in doubt for so many times as long is asked about again: a quota may keep a thousand jobs for days. When
pods come after all, they wake us."""
_ASKED_AT_ONCE = 2
"""Pods of one attempt are refused and held up for the same reason: the Events of a few tell it."""
_AT_ONCE = timedelta(0)
_ORPHAN = "orphan"
"""The finalizer that `kubectl delete --cascade=orphan` sets."""


class Cluster(Protocol):
    """All that is known of Kubernetes here. Each method raises ClusterError; implemented by cluster.py and tests/fakes.py."""

    async def get(self, ref: Ref) -> Manifest:
        """Read one object. Raises: NotFound."""

    async def find(self, kind: Kind, namespace: str, *, labels: Mapping[str, str]) -> list[Manifest]:
        """Read all that carry these labels."""

    async def events_about(self, namespace: str, uid: str) -> list[Manifest]:
        """The Events about one object."""

    async def create(self, manifest: Manifest) -> None:
        """Create once; one of the same owner that is already there is success. Raises: Taken, Refused."""

    async def delete(self, ref: Ref, *, uid: str, pods_first: bool = False) -> None:
        """Delete this very object and, in the background or before it, what it owns; already gone is success."""

    async def patch_status(self, ref: Ref, status: Manifest, *, version: str) -> Manifest:
        """Merge into the status, if nobody wrote since this version. Raises: Conflict."""


@dataclass(slots=True)
class Reconciler:
    """Walks jobs, one key at a time per job.

    Args:
        settings: of the installation, for what is rendered.
        clock: aware, UTC.
        make_ready: makes a namespace ready for pods of ours; called before children are created there and while they are there.
        announce: is told every transition once it is true, for log and metrics.
        gone: is told of each job that does not exist any more.
        heard_since: tells since when reports can have been heard, where before that nobody was there to hear them.
        held: jobs with children that were deleted and did not go; who has seen one adds it, and it is taken out here.
        reporter: who posts Events: the operator's name and that of this replica.
    """

    cluster: Cluster
    settings: RenderSettings
    clock: Callable[[], datetime]
    make_ready: Callable[[str], Awaitable[None]]
    announce: Callable[[Key, Transition], None]
    gone: Callable[[Key], None] = lambda key: None
    heard_since: Callable[[], datetime | None] = lambda: None
    held: set[Key] = field(default_factory=set)
    reporter: tuple[str, str] = ("finetune.dev/operator", "finetune-operator")
    _unsaid: dict[Key, list[Manifest]] = field(default_factory=dict)
    """Events whose transition is true and which are not posted yet."""
    _unsure: dict[Key, FineTuneJobStatus] = field(default_factory=dict)
    """The last status whose transitions were told, where the answer to the next write was lost."""
    _refused: dict[Key, AttemptSeen] = field(default_factory=dict)
    """Attempts that the API server does not let us create, since when and why. No object can tell."""
    _uids: dict[Key, str] = field(default_factory=dict)
    """Of which job the above is remembered: one may be replaced by another of its name between two looks."""

    async def reconcile(self, key: Key) -> timedelta | None:
        """Take one job as far as it goes now.

        Returns: when to look again; None if only an event can change anything.
        Raises: ClusterError to be called again later.
        """
        ref = Ref(FINE_TUNE_JOB, key.namespace, key.name)
        try:
            raw = await self.cluster.get(ref)
        except NotFound:
            self._forget(key)
            self.gone(key)
            if key in self.held:
                await self._let_go(key)
            return None
        metadata = raw["metadata"]
        if metadata.get("deletionTimestamp") and _ORPHAN in (metadata.get("finalizers") or ()):
            return None  # who deleted it wants to keep its children; a manifest may bear the word from the beginning
        if self._uids.get(key, raw["metadata"]["uid"]) != raw["metadata"]["uid"]:
            self._forget(key)
        self._uids[key] = raw["metadata"]["uid"]
        try:
            return await self._walk(key, raw)
        finally:
            if not any(key in memory for memory in (self._unsaid, self._unsure, self._refused)):
                del self._uids[key]

    async def _walk(self, key: Key, raw: Manifest) -> timedelta | None:
        """From what the API server says of a job to what comes next, carried out."""
        job, problems = unread(raw)
        now = self.clock()
        if key in self._unsure:  # did the last write reach the server after all?
            self._note(key, raw, self._unsure.pop(key), job.status, now)
        jobs, pods = await children(self.cluster, job, now)
        doubtful = in_doubt(jobs, pods)
        asked = [uid for uid, since in doubtful if now - since >= _LOOK_AGAIN][:_ASKED_AT_ONCE]
        events = [event for uid in asked for event in await self.cluster.events_about(key.namespace, uid)]
        seen = replace(observe(job, jobs, pods, events, now), heard_since=self.heard_since())
        planned, problem, decision = self._decide(job, problems, seen, now)
        job, raw = await self._write(key, raw, job, decision.status, now)
        try:
            await self._stop(decision.stop, job, jobs, pods)
            if decision.start and planned:
                decision = await self._start(key, raw, job, planned, problem, decision, seen, now)
            elif not decision.start:
                self._refused.pop(key, None)
                await self._keep_ready(key, decision)
        finally:
            await self._post(key)
        return await self._next(key, job, decision, now, _patience(doubtful, now))

    # ------------------------------------------------------------ decide

    def _decide(
        self, job: FineTuneJob, problems: InvalidSpec | None, seen: Observation, now: datetime
    ) -> tuple[Plan | None, InvalidSpec | None, Decision]:
        """What comes next, with the plan to start it from and what is wrong with that."""
        if job.metadata.deletion_timestamp is not None:
            return None, None, delete(job, seen, now)
        if problems:
            return None, problems, refuse(job, problems, seen, now)
        planned, problem = self._plan(job)
        return planned, problem, decide(job, planned, seen, now, problem=problem)

    def _plan(self, job: FineTuneJob) -> tuple[Plan | None, InvalidSpec | None]:
        """The plan, and what is wrong: the manifest for any pod, or for training on the nodes that there are now."""
        try:
            check(job)
        except InvalidSpec as error:
            return None, error
        machine, smaller = self.settings.machine, smaller_plans(job.status, Stage.TRAIN)
        try:
            return plan(job.spec, job.status.facts, machine, smaller=smaller), None
        except InvalidSpec as error:
            return kept_plan(job, machine), error

    # ------------------------------------------------------------ write and say

    async def _write(
        self, key: Key, raw: Manifest, job: FineTuneJob, status: FineTuneJobStatus, now: datetime
    ) -> tuple[FineTuneJob, Manifest]:
        """Write what changed of the status, and note what there is to say of it. Returns the job as it is now."""
        patch = changes(job.status, status)
        if not patch:
            return job.model_copy(update={"status": status}), raw
        self._unsure[key] = job.status  # until the answer is there: also where it is never waited for to the end
        try:
            raw = await self.cluster.patch_status(ref_of(raw), patch, version=raw["metadata"]["resourceVersion"])
        except Conflict:
            del self._unsure[key]  # nothing was written
            raise
        del self._unsure[key]
        self._note(key, raw, job.status, status, now)
        return job.model_copy(update={"status": status}), raw

    def _note(self, key: Key, raw: Manifest, before: FineTuneJobStatus, after: FineTuneJobStatus, now: datetime) -> None:
        for number, transition in enumerate(transitions(before, after)):
            self.announce(key, transition)
            self._unsaid.setdefault(key, []).append(event_of(raw, transition, number, self.reporter, now))

    async def _post(self, key: Key) -> None:
        """Post what is true and not said yet. An Event that cannot be posted waits; one that is refused is let go."""
        waiting = self._unsaid.get(key, [])
        while waiting:
            try:
                await self.cluster.create(waiting[0])
            except (Refused, Taken, NotFound):  # its namespace is going, or it is there already
                pass
            except ClusterError:
                return
            waiting.pop(0)
        self._unsaid.pop(key, None)

    # ------------------------------------------------------------ act

    async def _stop(
        self, names: Sequence[AttemptName], job: FineTuneJob, jobs: Sequence[Manifest], pods: Sequence[Manifest]
    ) -> None:
        """Delete child Jobs, and have the pods of those end that were deleted and are held; of a predecessor's in any case."""
        wanted = {child_name(job.name, name) for name in names}
        for child in jobs:
            stops = child["metadata"]["name"] in wanted and owner_uid(child) == job.metadata.uid
            if stops and not is_going(child):
                await self.cluster.delete(ref_of(child), uid=child["metadata"]["uid"])
            elif keeps_pods(child, pods) and (stops or (owner_uid(child) != job.metadata.uid and is_child(child))):
                await self.cluster.delete(ref_of(child), uid=child["metadata"]["uid"], pods_first=True)

    async def _let_go(self, key: Key) -> None:
        """End the pods of children whose job is gone, if somebody holds the children. Nobody else would."""
        ours = {meta.JOB_LABEL: key.name}
        found = [child for child in await self.cluster.find(CHILD_JOB, key.namespace, labels=ours) if is_child(child)]
        going = [child for child in found if is_going(child)]
        pods = await self.cluster.find(POD, key.namespace, labels=ours) if going else []
        for child in going:
            if keeps_pods(child, pods):
                await self.cluster.delete(ref_of(child), uid=child["metadata"]["uid"], pods_first=True)
        if not going:
            self.held.discard(key)

    async def _start(
        self,
        key: Key,
        raw: Manifest,
        job: FineTuneJob,
        planned: Plan,
        problem: InvalidSpec | None,
        decision: Decision,
        seen: Observation,
        now: datetime,
    ) -> Decision:
        """Create an attempt's children. What the server will not have is seen as an attempt that waits, with its words."""
        assert decision.start is not None
        try:
            await self.make_ready(key.namespace)
            for manifest in render(job, planned, decision.start, self.settings):
                await self.cluster.create(manifest)
        except ClusterError as error:
            state = meaning(error)
            if state is None:
                raise
            held, same = self._refused.get(key), (*_pair(decision.start), state)
            since = held.waiting_since if held and (held.stage, held.number, held.state) == same else now
            self._refused[key] = AttemptSeen(*same, waiting_since=waiting_since(error, job, since or now), waits_for=str(error))
            seen = replace(seen, attempts=(*seen.attempts, self._refused[key]))
            decision = decide(job, planned, seen, now, problem=problem)
            await self._write(key, raw, job, decision.status, now)
            again = _AT_ONCE if decision.stop else min(decision.requeue_after or _LOOK_AGAIN, _LOOK_AGAIN)
            return Decision(decision.status, requeue_after=again)
        self._refused.pop(key, None)
        return decision

    async def _keep_ready(self, key: Key, decision: Decision) -> None:
        """Whom pods trust may change while they run, and a training that cannot report would be taken for one that hangs."""
        if any(attempt.finished_at is None for attempt in decision.status.attempts):
            with suppress(ClusterError):  # the next start tells of it, the next look tries again
                await self.make_ready(key.namespace)

    # ------------------------------------------------------------ when to look again

    async def _next(
        self, key: Key, job: FineTuneJob, decision: Decision, now: datetime, doubt: timedelta | None
    ) -> timedelta | None:
        """When to look again, `doubt` being when to ask again about what is in doubt. Removes a job whose time is over."""
        status = decision.status
        if job.metadata.deletion_timestamp is not None:  # who holds it tells when it lets go
            return _LOOK_AGAIN if decision.stop or key in self._unsaid else None
        if status.completion_time is not None and not decision.stop:
            return await self._remove_when_due(key, job, status, now)
        times = [RESYNC]
        if decision.requeue_after is not None:
            times.append(decision.requeue_after)
        if doubt is not None:
            times.append(doubt)
        if decision.stop or key in self._unsaid:
            times.append(_LOOK_AGAIN)
        return max(_AT_ONCE, min(times))

    async def _remove_when_due(self, key: Key, job: FineTuneJob, status: FineTuneJobStatus, now: datetime) -> timedelta | None:
        """The job's own end of life. Its children go with it."""
        keep = job.spec.run_policy.ttl_seconds_after_finished
        if keep is None or status.completion_time is None:
            return _LOOK_AGAIN if key in self._unsaid else None
        left = status.completion_time + timedelta(seconds=keep) - now
        if left > _AT_ONCE:
            return left
        assert job.metadata.uid is not None
        await self.cluster.delete(Ref(FINE_TUNE_JOB, key.namespace, key.name), uid=job.metadata.uid)
        return None

    def _forget(self, key: Key) -> None:
        for memory in (self._unsaid, self._unsure, self._refused, self._uids):
            memory.pop(key, None)


def _patience(doubtful: Sequence[tuple[str, datetime]], now: datetime) -> timedelta | None:
    """Until what is in doubt is asked about again: the youngest of it has seldom told all yet."""
    since = max((since for _, since in doubtful), default=None)
    return None if since is None else max(_LOOK_AGAIN, (now - since) / _DOUBT_GROWS)


def _pair(name: AttemptName) -> tuple[Stage, int]:
    return name.stage, name.number
